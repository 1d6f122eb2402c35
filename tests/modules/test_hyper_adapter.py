import pytest
import torch

from pathways.modules import Context, Draft, Image, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import DeltaFamilySuite, ModuleFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded

BLOCK = ModuleSpec("transformer", {"heads": 2, "ff": 2})
TASK = Draft("task", ModuleSpec("learned_tokens", {"length": 1, "dim": 4}))
SITE = Draft("site", ModuleSpec("learned_tokens", {"length": 2, "dim": 3}))
MAKE = Draft("make", ModuleSpec("adapter_generator", {"width": 8, "dim": 2, "hidden": 5}))
CONFIG = {"dim": 2, "task": 4, "site": 3}
SHARED = ModuleSpec("hyper_adapter", CONFIG, parts={"task": TASK, "site": SITE, "generator": MAKE})


class TestAdapterGenerator(ModuleFamilySuite):
    spec = ModuleSpec("adapter_generator", {"width": 6, "dim": 2})
    ports = (Vector(5),)


class TestHyperAdapter(DeltaFamilySuite):
    spec = ModuleSpec("hyper_adapter", CONFIG)
    host, ports = BLOCK, (Tokens(None, 8),)


class TestHyperAdapterOfParts(DeltaFamilySuite):
    spec = SHARED
    host, ports = BLOCK, (Tokens(5, 8),)
    draws = False  # it has no weights of its own


class TestHyperAdapterBehind(DeltaFamilySuite):
    spec = ModuleSpec("hyper_adapter", {"dim": 2, "hidden": 3})
    host, ports = ModuleSpec("linear", {"dim": 6}), (Vector(4),)


def tasks(count, hosts=1):
    """Blocks, the shared generator and site codes, and by task a code and the deltas of all blocks."""
    blocks = [build(BLOCK, [Tokens(5, 8)], seeded(i)).eval().requires_grad_(False) for i in range(hosts)]
    make = build(MAKE.spec, [Vector(7)], seeded(5))
    sites = [build(SITE.spec, [], seeded(6 + i)) for i in range(hosts)]
    found = []
    for i in range(count):
        code = build(TASK.spec, [], seeded(30 + i))
        parts = [{"task": code, "site": site, "generator": make} for site in sites]
        deltas = [build(SHARED, [], seeded(1), parts=p, host=h) for p, h in zip(parts, blocks, strict=True)]
        found.append((code, deltas))
    return blocks, make, sites, found


def test_b23_with_fixed_codes_it_is_a_plain_adapter():
    (block,), make, _, ((_, (delta,)),) = tasks(1)
    move(make, 3)
    plain = build(ModuleSpec("bottleneck", {"dim": 2}), [], seeded(0), host=block)
    with torch.no_grad():
        for site, (down, up, gain, shift) in delta.adapters().items():
            adapter = plain.adapters[site]
            for layer, weight in ((adapter.down, down), (adapter.up, up)):
                layer.weight.copy_(weight)
                layer.bias.zero_()
            adapter.norm.weight.copy_(1 + gain)
            adapter.norm.bias.copy_(shift)
    suite, x = TestHyperAdapter(), torch.randn(3, 5, 8, generator=seeded(2))
    assert torch.equal(suite.run_all(block, [delta], [x], ()), suite.run_all(block, [plain], [x], ()))
    assert not torch.equal(suite.run_all(block, [delta], [x], ()), block(x, context=Context()))


def test_b23_a_new_task_adds_the_numbers_of_its_code():
    _, make, sites, found = tasks(2, hosts=3)
    assert [sum(p.numel() for p in d.parameters()) for _, deltas in found for d in deltas] == [0] * 6
    assert [sum(p.numel() for p in code.parameters()) for code, _ in found] == [4, 4]
    # Three blocks with two adapters each, made by one generator from codes of three numbers.
    assert [sum(p.numel() for p in m.parameters()) for m in (make, *sites)] == [5 * 8 + 30 + 5 * 48, 6, 6, 6]


def test_b23_related_tasks_have_closer_codes_than_unrelated_ones():
    (block,), make, _, found = tasks(3)
    x, suite = torch.randn(24, 5, 8, generator=seeded(2)), TestHyperAdapter()
    y = torch.randn(24, 5, 8, generator=seeded(3))
    targets = [y, y + 0.1 * torch.randn(y.shape, generator=seeded(4)), -y]
    with torch.no_grad():  # all start from one code
        for code, _ in found:
            code.tokens.zero_()
    optimizer = torch.optim.Adam([*make.parameters(), *(p for code, _ in found for p in code.parameters())], 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        for (_, (delta,)), target in zip(found, targets, strict=True):
            (suite.run_all(block, [delta], [x], ()) - target).square().mean().backward()
        optimizer.step()
    codes = [code.tokens.detach().flatten() for code, _ in found]
    related, unrelated = (float((codes[0] - other).norm()) for other in codes[1:])
    assert related < 0.5 * unrelated


@pytest.mark.parametrize(
    ("spec", "host", "message"),
    [
        (ModuleSpec("hyper_adapter", {"dim": 0}), BLOCK, "`dim` must be a whole number of at least 1, found 0"),
        (ModuleSpec("hyper_adapter", {"dim": 2, "sites": ["inner", "attended"]}), BLOCK, "`sites` must have tokens or"),
        (ModuleSpec("hyper_adapter", {"dim": 3, "task": 4, "site": 3}, parts={"generator": MAKE}), BLOCK,
         r"`generator` must give Vector\(dim=64\) for `dim` 3 and tokens of 8, found Vector\(dim=48\)"),
        (ModuleSpec("hyper_adapter", {"dim": 2, "task": 5}, parts={"task": TASK}), BLOCK, "`task` must be the 5 num"),
    ],
)
def test_bad_settings_are_named(spec, host, message):
    with pytest.raises(ValueError, match=message):
        facts(spec, [], host=(host, (Tokens(5, 8),)))


def test_images_are_refused():
    host = (ModuleSpec("conv", {"channels": 4}), (Image(3, 5, 5),))
    with pytest.raises(ValueError, match="`sites` must have tokens or vectors of one width"):
        facts(ModuleSpec("hyper_adapter", {"dim": 2}), [], host=host)
