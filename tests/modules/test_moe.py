from typing import ClassVar

import pytest
import torch

from pathways.modules import (
    BUILT_IN,
    Context,
    Draft,
    Families,
    Image,
    Masked,
    Module,
    ModuleSpec,
    PortError,
    Tokens,
    Vector,
    build,
    facts,
)
from pathways.testing import ModuleFamilySuite


class TestMoE(ModuleFamilySuite):
    spec = ModuleSpec("moe", {"experts": 4, "k": 2, "hidden": 6})
    ports = (Tokens(None, 8),)
    refused = ((), (Image(8, 2, 2),), (Tokens(5, 8), Tokens(5, 8)), (Vector(8),) * 3)


class TestMoEVectors(ModuleFamilySuite):
    spec = ModuleSpec("moe", {"experts": 3, "k": 2, "dim": 5})
    ports = (Vector(8),)
    refused = ((Image(8, 2, 2),),)


class TestMoEByCondition(ModuleFamilySuite):
    spec = ModuleSpec("moe", {"experts": 3, "k": 2, "residual": True})
    ports = (Tokens(5, 8), Vector(3))


class TestMoEByBoth(ModuleFamilySuite):
    spec = ModuleSpec("moe", {"experts": 3, "k": 2, "gate": "both", "residual": True})
    ports = (Tokens(None, 8), Tokens(1, 3))
    refused = ((Tokens(None, 8),),)


class TestMoEOfParts(ModuleFamilySuite):
    spec = ModuleSpec("moe", {"experts": 3, "residual": True}, parts={
        "expert0": Draft("a", ModuleSpec("linear", {"dim": 8})),
        "expert1": Draft("b", ModuleSpec("linear", {"dim": 8, "activation": "relu"})),
        "expert2": Draft("c", ModuleSpec("adapter", {"dim": 4})),
        "router": Draft("r", ModuleSpec("topk_router", {"experts": 3, "k": 2})),
    })
    ports = (Tokens(None, 8),)
    draws = False  # its own weights are a norm


class Counted(Module):
    """A linear expert that counts its rows."""

    family = "counted_expert"
    seen: ClassVar[list[int]] = []

    def __init__(self, ports):
        super().__init__()
        self.output = ports[0]
        self.linear = torch.nn.Linear(ports[0].dim, ports[0].dim)

    def forward(self, *inputs, context):
        self.seen.append(len(inputs[0]))
        return self.linear(inputs[0])

    def flops(self):
        return 2 * self.linear.weight.numel()


FAMILIES = Families([Counted])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=1):
    return torch.randn(shape, generator=seeded(seed))


def make(*ports, seed=0, **config):
    """A mixture whose gate and experts are drawn, as after training."""
    spec = ModuleSpec("moe", {"experts": 4, "k": 2, "hidden": 6, **config})
    module = build(spec, ports or (Tokens(6, 8),), seeded(seed))
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.add_(noise(*parameter.shape, seed=50 + i + seed), alpha=0.4)
    return module.eval()


def of_parts(k, count=4, family="counted_expert", families=FAMILIES):
    parts = {f"expert{i}": build(ModuleSpec(family), [Vector(8)], seeded(i), families=families) for i in range(count)}
    spec = ModuleSpec("moe", {"k": k}, parts={
        name: Draft(name, ModuleSpec(family)) for name in parts
    })
    module = build(spec, [Tokens(None, 8)], seeded(9), parts=parts, families=families)
    with torch.no_grad():
        module.own.gate.weight.copy_(noise(count, 8))
    return spec, module.eval()


def values_and_mask(batch=5, length=7):
    mask = torch.arange(length) < torch.tensor([[7], [3], [1], [5], [2]])[:batch]
    return Masked(noise(batch, length, 8), mask)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_r1_exactly_k_experts_run_for_a_token(k):
    _, module = of_parts(k)
    value = values_and_mask()
    Counted.seen.clear()
    module(value, context=Context())
    real = int(value.mask.sum())
    assert sum(Counted.seen) == k * real
    weights = module.weights(value, context=Context())
    assert weights.shape == (real, 4)
    assert weights.ne(0).sum(1).tolist() == [k] * real
    assert sorted(Counted.seen) == sorted(n for n in weights.ne(0).sum(0).tolist() if n)


def test_r1_flops_are_proportional_to_k():
    def flops(k, experts=8):
        return facts(ModuleSpec("moe", {"experts": experts, "k": k, "hidden": 16}), [Tokens(5, 8)]).flops

    gate = 5 * 2 * 8 * 8
    assert [(flops(k) - gate) / (flops(1) - gate) for k in (2, 4, 8)] == [2, 4, 8]
    assert flops(2, 64) - flops(2, 8) == 5 * 2 * 8 * (64 - 8)  # more experts cost only their gate
    spec, _ = of_parts(2)
    assert facts(spec, [Tokens(5, 8)], families=FAMILIES).flops == 5 * (2 * 2 * 64 + 2 * 8 * 4)


def test_r1_the_output_is_the_weighted_sum_of_the_experts():
    module = make()
    x = noise(3, 6, 8)
    weights = module.weights(x, context=Context())
    outputs = torch.stack([module.experts.one(e)(x.flatten(0, 1)) for e in range(4)], 1)
    expected = (weights[..., None] * outputs).sum(1).reshape(3, 6, 8)
    torch.testing.assert_close(module(x, context=Context()), expected)


