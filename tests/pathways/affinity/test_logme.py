"""LogME against the density of the marginal Gaussian, maximised by another optimizer."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from pathways.affinity import logme
from pathways.errors import DataError
from pathways.testing import TransferabilitySuite


class TestLogME(TransferabilitySuite):
    values = True

    def score(self, features: Tensor, targets: Tensor) -> float:
        return logme(features, targets)


def some(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def log_density(y: np.ndarray, covariance: np.ndarray) -> float:
    """Of Normal(0, covariance) at y."""
    assert np.allclose(covariance, covariance.T)
    return -0.5 * (np.linalg.slogdet(2 * np.pi * covariance)[1] + y @ np.linalg.solve(covariance, y))


def by_density(x: np.ndarray, y: np.ndarray) -> float:
    """The largest log density of Normal(0, I / b + F F' / a) at y, per sample, over log a and log b."""
    def negative(logs: np.ndarray) -> float:
        a, b = np.exp(np.clip(logs, -25, 25))
        return -log_density(y, np.eye(len(y)) / b + x @ x.T / a)

    starts = [(0.0, 0.0), (3.0, 0.0), (-3.0, 3.0), (6.0, 1.0)]
    found = [minimize(negative, s, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11}) for s in starts]
    return -min(f.fun for f in found) / len(y)


@pytest.mark.parametrize(("n", "d"), [(20, 3), (12, 12), (8, 15)])
def test_it_is_the_largest_density(n: int, d: int) -> None:
    x = some(n, d)
    y = x[:, 0] + 0.7 * some(n, 1, seed=1)[:, 0]
    assert logme(x, y) == pytest.approx(by_density(x.numpy(), y.numpy()), abs=1e-8)


def test_classes_are_one_against_the_rest() -> None:
    y = torch.arange(18) % 3
    x = some(18, 4) + torch.eye(4, dtype=torch.double)[y]
    expected = np.mean([by_density(x.numpy(), (y == c).double().numpy()) for c in range(3)])
    assert logme(x, y) == pytest.approx(expected, abs=1e-8)


def test_several_values_are_averaged() -> None:
    x, y = some(20, 3), some(20, 2, seed=1)
    assert logme(x, y) == pytest.approx((logme(x, y[:, 0]) + logme(x, y[:, 1])) / 2, abs=1e-12)


def test_no_point_of_a_fine_grid_is_better() -> None:
    """Also where the evidence is flat, or has its supremum at an end."""
    for seed in range(6):
        x, y = some(15, 6, seed), some(15, 1, seed + 100)[:, 0]
        weak = 0.0 if seed % 2 else 0.5
        y = y + weak * x[:, 0]
        found = logme(x, y)
        for log_t in np.linspace(-20, 20, 200):
            covariance = np.eye(15) + x.numpy() @ x.numpy().T / np.exp(log_t)
            q = y.numpy() @ np.linalg.solve(covariance, y.numpy())
            assert found >= log_density(y.numpy(), covariance * q / 15) / 15 - 1e-9


def test_more_signal_scores_higher() -> None:
    x, noise = some(60, 5), some(60, 1, seed=1)[:, 0]
    noise = noise - x @ torch.linalg.lstsq(x, noise).solution
    signal = x @ torch.ones(5, dtype=torch.double)
    found = []
    for share in (0.3, 0.6, 0.9, 0.99):
        y = share * signal / signal.std() + (1 - share**2) ** 0.5 * noise / noise.std()
        found.append(logme(x, y / y.norm()))
    assert (np.diff(found) > 0.01).all()


def test_the_scale_of_features_does_not_matter() -> None:
    y = torch.arange(30) % 3
    x = some(30, 4) + torch.eye(4, dtype=torch.double)[y]
    for factor in (1e-6, 1e6):
        assert logme(factor * x, y) == pytest.approx(logme(x, y), abs=1e-9)


def test_directions_without_features_change_nothing() -> None:
    """What the released code gets wrong where D > N: more columns of zeros are no more evidence."""
    x, y = some(8, 6), some(8, 1, seed=1)[:, 0]
    wider = torch.cat([x, torch.zeros(8, 20, dtype=torch.double)], 1)
    assert logme(wider, y) == pytest.approx(logme(x, y), abs=1e-12)


def test_a_perfect_fit_is_finite() -> None:
    x = some(30, 3)
    assert 5 < logme(x, x[:, 0]) < 40


def test_values_that_are_all_zero_are_refused() -> None:
    with pytest.raises(DataError, match="must not be zero for all samples"):
        logme(some(5, 2), torch.zeros(5))


def test_standardised_features_are_those_of_any_scale_and_offset() -> None:
    y = torch.arange(30) % 3
    x = some(30, 4) + torch.eye(4, dtype=torch.double)[y]
    z = (x - x.mean(0)) / x.std(0, correction=0)
    moved = x * torch.tensor([1.0, 10.0, 0.1, 5.0]) - 7
    assert logme(moved, y, standardised=True) == pytest.approx(logme(z, y), abs=1e-9)
