"""Gradient cosine against vectors worked out in the test."""

import numpy as np
import pytest
import torch
from planted import TRUTH, Clusters, best_halves

from pathways.affinity import Moment, gradient_cosine
from pathways.testing import CoTrainingEstimatorSuite
from pathways.testing.affinity_co_training import Problem


class TestGradientCosine(CoTrainingEstimatorSuite):
    symmetric = True

    def measure(self, moment):
        return gradient_cosine(moment)


class TestOfMatrices(CoTrainingEstimatorSuite):
    symmetric = True

    def measure(self, moment):
        return gradient_cosine(moment, matrices_only=True)


@pytest.mark.parametrize("matrices_only", [False, True])
def test_it_is_the_cosine_of_all_shared_gradients_as_one_vector(matrices_only):
    problem = Problem(noise=False)
    parameters = [p for p in problem.trunk.parameters() if not matrices_only or p.ndim > 1]
    rows = []
    for loss in problem.losses().values():
        given = torch.autograd.grad(loss, parameters, retain_graph=True)
        row = np.concatenate([g.flatten().double().numpy() for g in given])
        rows.append(row / np.linalg.norm(row))
    found = gradient_cosine(problem.moment(), matrices_only=matrices_only)
    np.testing.assert_allclose(found, np.stack(rows) @ np.stack(rows).T, atol=1e-5)


def test_multiples_of_a_loss_change_nothing():
    problem = Problem(noise=False)
    np.testing.assert_allclose(
        gradient_cosine(problem.moment()), gradient_cosine(problem.moment(scale={"a": 7.0, "c": 0.1})), atol=1e-5
    )


def test_no_gradient_has_no_direction():
    w = torch.ones(2, requires_grad=True)
    moment = Moment(("a", "b"), {"a": lambda: w.sum(), "b": lambda: torch.tensor(3.0)}, {"w": w}, 0.1)
    found = gradient_cosine(moment)
    assert found[0, 0] == pytest.approx(1)
    assert np.isnan([found[0, 1], found[1, 0], found[1, 1]]).all()


@pytest.mark.parametrize("seed", range(5))
def test_planted_clusters_are_found(seed):
    assert best_halves(Clusters(seed).watched(gradient_cosine)) == TRUTH