def test_r1_the_losses_make_the_experts_even():
    """Squared variation of the load after 80 steps, 3 seeds: below 0.1 with the losses, above 0.5 without."""
    found = {}
    for balance in (0.0, 0.1):
        for seed in range(3):
            module = build(
                ModuleSpec("moe", {"experts": 8, "k": 2, "hidden": 4, "balance": balance}), [Vector(8)], seeded(seed)
            ).train()
            generator = seeded(100 + seed)
            mean = torch.randn(8, generator=generator)  # inputs of one direction make favourites
            optimizer = torch.optim.Adam(module.parameters(), lr=0.03)
            for _ in range(80):
                x = mean + 0.3 * torch.randn(64, 8, generator=generator)
                context = Context(generator=generator)
                loss = (module(x, context=context) - x.flip(1)).square().mean()
                extra = context.total_loss()
                optimizer.zero_grad()
                (loss if extra is None else loss + extra).backward()
                optimizer.step()
            x = mean + 0.3 * torch.randn(512, 8, generator=generator)
            load = module.weights(x, context=Context(generator=generator)).ne(0).float().sum(0)
            found[balance, seed] = float(load.var(unbiased=False) / load.mean() ** 2)
    assert max(value for (balance, _), value in found.items() if balance) < 0.1, found
    assert min(value for (balance, _), value in found.items() if not balance) > 0.5, found


@pytest.mark.parametrize("gate", ["input", "condition", "both"])
def test_traced_programs_give_the_same_values(gate):
    ports = (Tokens(6, 8),) if gate == "input" else (Tokens(6, 8), Vector(3))
    module = make(*ports, gate=gate, residual=True)
    values = (noise(4, 6, 8), noise(4, 3, seed=2))[: len(ports)]

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, *values):
            return self.inner(*values, context=Context())

    program = torch.export.export(Plain(), values).module()
    other = tuple(value.flip(0) + 1 for value in values)
    torch.testing.assert_close(program(*other), module(*other, context=Context()), atol=1e-5, rtol=1e-5)


def test_a_residual_mixture_starts_as_the_identity():
    x = noise(3, 6, 8)
    module = build(ModuleSpec("moe", BUILT_IN["moe"].fitting((Tokens(6, 8),))), [Tokens(6, 8)], seeded())
    assert torch.equal(module(x, context=Context()), x)


def test_what_fits():
    fitting = BUILT_IN["moe"].fitting
    for ports in ((Tokens(None, 8),), (Vector(8),), (Tokens(3, 8), Vector(4)), (Vector(8), Tokens(1, 4))):
        assert build(ModuleSpec("moe", fitting(ports)), ports).output == ports[0]
    assert fitting(()) is None
    assert fitting((Image(1, 4, 4),)) is None
    assert fitting((Tokens(3, 8), Tokens(3, 8))) is None


def test_experts_that_got_nothing_have_no_gradient():
    _, module = of_parts(1)
    module.train()
    with torch.no_grad():
        module.own.gate.weight.zero_()
    module(values_and_mask(), context=Context()).value.sum().backward()  # without noise, all go to the first
    assert module.parts[0].linear.weight.grad is not None
    assert all(module.parts[e].linear.weight.grad is None for e in (1, 2, 3))


def test_an_expert_that_is_not_there_gives_nothing():
    parts = {"expert1": build(ModuleSpec("linear", {"dim": 8}), [Vector(8)], seeded(1))}
    spec = ModuleSpec("moe", {"experts": 3, "k": 1}, parts={"expert1": Draft("e", ModuleSpec("linear", {"dim": 8}))})
    module = build(spec, [Vector(8)], seeded(), parts=parts).eval()
    with torch.no_grad():
        module.own.gate.weight.copy_(noise(3, 8))
    x = noise(20, 8)
    chosen = module.weights(x, context=Context())[:, 1].ne(0)
    found = module(x, context=Context())
    assert 0 < int(chosen.sum()) < 20
    torch.testing.assert_close(found[chosen], parts["expert1"](x[chosen], context=Context()))
    assert not found[~chosen].any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"experts": 2, "k": 3}, "`k` must be at most `experts`, found 3 of 2"),
        ({"experts": 2}, "`k` must be a whole number of at least 1, found None"),
        ({"k": 1}, "`experts` must be a whole number of at least 1, found None"),
        ({"experts": 2, "k": 1, "hidden": 0}, "`hidden` must be a whole number of at least 1, found 0"),
        ({"experts": 2, "k": 1, "activation": "sharp"}, "`activation` must be one of"),
        ({"experts": 2, "k": 1, "dim": 3, "residual": True}, "`residual` must be false where the experts give another"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("moe", config), [Vector(4)])


@pytest.mark.parametrize(
    ("names", "config", "message"),
    [
        (("first",), {"k": 1}, "`parts` must be named `router`, `expert0`, `expert1` and on, found 'first'"),
        (("expert0",), {"k": 1, "hidden": 4}, "`hidden` and `dim` must be left out where experts are parts"),
        (("expert2",), {"k": 1, "experts": 2}, "`experts` must be above the number of each expert part, found 2"),
        (("expert0", "router"), {}, r"`router` must give Vector\(dim=1\), one weight an expert, found Vector\(dim=8\)"),
    ],
)
def test_bad_parts_are_named(names, config, message):
    linear = ModuleSpec("linear", {"dim": 8})
    spec = ModuleSpec("moe", config, parts={name: Draft(name, linear) for name in names})
    with pytest.raises(ValueError, match=message):
        facts(spec, [Vector(8)])


def test_the_gate_reads_what_it_is_told():
    for gate, ports in (("condition", (Vector(8),)), ("input", (Vector(8), Vector(3)))):
        with pytest.raises(PortError, match=f"with the gate '{gate}' reads"):
            build(ModuleSpec("moe", {"experts": 2, "k": 1, "gate": gate}), ports)
