"""Lookahead affinity: the formula on quadratics, its options, sampled sources, what it refuses."""

import numpy as np
import pytest
import torch
from planted import TRUTH, Clusters, Quadratic, best_halves

from pathways.affinity import Moment, lookahead
from pathways.errors import ConfigError, DataError
from pathways.testing import CoTrainingEstimatorSuite
from pathways.testing.affinity_co_training import Problem


class TestLookahead(CoTrainingEstimatorSuite):
    def measure(self, moment):
        return lookahead(moment)


class TestWithMomentumAndDecay(CoTrainingEstimatorSuite):
    def measure(self, moment):
        return lookahead(moment, momentum=True, weight_decay=True, per_rate=True)

    def test_rows_are_affected_and_columns_sources(self):
        """Momentum and decay add to every column: a larger loss does not multiply them."""

    def test_a_quiet_task_has_no_effect(self):
        """Its step is that of momentum and decay."""


class TestSampledSources(CoTrainingEstimatorSuite):
    def measure(self, moment):
        return lookahead(moment, sources=1, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("options", "by_hand"), [
    ({}, {}),
    ({"weight_decay": True}, {"decay": 0.02}),
    ({"momentum": True}, {"momentum": 0.9}),
    ({"momentum": True, "weight_decay": True}, {"momentum": 0.9, "decay": 0.02}),
])
def test_on_quadratics_it_is_one_minus_the_ratio_worked_out_by_hand(seed, options, by_hand):
    problem = Quadratic(seed)
    expected = problem.by_hand(0.05, **by_hand)
    np.testing.assert_allclose(lookahead(problem.moment(0.05), **options), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        lookahead(problem.moment(0.05), per_rate=True, **options), expected / 0.05, rtol=0, atol=1e-9
    )


def test_momentum_and_decay_are_those_of_sgd():
    """A step of `torch.optim.SGD` on one task's loss, from the joint optimizer's velocity, gives the same losses."""
    problem = Problem(noise=False)
    for _ in range(2):
        problem.step()
    moment = problem.moment()
    reading = lookahead(moment, momentum=True, weight_decay=True)
    before = problem.losses()
    heads = {name: value.clone() for name, value in problem.heads.state_dict().items()}
    problem.optimizer.zero_grad()
    before["c"].backward(retain_graph=True)
    problem.optimizer.step()
    problem.heads.load_state_dict(heads)
    after = problem.losses()
    expected = [1 - after[task].item() / before[task].item() for task in before]
    np.testing.assert_allclose(reading[:, 2], expected, atol=2e-6)


def test_drawn_sources_have_the_columns_of_a_full_measurement():
    problem = Problem()
    full = lookahead(problem.moment())
    generator = torch.Generator().manual_seed(1)
    drawn = set()
    for _ in range(30):
        part = lookahead(problem.moment(), sources=2, generator=generator)
        columns = np.flatnonzero(np.isfinite(part).all(axis=0))
        assert len(columns) == 2
        assert np.isnan(np.delete(part, columns, axis=1)).all()
        np.testing.assert_array_equal(part[:, columns], full[:, columns])
        drawn.add(tuple(columns))
    assert len(drawn) == 6


@pytest.mark.parametrize("seed", range(5))
def test_planted_clusters_are_found(seed):
    assert best_halves(Clusters(seed).watched(lookahead)) == TRUTH


def test_sources_need_a_generator_of_their_own():
    problem = Problem()
    with pytest.raises(ConfigError, match="`generator` must be given with `sources`"):
        lookahead(problem.moment(), sources=1)
    with pytest.raises(ConfigError, match=r"must not be one of `moment\.generators`"):
        lookahead(problem.moment(), sources=1, generator=problem.generator)
    with pytest.raises(ConfigError, match="at least 1, or `None` for all, found 0"):
        lookahead(problem.moment(), sources=0, generator=torch.Generator())


def test_losses_that_were_made_before_are_refused():
    problem = Problem()
    losses = problem.losses()
    moment = Moment(tuple(losses), lambda: losses, dict(problem.trunk.named_parameters()), 0.1)
    with pytest.raises(ConfigError, match="gave the same tensor twice"):
        lookahead(moment)


def one(*losses):
    w = torch.tensor([1.0], requires_grad=True)
    return Moment(("a", "b"), {t: (lambda f=f: f(w)) for t, f in zip("ab", losses)}, {"w": w}, 0.5)  # noqa: B905


def test_losses_of_zero_have_no_relative_change():
    reading = lookahead(one(lambda w: w.sum() ** 2, lambda w: 0 * w.sum()))
    assert np.isnan(reading[1]).all()
    assert reading[0].tolist() == [1.0, 0.0]


def test_losses_that_cannot_be_divided_by_are_named():
    with pytest.raises(DataError, match=r"the loss of task 'b' must be positive .* found -1"):
        lookahead(one(lambda w: w.sum() ** 2, lambda w: -w.sum()))
    with pytest.raises(DataError, match="the loss of task 'b' must be a finite number, found nan"):
        lookahead(one(lambda w: w.sum() ** 2, lambda w: (w - 2).log().sum()))
    with pytest.raises(DataError, match="the loss of task 'b' after a step of 'a' must be a finite number"):
        lookahead(one(lambda w: 4 * w.sum(), lambda w: w.log().sum() + 1))
    with pytest.raises(DataError, match=r"the loss of task 'b' must be one number, found the shape \(2,\)"):
        lookahead(one(lambda w: w.sum() ** 2, lambda w: torch.cat([w, w])))
