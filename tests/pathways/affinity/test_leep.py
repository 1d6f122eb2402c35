"""LEEP against its definition by loops, and its limits."""

import math

import pytest
import torch
from torch import Tensor

from pathways.affinity import leep, nce
from pathways.errors import DataError
from pathways.testing import TransferabilitySuite


class TestLEEP(TransferabilitySuite):
    def score(self, features: Tensor, targets: Tensor) -> float:
        return leep(features.double().softmax(1), targets)


def some(n: int = 30, z: int = 5) -> tuple[Tensor, Tensor]:
    scores = torch.randn(n, z, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    return scores.softmax(1), torch.arange(n) % 3


def by_loops(p: list[list[float]], y: list[int]) -> float:
    n, sources, classes = len(p), range(len(p[0])), sorted(set(y))
    joint = {(c, z): math.fsum(p[i][z] for i in range(n) if y[i] == c) / n for c in classes for z in sources}
    marginal = {z: math.fsum(joint[c, z] for c in classes) for z in sources}
    terms = (math.log(math.fsum(joint[y[i], z] / marginal[z] * p[i][z] for z in sources)) for i in range(n))
    return math.fsum(terms) / n


def test_it_is_its_definition() -> None:
    p, y = some()
    assert leep(p, y) == pytest.approx(by_loops(p.tolist(), y.tolist()), abs=1e-12)


def test_a_perfect_source_scores_nothing_lost() -> None:
    y = torch.arange(12) % 3
    assert leep(torch.eye(3)[y], y) == 0.0
    finer = torch.eye(6)[2 * y + torch.arange(12) // 6]  # two source classes for each of the target's
    assert leep(finer, y) == 0.0


def test_a_source_that_says_nothing_leaves_the_entropy() -> None:
    y = torch.tensor([0, 0, 0, 1])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert leep(torch.full((4, 5), 0.2, dtype=torch.double), y) == pytest.approx(-entropy, abs=1e-12)


def test_without_doubt_it_is_nce() -> None:
    """Nguyen et al. 2020, section 4: with probabilities of 0 and 1 the two are equal."""
    _, y = some()
    labels = torch.randint(5, (30,), generator=torch.Generator().manual_seed(1))
    assert leep(torch.eye(5, dtype=torch.double)[labels], y) == pytest.approx(nce(labels, y), abs=1e-12)


def test_doubt_costs() -> None:
    """LEEP is never above the NCE of labels that are drawn from the probabilities' columns, here of one column."""
    p, y = some()
    assert leep(p, y) < 0.0
    assert leep(p, y) >= leep(torch.full_like(p, 0.2), y) - 1e-12


def test_source_classes_that_are_never_given_change_nothing() -> None:
    p, y = some()
    assert leep(torch.cat([p, torch.zeros(30, 2)], 1), y) == pytest.approx(leep(p, y), abs=1e-12)


@pytest.mark.parametrize("rows", [torch.full((4, 3), 0.1), torch.ones(4, 3), torch.tensor([[1.5, -0.5]] * 4)])
def test_scores_are_no_probabilities(rows: Tensor) -> None:
    with pytest.raises(DataError, match="must be at least 0 and sum to 1"):
        leep(rows, torch.arange(4))


def test_values_are_refused() -> None:
    with pytest.raises(DataError, match="LEEP is defined for classes"):
        leep(torch.ones(4, 1), torch.rand(4))
