import pytest
import torch

from pathways.modules import BUILT_IN, Context, Image, ModuleSpec, Tokens, Vector, build
from pathways.modules.fused import FusedByCondition, fused
from pathways.modules.moe import MoE
from pathways.testing import ModuleFamilySuite


class TestConditionedRouter(ModuleFamilySuite):
    spec = ModuleSpec("conditioned_router", {"experts": 5, "k": 2})
    ports = (Vector(6),)
    refused = ((), (Tokens(3, 6),))
    learned = 0.9  # two of five are drawn, the same in each step


class TestConditionedRouterHidden(ModuleFamilySuite):
    spec = ModuleSpec("conditioned_router", {"experts": 3, "k": 1, "hidden": 7, "renormalise": False})
    ports = (Vector(1), Tokens(1, 2))
    refused = ((), (Tokens(3, 6),))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=1):
    return torch.randn(shape, generator=seeded(seed))


def router(**config):
    spec = ModuleSpec("conditioned_router", {"experts": 4, "k": 2, "hidden": 16, **config})
    module = build(spec, [Vector(1)], seeded())
    with torch.no_grad():
        module.gate.weight.mul_(3)
    return module


def mixture(port=None, **config):
    """A mixture of four experts, trained somewhat, whose gate reads a noise level."""
    port = port or Tokens(5, 8)
    module = MoE(
        (port, Vector(1)), experts=4, hidden=6, **{"residual": True, **config}, parts={"router": router()}
    )
    module.initialise(seeded(1))
    with torch.no_grad():
        for i, parameter in enumerate(module.experts.parameters()):
            parameter.add_(noise(*parameter.shape, seed=20 + i), alpha=0.3)
    return module.eval()


def test_r3_the_top_in_evaluation_drawn_in_training():
    gate = router()
    levels = torch.linspace(-2, 2, 9)[:, None]
    p = gate.probabilities(levels).detach()
    top = gate.eval()(levels, context=Context())
    assert top.ne(0).sum(1).tolist() == [2] * 9
    torch.testing.assert_close(top.sum(1), torch.ones(9))
    assert torch.equal(top.ne(0), torch.zeros_like(p).scatter(1, p.topk(2).indices, 1.0).ne(0))
    one = router(k=1).train()
    drawn = one(torch.full((20_000, 1), 0.5), context=Context(generator=seeded(3)))
    expected = one.probabilities(torch.tensor([[0.5]]))[0]
    torch.testing.assert_close(drawn.ne(0).float().mean(0), expected, atol=0.015, rtol=0)


def test_r3_the_load_loss_is_least_where_all_are_equal():
    losses = []
    for scale in (0.0, 1.0, 4.0):
        gate = router(balance=1.0)
        with torch.no_grad():
            gate.gate.weight.mul_(scale)
        context = Context()
        gate.train()(torch.full((6, 1), 0.3), context=context)
        losses.append(float(context.total_loss().detach()))
    assert losses[0] == pytest.approx(1.0)
    assert losses[0] < losses[1] < losses[2]
    silent = Context()
    gate.eval()(torch.ones(6, 1), context=silent)
    assert silent.losses == []


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("level", [-1.5, 0.1, 2.0])
def test_r3_the_fused_expert_equals_the_routed_output(level, residual):
    module = mixture(residual=residual)
    x, condition = noise(7, 5, 8), torch.tensor([[level]])
    one = fused(module, Tokens(5, 8), condition)
    routed = module(x, condition.expand(7, 1), context=Context())
    torch.testing.assert_close(one(x, context=Context()), routed, atol=1e-5, rtol=0)
    assert one.experts.count == 1
    assert one.flops() < module.flops()  # no gate but that of one expert
    assert not any(parameter.requires_grad for parameter in one.parameters())


def test_r3_fused_experts_are_kept_by_noise_level():
    module = mixture()
    cache = FusedByCondition(module, Tokens(5, 8))
    x = noise(2, 5, 8)
    for level in (0.1, 2.0, 0.1):
        condition = torch.tensor([[level]])
        routed = module(x, condition.expand(2, 1), context=Context())
        torch.testing.assert_close(cache.at(condition)(x, context=Context()), routed, atol=1e-5, rtol=0)
    assert len(cache.kept) == 2


def test_r3_routing_ignores_token_content():
    module, condition = mixture(), torch.tensor([[0.3], [-1.0]])
    first = module.weights(noise(2, 5, 8), condition, context=Context())
    second = module.weights(noise(2, 5, 8, seed=5), condition, context=Context())
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[-1])  # but it does look at the noise level
    assert torch.equal(first[:5], first[:1].expand(5, 4))


def test_r3_the_active_share_is_that_of_k_experts():
    module = mixture()
    expert = 6 * 8 + 6 + 8 * 6 + 8
    shared = 2 * 8 + (16 + 16) + (16 * 4 + 4)
    assert module.active_share() == pytest.approx((shared + 2 * expert) / (shared + 4 * expert))


def test_only_what_has_experts_of_its_own_can_be_fused():
    plain = MoE((Vector(4),), experts=2, k=1)
    with pytest.raises(ValueError, match="`module` must have experts of its own and the gate 'condition', found the"):
        fused(plain, Vector(4), torch.ones(1, 1))


def test_what_fits():
    fitting = BUILT_IN["conditioned_router"].fitting
    assert build(ModuleSpec("conditioned_router", fitting((Vector(3),))), [Vector(3)]).output == Vector(2)
    assert fitting(()) is None
    assert fitting((Image(1, 2, 2),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"experts": 2, "k": 3}, "`k` must be at most `experts`, found 3 of 2"),
        ({"experts": 2, "hidden": -1}, "`hidden` must be a whole number of at least 0, found -1"),
        ({"experts": 2, "balance": -1}, "`balance` must be at least 0, found -1"),
        ({"experts": 2, "renormalise": 1}, "`renormalise` must be true or false, found 1"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("conditioned_router", config), [Vector(4)])
