import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.modules import Context, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestTopKRouter(ModuleFamilySuite):
    spec = ModuleSpec("topk_router", {"experts": 5, "k": 2})
    ports = (Vector(6),)
    refused = ((), (Tokens(3, 6),))
    draws = False


def make(experts=5, k=2, dim=6, seed=0, **config):
    """A router whose gates are drawn, as after training."""
    spec = ModuleSpec("topk_router", {"experts": experts, "k": k, **config})
    router = build(spec, [Vector(dim)], torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return router


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=40)
@given(experts=st.integers(1, 8), data=st.data(), seed=st.integers(0, 1000), train=st.booleans())
def test_exactly_k_weights_that_sum_to_one(experts, data, seed, train):
    k = data.draw(st.integers(1, experts))
    router = make(experts, k, seed=seed).train(train)
    weights = router(noise(16, 6, seed=seed), context=Context(generator=torch.Generator().manual_seed(seed)))
    assert bool(((weights > 0).sum(1) == k).all())
    torch.testing.assert_close(weights.sum(1), torch.ones(16))


def test_the_weights_are_a_softmax_over_the_highest_scores():
    router = make(k=3).eval()
    x = noise(7, 6)
    scores = router.gate(x)
    weights = router(x, context=Context())
    for row, weight in zip(scores, weights, strict=True):
        chosen = row.topk(3).indices
        torch.testing.assert_close(weight[chosen], row[chosen].softmax(0))


def test_equal_scores_go_to_the_first():
    router = build(ModuleSpec("topk_router", {"experts": 4, "k": 2}), [Vector(3)], torch.Generator()).eval()
    assert router(torch.ones(2, 3), context=Context()).tolist() == [[0.5, 0.5, 0.0, 0.0]] * 2


def test_a_fresh_router_in_training_spreads_over_all_experts():
    router = build(ModuleSpec("topk_router", {"experts": 4, "k": 1}), [Vector(3)], torch.Generator()).train()
    context = Context(generator=torch.Generator().manual_seed(0))
    shares = router(torch.ones(4000, 3), context=context).mean(0)
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.04, rtol=0)


def test_noise_only_in_training_and_with_a_generator():
    router, x = make(), noise(9, 6)

    def run(seed):
        return router(
            x, context=Context(generator=None if seed is None else torch.Generator().manual_seed(seed))
        )

    router.eval()
    assert torch.equal(run(1), run(None))
    router.train()
    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    assert torch.equal(run(None), router.eval()(x, context=Context()))


def test_balance_is_added_in_training_only():
    router, x = make(balance=0.3), noise(9, 6)
    context = Context()
    weights = router.train()(x, context=context)
    importance = weights.sum(0)
    expected = 0.3 * importance.var(unbiased=False) / importance.mean() ** 2
    assert [name for name, _ in context.losses] == ["balance"]
    torch.testing.assert_close(context.losses[0][1], expected)
    silent = Context()
    router.eval()(x, context=silent)
    make(balance=0.0).train()(x, context=silent)
    assert silent.losses == []


def test_the_load_is_the_chance_of_being_chosen_again():
    from pathways.modules.routing.gating import chances as chance_of

    router, x = make(experts=4, k=2, seed=3), noise(1, 6, seed=4)
    clean, deviation = router.gate(x).detach() / 3, torch.tensor([[0.5, 1.0, 1.5, 0.8]])
    noisy = clean + deviation * noise(1, 4, seed=5)
    chances = chance_of(clean, noisy, deviation, 2)
    for expert in range(4):
        again = noisy.expand(40_000, 4).clone()
        again[:, expert] = clean[0, expert] + deviation[0, expert] * noise(40_000, seed=6)
        chosen = (again.topk(2).indices == expert).any(1).float().mean()
        assert float(chosen) == pytest.approx(float(chances[0, expert]), abs=0.01)


def test_balance_punishes_a_router_with_a_favourite():
    even, biased = make(experts=4, k=2), make(experts=4, k=2)
    x = torch.cat([noise(64, 5), torch.ones(64, 1)], 1)
    with torch.no_grad():
        even.gate.weight.zero_()
        biased.gate.weight.zero_()
        biased.gate.weight[0, 5] = 20.0
    losses = []
    for router in (even, biased):
        context = Context(generator=torch.Generator().manual_seed(0))
        router.train()(x, context=context)
        losses.append(context.total_loss().item())
    assert losses[1] > 5 * losses[0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"experts": 2, "k": 3}, "`k` must be at most `experts`, found 3 of 2"),
        ({"experts": 2, "k": 0}, "`k` must be a whole number of at least 1, found 0"),
        ({"experts": 2, "k": 1, "balance": -1}, "`balance` must be at least 0, found -1"),
        ({"experts": 2, "k": 1, "balance": float("nan")}, "`balance` must be a finite number, found nan"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("topk_router", config), [Vector(4)])
