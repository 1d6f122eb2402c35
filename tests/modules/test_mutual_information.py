import math

import pytest
import torch

from pathways.modules import BUILT_IN, Context, Image, ModuleSpec, Tokens, Vector, build
from pathways.modules.moe import MoE
from pathways.modules.routing.gating import mutual_information
from pathways.testing import ModuleFamilySuite


class TestMutualRouter(ModuleFamilySuite):
    spec = ModuleSpec("mutual_router", {"experts": 5, "k": 2, "weight": 0.1})
    ports = (Vector(6), Tokens(1, 2))
    refused = ((), (Tokens(3, 6),))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def gates(count=3, **config):
    spec = ModuleSpec("mutual_router", {"experts": 6, "k": 2, "weight": 1.0, **config})
    return [build(spec, [Vector(8)], seeded(10 + t)).train() for t in range(count)]


def test_r5_the_information_is_that_of_the_joint_table():
    rows = torch.rand(3, 5, generator=seeded()).softmax(1)
    joint = rows / 3
    expected = (joint * (joint / (joint.sum(1, keepdim=True) * joint.sum(0))).log()).sum()
    torch.testing.assert_close(mutual_information(rows), expected)
    assert float(mutual_information(torch.eye(4))) == pytest.approx(math.log(4))
    assert float(mutual_information(torch.full((4, 3), 1 / 3))) == pytest.approx(0.0, abs=1e-7)


def test_r5_the_loss_is_of_all_tasks_of_a_joint_batch():
    routers = gates(weight=0.5)
    x, context = torch.randn(7, 8, generator=seeded(1)), Context()
    for router in routers:
        router(x, context=context)
    rows = torch.stack([router.gate(x).softmax(1).mean(0) for router in routers])
    torch.testing.assert_close(context.total_loss(), -0.5 * mutual_information(rows))
    context.total_loss().backward()
    assert all(bool(router.gate.weight.grad.any()) for router in routers)


def test_r5_layers_do_not_mix_and_a_task_alone_has_no_loss():
    x, context = torch.randn(7, 8, generator=seeded(1)), Context()
    for layer in ("first", "second"):
        gates(1, layer=layer)[0](x, context=context)
    assert float(context.total_loss().detach()) == pytest.approx(0.0, abs=1e-6)
    silent = Context()
    for router in gates():
        router.eval()(x, context=silent)
    gates(1, weight=0.0)[0](x, context=silent)
    assert silent.total_loss() is None


def information(weight, seed, steps=60, tasks=3):
    """I(task; expert) before and after training three tasks on shared experts, each with a gate of its own."""
    generator = seeded(seed)
    experts = {
        f"expert{e}": build(ModuleSpec("linear", {"dim": 8, "activation": "tanh"}), [Vector(8)], generator)
        for e in range(6)
    }
    mixtures = []
    for _ in range(tasks):
        router = build(ModuleSpec("mutual_router", {"experts": 6, "k": 2, "weight": weight}), [Vector(8)], generator)
        mixtures.append(MoE((Vector(8),), parts={**experts, "router": router}).train())
    maps = torch.randn(tasks, 8, 8, generator=generator) / 8**0.5
    modules = [*experts.values(), *(mixture.router for mixture in mixtures)]
    optimizer = torch.optim.Adam([p for module in modules for p in module.parameters()], lr=0.02)

    def found():
        x = 1 + torch.randn(500, 8, generator=seeded(99))
        rows = [mixture.router.gate(x).softmax(1).mean(0) for mixture in mixtures]
        return float(mutual_information(torch.stack(rows)).detach())

    before = found()
    for _ in range(steps):
        context, x = Context(), 1 + torch.randn(32, 8, generator=generator)
        pairs = zip(mixtures, maps, strict=True)
        loss = sum((mixture(x, context=context) - torch.tanh(x @ w)).square().mean() for mixture, w in pairs)
        extra = context.total_loss()
        optimizer.zero_grad()
        (loss if extra is None else loss + extra).backward()
        optimizer.step()
    return before, found()


def test_r5_tasks_and_experts_come_to_belong_together():
    """After 60 steps, 3 seeds: I is 1.01 to 1.04 of log 3 = 1.10 with the loss, 0.28 to 0.53 without."""
    for seed in range(3):
        (before, after), (_, without) = information(1.0, seed), information(0.0, seed)
        assert after > 0.95 > 0.6 > without, (seed, after, without)
        assert before < 0.25, (seed, before)


def test_what_fits():
    fitting = BUILT_IN["mutual_router"].fitting
    assert fitting((Vector(3),)) == {"experts": 2, "k": 1}
    assert fitting(()) is None
    assert fitting((Image(1, 2, 2),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"experts": 2, "k": 3}, "`k` must be at most `experts`, found 3 of 2"),
        ({"experts": 2, "weight": -1}, "`weight` must be at least 0, found -1"),
        ({"experts": 2, "layer": ""}, "`layer` must be a name, found ''"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("mutual_router", config), [Vector(4)])
