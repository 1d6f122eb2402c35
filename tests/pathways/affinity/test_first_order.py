"""First-order lookahead: the limit of small steps, exact on quadratics with curvature; both ways to its Gram matrix."""

import numpy as np
import pytest
import torch
from planted import TRUTH, Clusters, Quadratic, best_halves
from torch import nn

from pathways.affinity import Moment, first_order, lookahead
from pathways.affinity.gram import gram
from pathways.errors import ConfigError, DataError
from pathways.testing import CoTrainingEstimatorSuite
from pathways.testing.affinity_co_training import Problem


class TestFirstOrder(CoTrainingEstimatorSuite):
    def measure(self, moment):
        return first_order(moment)


class TestOneAfterAnother(CoTrainingEstimatorSuite):
    def measure(self, moment):
        return first_order(moment, lockstep=False)


class TestSecondOrder(CoTrainingEstimatorSuite):
    def measure(self, moment):
        return first_order(moment, second_order=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_with_curvature_it_is_exact_on_quadratics(seed, rate):
    problem = Quadratic(seed)
    found = first_order(problem.moment(rate), second_order=True)
    np.testing.assert_allclose(found, problem.by_hand(rate), rtol=0, atol=1e-9)


def test_without_it_errors_fall_with_the_square_of_the_rate():
    problem = Quadratic(1)
    errors = [np.abs(first_order(problem.moment(r)) - lookahead(problem.moment(r))).max() for r in (1e-2, 1e-3, 1e-4)]
    np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], [100, 100], rtol=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_planted_clusters_are_found(seed):
    assert best_halves(Clusters(seed).watched(first_order)) == TRUTH


def by_autograd(problem):
    parameters = list(problem.trunk.parameters())
    rows = []
    for loss in problem.losses().values():
        given = torch.autograd.grad(loss, parameters, retain_graph=True)
        rows.append(torch.cat([g.flatten() for g in given]).double().numpy())
    return np.stack(rows) @ np.stack(rows).T


@pytest.mark.parametrize("lockstep", [True, False, None])
def test_both_ways_give_the_products_of_gradients(lockstep):
    problem = Problem(noise=False)
    losses, products = gram(problem.moment(), lockstep=lockstep)
    np.testing.assert_allclose(products, by_autograd(problem), rtol=1e-5)
    np.testing.assert_array_equal(products, products.T)
    assert losses == {task: loss.item() for task, loss in problem.losses().items()}


def test_a_trunk_of_convolutions_with_a_layer_used_twice():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(6, 1, 8, 8, generator=draw)
    first, again = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    heads = [nn.Linear(4, 3) for _ in range(3)]

    def losses():
        features = again(torch.relu(again(torch.relu(first(x))))).mean((2, 3))
        return {t: head(features).square().mean() for t, head in zip("abc", heads, strict=True)}

    shared = dict(nn.ModuleList([first, again]).named_parameters())
    moment = Moment(("a", "b", "c"), losses, shared, 0.1)
    np.testing.assert_allclose(gram(moment, lockstep=True)[1], gram(moment, lockstep=False)[1], rtol=1e-4)


def test_losses_that_were_made_before_are_enough():
    """Gradients need no second forward pass, and the graph can still be used afterwards."""
    problem = Problem()
    losses = problem.losses()
    moment = Moment(tuple(losses), lambda: losses, dict(problem.trunk.named_parameters()), 0.1)
    for lockstep in (True, False):
        assert np.isfinite(first_order(moment, lockstep=lockstep)).all()
    torch.stack(list(losses.values())).sum().backward()


def peak(tasks, lockstep):
    from torch.profiler import ProfilerActivity, profile

    trunk = nn.Sequential(*[nn.Linear(128, 128) for _ in range(6)])
    heads = [nn.Linear(128, 2) for _ in range(tasks)]
    x = torch.ones(2, 128)

    def losses():
        features = trunk(x)
        return {str(i): head(features).square().mean() for i, head in enumerate(heads)}

    moment = Moment(tuple(map(str, range(tasks))), losses, dict(trunk.named_parameters()), 0.1)
    gram(moment, lockstep=lockstep)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        gram(moment, lockstep=lockstep)
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    return np.cumsum([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())]).max() / (128 * 128 * 4)


def test_in_lockstep_it_needs_the_gradients_of_one_layer():
    """In units of one layer of six: the Gram matrix of 8 tasks holds those of one or two layers at a time, not 48."""
    assert peak(8, True) < 20
    assert peak(8, False) > 44


def test_lockstep_needs_one_function():
    with pytest.raises(ConfigError, match=r"`lockstep` needs `moment\.losses` to be one function"):
        first_order(Problem(together=False).moment(), lockstep=True)


def test_a_network_that_cannot_be_batched_is_told():
    class Odd(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            return gradient * (2.0 if gradient.sum().item() < 1e9 else 3.0)

    w = torch.ones(3, requires_grad=True)
    moment = Moment(("a", "b"), lambda: {"a": Odd.apply(w).sum(), "b": w.sum()}, {"w": w}, 0.1)
    with pytest.raises(ConfigError, match="`lockstep` must be False"):
        first_order(moment)
    assert first_order(moment, lockstep=False).round(3).tolist() == [[0.2, 0.1], [0.2, 0.1]]


def test_a_loss_that_is_not_finite_is_named():
    w = torch.ones(1, requires_grad=True)
    moment = Moment(("a", "b"), lambda: {"a": w.sum(), "b": (w - 1).log().sum()}, {"w": w}, 0.1)
    for options in ({}, {"lockstep": False}, {"second_order": True}):
        with pytest.raises(DataError, match="the loss of task 'b' must be a finite number, found -inf"):
            first_order(moment, **options)
