import pytest
import torch

from pathways.modules import Context, Draft, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import DeltaFamilySuite, ModuleFamilySuite
from pathways.testing.module_family import seeded

LINEAR = ModuleSpec("linear", {"dim": 6})
CODE = Draft("code", ModuleSpec("learned_tokens", {"length": 1, "dim": 3}))
MAKE = Draft("make", ModuleSpec("weight_generator", {"rows": 6, "columns": 5, "hidden": 2}))


class TestWeightGenerator(ModuleFamilySuite):
    spec = ModuleSpec("weight_generator", {"rows": 4, "columns": 3, "hidden": 2})
    ports = (Vector(5),)


class TestHyperNetwork(DeltaFamilySuite):
    spec = ModuleSpec("hypernetwork", {"code": 3})
    host, ports = LINEAR, (Vector(5),)


class TestHyperNetworkOfParts(DeltaFamilySuite):
    spec = ModuleSpec("hypernetwork", {"code": 3}, parts={"code": CODE, "generator": MAKE})
    host, ports = LINEAR, (Vector(5),)
    draws = False  # it has no weights of its own


class TestHyperNetworkTransformer(DeltaFamilySuite):
    spec = ModuleSpec("hypernetwork", {"code": 3, "target": "up.weight"}, parts={"code": CODE})
    host, ports = ModuleSpec("transformer", {"heads": 2, "ff": 2}), (Tokens(None, 8),)


def shared(layers=4, size=16):
    """Linear layers whose changes one generator makes, each from a code of its own."""
    hosts = [build(ModuleSpec("linear", {"dim": size}), [Vector(size)], seeded(i)) for i in range(layers)]
    make = build(ModuleSpec("weight_generator", {"rows": size, "columns": size, "hidden": 2}), [Vector(3)], seeded(9))
    spec = ModuleSpec("hypernetwork", {"code": 3}, parts={"generator": MAKE})
    deltas = [build(spec, [], seeded(20 + i), parts={"generator": make}, host=h) for i, h in enumerate(hosts)]
    return hosts, make, deltas


def change(host, delta):
    before = dict(host.named_parameters())
    return delta.weights(before)["linear.weight"] - before["linear.weight"]


def test_b21_the_change_is_the_formula_of_code_and_generator():
    hosts, make, deltas = shared(1)
    with torch.no_grad():
        for parameter in make.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=seeded(2)))
    z = deltas[0].code.numbers
    a = (make.first.weight @ z + make.first.bias).reshape(16, 2)
    torch.testing.assert_close(
        change(hosts[0], deltas[0]), a @ make.second.weight.T + make.second.bias, atol=1e-5, rtol=1e-5
    )


def test_b21_gradients_reach_the_codes_from_the_second_step_on():
    hosts, make, deltas = shared(2)
    x, seen = torch.randn(4, 16, generator=seeded(3)), []
    optimizer = torch.optim.SGD([*make.parameters(), *(d.code.numbers for d in deltas)], 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        for host, delta in zip(hosts, deltas, strict=True):
            weights = delta.weights(dict(host.named_parameters()))
            torch.func.functional_call(host, weights, x, {"context": Context()}).square().sum().backward()
        seen.append([bool(make.second.weight.grad.any()), *(bool(d.code.numbers.grad.any()) for d in deltas)])
        optimizer.step()
    assert seen == [[True, False, False], [True, True, True]]
    assert not torch.equal(change(hosts[0], deltas[0]), change(hosts[1], deltas[1]))


def test_b21_generator_and_codes_are_smaller_than_what_they_make():
    hosts, make, deltas = shared(4)
    count = sum(p.numel() for module in (make, *deltas) for p in module.parameters())
    assert count == 3 * 32 + 32 + 2 * 16 + 16 + 4 * 3
    assert count < sum(h.linear.weight.numel() for h in hosts) / 5


@pytest.mark.parametrize(
    ("config", "parts", "message"),
    [
        ({"target": "linear.bias"}, {}, "`target` must have two or more dimensions"),
        ({"code": 0}, {}, "`code` must be a whole number of at least 1, found 0"),
        ({"hidden": 0}, {}, "`hidden` must be a whole number of at least 1, found 0"),
        ({"code": 4}, {"code": CODE}, r"`code` must be the 4 numbers that the part gives, found .*length=1, dim=3"),
        ({"code": 3}, {"generator": Draft("g", LINEAR)}, r"`generator` must give Vector\(dim=30\), .* found Vector"),
    ],
)
def test_bad_settings_are_named(config, parts, message):
    with pytest.raises(ValueError, match=message):
        facts(ModuleSpec("hypernetwork", config, parts=parts), [], host=(LINEAR, (Vector(5),)))
