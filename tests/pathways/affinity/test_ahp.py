"""AHP: known weights, numpy's eigenvectors, ties, and what Taskonomy published."""

import csv

import numpy as np
import pytest
from helpers_published import published
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from pathways.affinity import ahp, win_rates
from pathways.errors import DataError


def some_wins(n: int, seed: int, ties: float = 0.0) -> np.ndarray:
    """Random shares with w + w' = 1 - ties."""
    upper = np.triu(np.random.default_rng(seed).uniform(0.0, 1.0 - ties, (n, n)), 1)
    return upper + np.tril(1.0 - ties - upper.T, -1)


def by_numpy(wins: np.ndarray) -> np.ndarray:
    """The principal eigenvector of the clipped ratios by a general solver."""
    ratios = np.ones_like(wins)
    for i, row in enumerate(wins):
        for j in range(len(row)):
            if i != j:
                ratios[i, j] = min(max(wins[i, j], 0.001), 0.999) / min(max(wins[j, i], 0.001), 0.999)
    values, vectors = np.linalg.eig(ratios)
    vector = np.real(vectors[:, np.argmax(values.real)])
    return vector / vector.sum()


@given(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=12))
def test_a_consistent_matrix_gives_back_its_weights(weights: list[float]) -> None:
    v = np.array(weights) / sum(weights)
    wins = v[:, None] / (v[:, None] + v)  # so that w / w' = v / v'
    assert np.abs(ahp(wins) - v).max() < 1e-9


@pytest.mark.parametrize("n", [2, 3, 8, 37])
@pytest.mark.parametrize("ties", [0.0, 0.3])
def test_it_is_numpys_principal_eigenvector(n: int, ties: float) -> None:
    for seed in range(5):
        wins = some_wins(n, seed, ties)
        found = ahp(wins)
        assert np.abs(found - by_numpy(wins)).max() < 1e-9
        assert (found > 0).all()
        assert abs(found.sum() - 1) < 1e-12


def test_saturated_wins() -> None:
    order = np.triu(np.ones((6, 6)), 1)  # each beats all after it, always
    assert np.abs(ahp(order) - by_numpy(order)).max() < 1e-9
    assert (np.diff(ahp(order)) < 0).all()
    circle = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])  # moduli of eigenvalues within 0.2 %
    assert np.abs(ahp(circle) - 1 / 3).max() < 1e-9


def test_all_tied_sources_are_equal() -> None:
    assert np.allclose(ahp(win_rates(np.ones((4, 5)))), 0.25, atol=1e-12)


def test_ties_leave_the_ratio_of_what_was_decided() -> None:
    assert np.allclose(ahp([[0.0, 0.3], [0.1, 0.0]]), [0.75, 0.25], atol=1e-12)


def test_one_source_has_it_all() -> None:
    assert ahp([[0.0]]).tolist() == [1.0]
    assert ahp(win_rates([[0.3, 0.2]])).tolist() == [1.0]


def test_another_order_of_sources_is_the_same() -> None:
    wins, order = some_wins(7, 1), np.random.default_rng(0).permutation(7)
    assert np.abs(ahp(wins[np.ix_(order, order)]) - ahp(wins)[order]).max() < 1e-12


def test_win_rates_count_items() -> None:
    rng = np.random.default_rng(0)
    losses = rng.integers(0, 4, (5, 30)).astype(float)
    counted = [[sum(a < b for a, b in zip(i, j, strict=True)) / 30 for j in losses] for i in losses]
    assert win_rates(losses).tolist() == counted
    assert (win_rates(losses) + win_rates(losses).T <= 1).all()


def test_only_the_order_of_an_items_losses_counts() -> None:
    losses = np.random.default_rng(0).normal(size=(5, 30))
    assert np.array_equal(win_rates(np.exp(3 * losses)), win_rates(losses))


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(DataError, match=r"found NaN in rows \[1\]"):
        win_rates([[0.0, 1.0], [np.nan, 1.0]])
    with pytest.raises(DataError, match="shape"):
        win_rates([0.0, 1.0])
    with pytest.raises(DataError, match="square"):
        ahp(np.zeros((2, 3)))
    with pytest.raises(DataError, match="shares of items from 0 to 1"):
        ahp([[0.0, 3.0], [1.0, 0.0]])


# -- what Taskonomy published -------------------------------------------------------------------------------


def table(name: str) -> dict[str, dict[str, float]]:
    with published(name).open() as file:
        rows = list(csv.DictReader(file))
    return {row.pop("target"): {name: float(value) for name, value in row.items() if value} for row in rows}


def transfers() -> dict[str, list[tuple[float, float]]]:
    """By target, the affinity and the win rate against `self` of each transfer, of both orders."""
    affinity, wins = table("affinity_first_order_main.csv"), table("win_vs_self_first_order_main.csv")
    found = {t: [(row[s], wins[t][s]) for s in row] for t, row in affinity.items()}
    with published("higher_order_main.csv").open() as file:
        for row in csv.DictReader(file):
            found[row["target"]].append((float(row["affinity"]), float(row["win_vs_self"])))
    return found


def test_published_affinities_of_a_target_sum_to_one() -> None:
    found = transfers()
    assert len(found) == 22
    assert sum(map(len, found.values())) == 814
    assert all(abs(sum(affinity for affinity, _ in row) - 1) < 1e-9 for row in found.values())


def test_published_affinities_rank_as_win_rates_do() -> None:
    """Less so where hardly a transfer ever wins against `self`: shares near 0 tie."""
    ranks = [spearmanr(*zip(*row, strict=True)).statistic for row in transfers().values()]
    assert np.median(ranks) == pytest.approx(0.981, abs=0.001)
    assert np.mean(ranks) == pytest.approx(0.939, abs=0.001)
