"""NCE against scikit-learn's counts, and its limits."""

import math

import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import Tensor

from pathways.affinity import nce
from pathways.errors import DataError
from pathways.testing import TransferabilitySuite


class TestNCE(TransferabilitySuite):
    def score(self, features: Tensor, targets: Tensor) -> float:
        return nce(features.argmax(1), targets)


def entropy(labels: Tensor) -> float:
    shares = torch.bincount(labels).double() / len(labels)
    return -float(sum(p * math.log(p) for p in shares.tolist() if p))


def test_it_is_the_information_less_the_entropy() -> None:
    """-H(Y | Z) = I(Y; Z) - H(Y)."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        y, z = torch.randint(4, (50,), generator=generator), torch.randint(6, (50,), generator=generator)
        assert nce(z, y) == pytest.approx(mutual_info_score(y, z) - entropy(y), abs=1e-12)


def test_limits() -> None:
    y = torch.tensor([0, 0, 1, 2, 2, 2])
    assert nce(y, y) == 0.0
    assert nce(torch.arange(6), y) == 0.0
    assert nce(torch.zeros(6, dtype=torch.long), y) == pytest.approx(-entropy(y), abs=1e-12)


def test_the_names_of_source_labels_do_not_matter() -> None:
    y, z = torch.arange(20) % 3, torch.arange(20) % 4
    assert nce(z * -7 + 3, y) == nce(z, y)


def test_what_is_wrong_is_said() -> None:
    y = torch.arange(4)
    with pytest.raises(DataError, match="must be integers"):
        nce(torch.rand(4), y)
    with pytest.raises(DataError, match="must be integers"):
        nce(torch.zeros(4, 2, dtype=torch.long), y)
    with pytest.raises(DataError, match="NCE is defined for classes"):
        nce(y, torch.rand(4))
