"""Intervals, correlations and stability, beside SciPy and beside counting."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pathways.affinity import Affinity, stability
from pathways.affinity.evidence import (
    mean_interval,
    mean_over,
    order_agreement,
    paired_interval,
    share,
    sign_agreement,
    spearman,
)  # fmt: skip
from pathways.errors import ConfigError, DataError

numbers = st.lists(st.integers(-5, 5).map(float), min_size=4, max_size=12)  # few values: many ties


def test_the_t_interval_is_scipys() -> None:
    values = np.random.default_rng(0).normal(size=7)
    found = mean_interval([*values, np.nan])
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert np.allclose((found.value, found.low, found.high), (values.mean(), low, high))
    assert found.n == 7


def test_an_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = [abs(e.value) <= (e.high - e.low) / 2 for e in (mean_interval(rng.normal(size=3)) for _ in range(1000))]
    assert 0.93 < np.mean(hits) < 0.97


def test_paired_intervals_count_seeds_or_tasks() -> None:
    rng = np.random.default_rng(1)
    hard = rng.normal(size=6) * 10  # tasks differ far more than the two sides do
    one, two = (hard + rng.normal(size=(4, 6)) * 0.1 + shift for shift in (0.5, 0.0))
    found = paired_interval(one - two)
    low, high = stats.ttest_rel(one.mean(1), two.mean(1)).confidence_interval(0.95)
    assert np.allclose((found.low, found.high), (low, high))
    assert found.sign == 1
    assert paired_interval(two - one, over="tasks").sign == -1
    assert paired_interval(one - two, over="tasks").n == 6
    with pytest.raises(ConfigError, match="`over` must be 'seeds' or 'tasks', found 'steps'"):
        paired_interval(one - two, over="steps")  # type: ignore[arg-type]


def test_one_seed_has_no_interval() -> None:
    found = paired_interval(np.ones((1, 3)))
    assert (found.value, found.n, found.sure, found.sign) == (1.0, 1, False, 0)
    assert mean_interval([]).n == 0
    assert np.isnan(mean_interval([]).value)


def test_what_failed_is_left_out() -> None:
    gains = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, np.nan]])
    assert paired_interval(gains).value == 2.5
    assert paired_interval(gains).n == 2
    assert mean_over(gains, 0).tolist() == [2.0, 5.0]


@given(st.data())
def test_spearman_is_scipys_with_ties(data: st.DataObject) -> None:
    x = data.draw(numbers)
    y = data.draw(st.lists(st.integers(-5, 5).map(float), min_size=len(x), max_size=len(x)))
    found = spearman([*x, np.nan], [*y, 1.0])
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(found.value)
    else:
        assert np.isclose(found.value, stats.spearmanr(x, y).statistic, atol=1e-12)
        assert found.n == len(x)


def test_the_interval_of_spearman_is_that_of_the_paper_and_covers() -> None:
    x = np.arange(30.0)
    found = spearman(x, np.r_[x[15:], x[:15]])
    half = 1.959964 * np.sqrt((1 + found.value**2 / 2) / 27)
    expected = np.tanh(np.arctanh(found.value) + np.array([-half, half]))
    assert np.allclose((found.low, found.high), expected, atol=1e-6)
    rng = np.random.default_rng(0)
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # of two normal variables with correlation 0.5
    covered = 0
    for _ in range(500):
        a, b = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=25).T
        found = spearman(a, b)
        covered += found.low <= truth <= found.high
    assert 0.92 < covered / 500 < 0.98


def test_fewer_independent_pairs_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=40)
    b = a + rng.normal(size=40)
    whole, few = spearman(a, b), spearman(a, b, independent=6)
    assert whole.value == few.value
    assert few.low < whole.low
    assert few.high > whole.high
    assert not spearman(a, b, independent=3).sure


@given(numbers, st.data())
def test_sign_agreement_is_counted(x: list[float], data: st.DataObject) -> None:
    y = data.draw(st.lists(st.integers(-5, 5).map(float), min_size=len(x), max_size=len(x)))
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if a and b]
    found = sign_agreement(x, y)
    assert found.n == len(pairs)
    if pairs:
        hits = sum((a > 0) == (b > 0) for a, b in pairs)
        assert found.value == hits / len(pairs)
        expected = stats.binomtest(hits, len(pairs)).proportion_ci(method="wilson")
        assert np.allclose((found.low, found.high), (expected.low, expected.high))


def test_agreement_of_all_is_not_certainty() -> None:
    assert share(6, 6).low < 0.7
    assert share(60, 60, independent=6).low == share(6, 6).low
    assert np.isnan(share(0, 0).value)


def test_order_within_tasks_is_counted() -> None:
    a = [1.0, 2.0, 3.0, 30.0, 20.0, np.nan]
    b = [1.0, 3.0, 2.0, 5.0, 9.0, 1.0]
    found = order_agreement(a, b, ["s", "s", "s", "t", "t", "t"])
    assert found.n == 4  # three pairs of s, one of t that was measured
    assert found.value == 2 / 4
    assert (found.low, found.high) == (share(1, 2).low, share(1, 2).high)


def measured(readings: np.ndarray) -> Affinity:
    names = tuple("abcd"[: readings.shape[-1]])
    return Affinity(names, names, "co-training", "cosine", "cosine", readings)


def closest(affinity: Affinity) -> Iterable[tuple[str, ...]]:
    """`a` with the task that helps it most; all others alone."""
    mate = affinity.sources[1 + int(np.argmax(affinity.values[0, 1:]))]
    return [("a", mate), *((name,) for name in affinity.affected[1:] if name != mate)]


def test_stability_is_the_share_of_samples() -> None:
    clear = np.zeros((3, 20, 4, 4))
    clear[:, :, 0, 1] = 1.0
    found = stability(measured(clear), closest, samples=20, seed=0)
    assert found[0, 1] == found[1, 0] == 1.0
    assert found[0, 2] == found[2, 3] == 0.0
    assert (np.diag(found) == 1.0).all()


def test_stability_of_a_coin_is_a_half() -> None:
    rng = np.random.default_rng(0)
    readings = np.zeros((400, 1, 3, 3))
    readings[:, 0, 0, 1] = rng.permutation(np.arange(400) % 2 * 2.0 - 1)  # as often 1 as -1, against 0
    found = stability(measured(readings), closest, samples=400, seed=1)
    assert abs(found[0, 1] - 0.5) < 0.08
    assert found[0, 1] + found[0, 2] == 1.0


def test_blocks_keep_moments_that_depend_on_each_other() -> None:
    """A slow wave: single moments are drawn as if they were independent, and the grouping looks too sure."""
    wave = np.sin(np.arange(64) * 2 * np.pi / 64) + 0.15
    readings = np.zeros((1, 64, 3, 3))
    readings[0, :, 0, 1] = wave
    alone, blocks = (stability(measured(readings), closest, 200, seed=2, block=b)[0, 1] for b in (1, 32))
    assert alone > blocks + 0.05
    whole = stability(measured(readings), closest, samples=50, seed=2, block=64)
    assert whole[0, 1] == 1.0  # all moments, turned


def test_seeds_decide_and_nothing_else_does() -> None:
    readings = np.random.default_rng(0).normal(size=(2, 9, 4, 4))
    one, two, other = (stability(measured(readings), closest, 30, seed=s) for s in (5, 5, 6))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_pair_that_was_measured_rarely_is_never_lost() -> None:
    readings = np.random.default_rng(0).normal(size=(1, 8, 3, 3))
    readings[0, 1:, 0, 1] = np.nan

    def whole(affinity: Affinity) -> Iterable[tuple[str, ...]]:
        assert np.isfinite(affinity.values).all()
        return closest(affinity)

    assert np.isfinite(stability(measured(readings), whole, samples=30, seed=0)).all()


def test_one_reading_says_nothing_about_stability() -> None:
    assert np.isnan(stability(measured(np.zeros((1, 1, 3, 3))), closest, samples=5, seed=0)).all()


@pytest.mark.parametrize(("changes", "message"), [
    ({"samples": 0}, "`samples` must be at least 1, found 0"),
    ({"block": 9}, "`block` must be between 1 and the 4 moments of a repeat, found 9"),
])
def test_wrong_arguments_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        stability(measured(np.zeros((1, 4, 3, 3))), closest, **{"samples": 5, "seed": 0, **changes})


def test_groups_name_tasks() -> None:
    with pytest.raises(DataError, match=r"`choose` must name tasks of .*, found 'z'"):
        stability(measured(np.zeros((1, 4, 3, 3))), lambda _: [("a", "z")], samples=1, seed=0)
    with pytest.raises(DataError, match="must have equal lengths, found 1 and 2"):
        spearman([1.0], [1.0, 2.0])
