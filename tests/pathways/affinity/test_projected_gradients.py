"""Projected gradients: right on average, errors as stated, one gradient at a time."""

import numpy as np
import pytest
import torch
from planted import TRUTH, Clusters, best_halves

from pathways.affinity import first_order, projected_gradients
from pathways.affinity.projection import Projection
from pathways.errors import ConfigError
from pathways.testing import CoTrainingEstimatorSuite
from pathways.testing.affinity_co_training import Problem


class TestProjectedGradients(CoTrainingEstimatorSuite):
    def measure(self, moment):
        return projected_gradients(moment, generator=torch.Generator().manual_seed(5))


class TestDense(CoTrainingEstimatorSuite):
    def measure(self, moment):
        return projected_gradients(moment, dims=32, dense=True)


@pytest.mark.parametrize("dense", [True, False])
def test_inner_products_are_unbiased(dense):
    """The mean over 400 projections is within four standard errors of the exact product, and errors are as large as
    said.
    """
    draw = torch.Generator().manual_seed(0)
    vectors = {"w": torch.randn(2, 20, 5, generator=draw).double(), "b": torch.randn(2, 30, generator=draw).double()}
    flat = torch.cat([part.flatten(1) for part in vectors.values()], 1)
    exact = float(flat[0] @ flat[1])
    found = np.array([float(p[0] @ p[1]) for p in (Projection(16, seed, dense)(vectors) for seed in range(400))])
    assert abs(found.mean() - exact) < 4 * found.std() / 20
    # Var = (|x|²|y|² + (x·y)² - 2 Σ x²y²) / dims for random signs, dense or one a column
    variance = float(flat[0] @ flat[0] * (flat[1] @ flat[1]) + exact**2 - 2 * (flat[0] * flat[1]).square().sum()) / 16
    assert 0.75 < found.var() / variance < 1.35


@pytest.mark.parametrize("dense", [True, False])
def test_back_is_the_transpose(dense):
    projection = Projection(6, 1, dense)
    parts = {"w": torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0)), "b": torch.ones(1, 5)}
    w = torch.arange(6.0)
    lifted = projection.back(w, {name: part[0] for name, part in parts.items()})
    inner = sum(float((lifted[name] * parts[name][0]).sum()) for name in parts)
    assert inner == pytest.approx(float(projection(parts)[0] @ w), rel=1e-5)


def test_entries_of_a_dense_projection():
    matrix = Projection(4, 0, dense=True)({"w": torch.eye(50)})
    assert set(matrix.flatten().tolist()) == {-0.5, 0.5}


def test_the_mean_over_measurements_is_the_first_order():
    problem = Problem(noise=False)
    exact = first_order(problem.moment())
    generator = torch.Generator().manual_seed(0)
    each = np.stack([projected_gradients(problem.moment(), dims=64, generator=generator) for _ in range(200)])
    error = each.std(axis=0) / np.sqrt(200)
    assert (np.abs(each.mean(axis=0) - exact) < 4.5 * error + 1e-9).all()


@pytest.mark.parametrize("seed", range(5))
def test_planted_clusters_are_found(seed):
    assert best_halves(Clusters(seed).watched(projected_gradients)) == TRUTH


def test_at_least_one_dimension():
    with pytest.raises(ConfigError, match="`dims` must be at least 1, found 0"):
        projected_gradients(Problem().moment(), dims=0)
