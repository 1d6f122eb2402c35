"""H-score against its definition, its limits and its invariances."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

from pathways.affinity import h_score
from pathways.affinity.h_score import ledoit_wolf
from pathways.errors import ConfigError, DataError
from pathways.testing import TransferabilitySuite


class TestHScore(TransferabilitySuite):
    values = True

    def score(self, features: Tensor, targets: Tensor) -> float:
        return h_score(features, targets)


class TestShrunkHScore(TransferabilitySuite):
    values = True

    def score(self, features: Tensor, targets: Tensor) -> float:
        return h_score(features, targets, shrinkage="ledoit-wolf")


def some(n: int = 60, d: int = 5, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    x = torch.randn(n, d, generator=generator, dtype=torch.double)
    return x + torch.randn(classes, d, generator=generator, dtype=torch.double)[y], y


def by_definition(x: np.ndarray, y: np.ndarray, inverse: np.ndarray) -> float:
    """tr(inverse cov(E[f | y])), the second covariance summed sample by sample."""
    mean = x.mean(0)
    between = np.zeros((x.shape[1], x.shape[1]))
    for label in y:
        centre = x[y == label].mean(0) - mean
        between += np.outer(centre, centre) / len(x)
    return float(np.trace(inverse @ between))


@pytest.mark.parametrize(("n", "d"), [(60, 5), (60, 59), (12, 40)])
def test_it_is_its_definition(n: int, d: int) -> None:
    x, y = some(n, d)
    inverse = np.linalg.pinv(np.cov(x.numpy(), rowvar=False, bias=True), rcond=1e-11)
    assert h_score(x, y) == pytest.approx(by_definition(x.numpy(), y.numpy(), inverse), abs=1e-9)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (12, 40)])
@pytest.mark.parametrize("a", [0.1, 0.7])
def test_the_shrunk_form_is_its_definition(n: int, d: int, a: float) -> None:
    x, y = some(n, d)
    covariance = np.cov(x.numpy(), rowvar=False, bias=True)
    shrunk = (1 - a) * covariance + a * np.trace(covariance) / d * np.eye(d)
    expected = (1 - a) * by_definition(x.numpy(), y.numpy(), np.linalg.inv(shrunk))
    assert h_score(x, y, shrinkage=a) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("n", "d"), [(60, 5), (12, 40), (30, 1)])
def test_the_shrinkage_is_that_of_scikit_learn(n: int, d: int) -> None:
    x, y = some(n, d)
    fitted = LedoitWolf().fit(x.numpy())
    assert ledoit_wolf(x - x.mean(0)) == pytest.approx(fitted.shrinkage_, abs=1e-9)
    expected = (1 - fitted.shrinkage_) * by_definition(x.numpy(), y.numpy(), np.linalg.inv(fitted.covariance_))
    assert h_score(x, y, shrinkage="ledoit-wolf") == pytest.approx(expected, abs=1e-9)


def test_perfect_features_score_classes_less_one() -> None:
    y = torch.arange(50) % 5
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))[y]
    assert h_score(x, y) == pytest.approx(4, abs=1e-6)
    assert h_score(x.double(), y) == pytest.approx(4, abs=1e-9)


def test_invertible_linear_maps_change_nothing() -> None:
    x, y = some()
    generator = torch.Generator().manual_seed(1)
    mapped = x @ torch.randn(5, 5, generator=generator, dtype=torch.double) + 3.0
    assert h_score(mapped, y) == pytest.approx(h_score(x, y), abs=1e-9)
    repeated = torch.cat([x, x, torch.full_like(x, 2.0)], 1)
    assert h_score(repeated, y) == pytest.approx(h_score(x, y), abs=1e-9)


def test_values_score_the_variance_that_they_explain() -> None:
    """Of one value: the squared multiple correlation with the features, by least squares."""
    x, _ = some()
    y = x[:, 0] + torch.randn(60, generator=torch.Generator().manual_seed(2), dtype=torch.double)
    design = np.column_stack([x.numpy(), np.ones(60)])
    residual = y.numpy() - design @ np.linalg.lstsq(design, y.numpy(), rcond=None)[0]
    assert h_score(x, y) == pytest.approx(1 - residual.var() / y.numpy().var(), abs=1e-9)
    assert h_score(x, torch.stack([y, 2 * y], 1)) == pytest.approx(h_score(x, y), abs=1e-9)


def test_what_is_wrong_is_said() -> None:
    x, y = some()
    with pytest.raises(DataError, match=r"shape \(samples, dimensions\).*found \(60,\)"):
        h_score(x[:, 0], y)
    with pytest.raises(DataError, match=r"must be \(60,\) classes .* found \(59,\)"):
        h_score(x, y[1:])
    with pytest.raises(DataError, match="must be finite"):
        h_score(x / 0.0, y)
    for shrinkage in (1.0, -0.1, "ledoit"):
        with pytest.raises(ConfigError, match=f"from 0 to below 1, or 'ledoit-wolf', found {shrinkage!r}"):
            h_score(x, y, shrinkage=shrinkage)  # type: ignore[arg-type]
