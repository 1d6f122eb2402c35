import math

import pytest
import torch

from pathways.modules import BUILT_IN, Context, ModuleSpec, Tokens, Vector, build
from pathways.modules.moe import MoE
from pathways.modules.routing.gating import entropy
from pathways.testing import ModuleFamilySuite


class TestEntropyRouter(ModuleFamilySuite):
    spec = ModuleSpec("entropy_router", {"experts": 5, "k": 2, "wanted": 3})
    ports = (Vector(6),)
    refused = ((), (Tokens(3, 6),), (Vector(6), Tokens(1, 2)))


class TestEntropyRouterOfModalities(ModuleFamilySuite):
    spec = ModuleSpec("entropy_router", {"experts": 5, "wanted": [2, 4, 3]})
    ports = (Vector(6), Vector(3))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def router(ports=2, **config):
    config = {"experts": 8, "k": 1, "wanted": 4, "local": 1.0, "balance": 1.0, **config}
    read = [Vector(8), Vector(2)][:ports]
    return build(ModuleSpec("entropy_router", config), read, seeded()).train()


def loss_of(module, *values):
    context = Context()
    module(*values, context=context)
    return None if context.total_loss() is None else float(context.total_loss().detach())


def batch(means, maps, n, generator):
    """Rows of two modalities, nine of ten of the first, with what is to be made of them."""
    modality = (torch.rand(n, generator=generator) < 0.1).long()
    x = means[modality] + torch.randn(n, 8, generator=generator)
    y = torch.tanh(torch.einsum("nd,ndo->no", x, maps[modality]))
    return x, torch.nn.functional.one_hot(modality, 2).float(), y


def experts_used(weight, seed, steps=150):
    """exp of the entropy of each modality's mean gate, after training on two unbalanced modalities; wanted are 4."""
    generator = seeded(seed)
    config = {"experts": 8, "k": 1, "wanted": 4, "local": weight, "balance": weight}
    gate = build(ModuleSpec("entropy_router", config), [Vector(8), Vector(2)], generator)
    module = MoE((Vector(8), Vector(2)), experts=8, gate="both", hidden=8, parts={"router": gate}).train()
    module.initialise(generator)
    means, maps = 2 * torch.randn(2, 8, generator=generator), torch.randn(2, 8, 8, generator=generator) / 8**0.5
    optimizer = torch.optim.Adam([*module.parameters(), *gate.parameters()], lr=0.02)
    for _ in range(steps):
        x, modality, y = batch(means, maps, 64, generator)
        context = Context()
        loss = (module(x, modality, context=context) - y).square().mean()
        extra = context.total_loss()
        optimizer.zero_grad()
        (loss if extra is None else loss + extra).backward()
        optimizer.step()
    x, modality, _ = batch(means, maps, 4000, generator)
    p = gate.gate(x).softmax(1).detach()
    return [math.exp(float(entropy(p[modality[:, m] == 1].mean(0)))) for m in range(2)]


def test_r2_each_modality_uses_as_many_experts_as_wanted():
    """Without the losses the two use 1.2 to 2.3 experts (3 seeds); with them 4.0 to 4.5, where 4 are wanted."""
    assert all(1.0 <= used < 2.6 for seed in range(3) for used in experts_used(0.0, seed))
    assert all(3.9 < used < 4.7 for seed in range(3) for used in experts_used(1.0, seed))


def test_r2_the_losses_are_the_papers():
    module = router(local=0.3, balance=0.7)
    x = torch.randn(40, 8, generator=seeded(1))
    modality = torch.nn.functional.one_hot((torch.arange(40) < 5).long(), 2).float()
    p = module.gate(x).softmax(1).detach()
    expected = 0.0
    for m in range(2):
        rows = p[modality[:, m] == 1]
        expected += 0.3 * float(entropy(rows).mean()) + 0.7 * max(0.0, math.log(4) - float(entropy(rows.mean(0))))
    assert loss_of(module, x, modality) == pytest.approx(expected, rel=1e-5)


def test_r2_the_global_loss_asks_no_more_than_is_wanted():
    module = router(1, local=0.0, wanted=4)
    with torch.no_grad():
        module.gate.weight.zero_()
    assert loss_of(module, torch.ones(4, 8)) == 0.0  # all eight are used
    with torch.no_grad():
        module.gate.weight[0] = 50.0
    assert loss_of(module, torch.ones(4, 8)) == pytest.approx(math.log(4))


def test_a_modality_that_is_not_in_the_batch_has_no_loss():
    module, x = router(), torch.randn(6, 8, generator=seeded(2))
    alone = router(1)
    first = torch.tensor([[1.0, 0.0]]).expand(6, 2)
    assert loss_of(module, x, first) == pytest.approx(loss_of(alone, x), rel=1e-6)
    context = Context()
    module(x, first, context=context)
    context.total_loss().backward()
    assert bool(module.gate.weight.grad.isfinite().all())


def test_losses_are_of_training_only():
    module, x = router(1), torch.randn(6, 8, generator=seeded(2))
    assert loss_of(module.eval(), x) is None
    assert loss_of(router(1, local=0.0, balance=0.0), x) is None


def test_what_fits():
    fitting = BUILT_IN["entropy_router"].fitting
    assert build(ModuleSpec("entropy_router", fitting((Vector(3),))), [Vector(3)]).output == Vector(2)
    assert fitting(()) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"experts": 2, "k": 3}, "`k` must be at most `experts`, found 3 of 2"),
        ({"experts": 2, "wanted": 3}, "`wanted` must be a number from 1 to 2, for each of 1 modalities, found 3"),
        ({"experts": 2, "wanted": [1, 2]}, "`wanted` must be a number from 1 to 2, for each of 1 modalities, found "),
        ({"experts": 2, "local": -1}, "`local` must be at least 0, found -1"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("entropy_router", config), [Vector(4)])


def test_r2_modalities_in_paths_of_their_own_are_told_apart():
    """Two passes of one router with one context: the loss is that of each modality, not of both mixed."""
    module, context = router(1), Context()
    values = [mean + 0.1 * torch.randn(10, 8, generator=seeded(i)) for i, mean in enumerate((2.0, -2.0))]
    for x in values:
        module(x, context=context)
    together = float(context.total_loss().detach())
    assert together == pytest.approx(sum(loss_of(module, x) for x in values), rel=1e-5)
    assert together > loss_of(module, torch.cat(values)) + 0.1
