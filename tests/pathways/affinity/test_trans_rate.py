"""TransRate against determinants, and where its form is blind."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pathways.affinity import trans_rate
from pathways.errors import ConfigError, DataError
from pathways.testing import TransferabilitySuite


class TestTransRate(TransferabilitySuite):
    def score(self, features: Tensor, targets: Tensor) -> float:
        return trans_rate(features, targets)


class TestCentredTransRate(TransferabilitySuite):
    def score(self, features: Tensor, targets: Tensor) -> float:
        return trans_rate(features, targets, normalised=True, centred=True)


def some(n: int = 40, d: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n).remainder(10).clamp_max(3)
    x = torch.randn(n, d, generator=generator, dtype=torch.double)
    return x + torch.randn(4, d, generator=generator, dtype=torch.double)[y], y


def bits(rows: np.ndarray, eps: float) -> float:
    """Half the log of the product of eigenvalues of I + Z'Z / (n eps)."""
    eigenvalues = np.linalg.eigvalsh(np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * eps))
    return 0.5 * float(np.log(eigenvalues).sum())


@pytest.mark.parametrize("d", [1, 5, 60])
@pytest.mark.parametrize("eps", [1e-4, 0.5])
def test_it_is_its_equation(d: int, eps: float) -> None:
    x, y = some(d=d)
    z, labels = (x - x.mean(0)).numpy(), y.numpy()
    expected = bits(z, eps)
    for c in range(4):
        expected -= (labels == c).mean() * bits(z[labels == c], eps)
    assert trans_rate(x, y, eps=eps) == pytest.approx(expected, abs=1e-9)


def test_options_are_changes_of_the_features() -> None:
    x, y = some()
    z = x - x.mean(0)
    scaled = z / z.square().sum(1).mean().sqrt()
    assert trans_rate(100 * x, y, normalised=True) == pytest.approx(trans_rate(scaled, y), abs=1e-9)
    parts = [(z[y == c] - z[y == c].mean(0)).numpy() for c in range(4)]
    expected = bits(z.numpy(), 1e-4) - sum(len(p) / 40 * bits(p, 1e-4) for p in parts)
    assert trans_rate(x, y, centred=True) == pytest.approx(expected, abs=1e-9)


def test_two_equal_classes_are_seen_only_when_centred() -> None:
    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    x = torch.cat([noise + 5, -noise - 5])
    y = torch.arange(100) // 50
    assert trans_rate(x, y) == pytest.approx(0, abs=1e-9)
    assert trans_rate(x, y, centred=True) > 1


def test_what_is_wrong_is_said() -> None:
    x, y = some()
    with pytest.raises(ConfigError, match=r"`eps` must be above 0, found 0\.0"):
        trans_rate(x, y, eps=0.0)
    with pytest.raises(DataError, match="TransRate is defined for classes, found values"):
        trans_rate(x, x[:, 0])
