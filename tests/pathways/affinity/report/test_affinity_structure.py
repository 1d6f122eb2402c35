"""What a matrix says beyond its cells, beside values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from findings_for_tests import findings
from scipy import stats

from pathways.affinity import Affinity
from pathways.affinity.report.structure import (
    agreement,
    asymmetry,
    early_late,
    first_only,
    intra_minus_inter,
    pairs,
    positive_share,
    serving,
    standardised,
    tree,
)
from pathways.affinity.selection import Network

NAN = np.nan


def matrix(values: object, **changes: object) -> Affinity:
    readings = np.array(values, dtype=float)
    names = tuple("abcd"[: readings.shape[-1]])
    return replace(Affinity(names, names, "co-training", "cosine", "cosine", readings), **changes)  # type: ignore[arg-type]


def test_pairs_follow_the_tasks_and_larger_is_more_help() -> None:
    found = Affinity(("b", "a"), ("a", "b", "self"), "transfer", "ahp", "share", np.arange(6.0).reshape(2, 3))
    assert np.array_equal(pairs(found, ["a", "b"]), [[NAN, 4.0], [0.0, NAN]], equal_nan=True)
    losses = replace(found, higher_is_better=False)
    assert np.array_equal(pairs(losses, ["a", "b"]), [[NAN, -4.0], [-0.0, NAN]], equal_nan=True)
    assert np.array_equal(pairs(found, ["a", "c"]), np.full((2, 2), NAN), equal_nan=True)


def test_places_do_not_change_with_a_rows_own_zero_and_scale() -> None:
    values = np.random.default_rng(0).normal(size=(4, 4))
    np.fill_diagonal(values, NAN)
    other = values * np.array([[1.0], [1e-3], [50.0], [2.0]]) + np.array([[0.0], [9.0], [-800.0], [1.0]])
    assert np.allclose(standardised(values), standardised(other), equal_nan=True)
    row = values[1][np.isfinite(values[1])]
    assert np.allclose(standardised(values)[1][np.isfinite(values[1])], (row - np.median(row)) / row.std())


def test_a_constant_row_stands_in_the_middle_and_an_empty_one_nowhere() -> None:
    found = standardised(np.array([[NAN, 0.1, 0.1], [NAN, NAN, NAN]]))
    assert found[0, 1:].tolist() == [0.0, 0.0]
    assert np.isnan(found[1]).all()


def test_asymmetry_of_a_symmetric_and_of_a_one_sided_matrix() -> None:
    even = np.array([[NAN, 2.0, 1.0], [2.0, NAN, -3.0], [1.0, -3.0, NAN]])
    assert asymmetry(even)[1] == 0.0
    assert np.nansum(asymmetry(even)[0]) == 0.0
    assert asymmetry(np.array([[NAN, 4.0], [0.0, NAN]]))[1] == 1.0
    half = asymmetry(np.array([[NAN, 4.0, NAN], [1.0, NAN, 5.0], [2.0, NAN, NAN]]))
    assert half[1] == 3 / 5  # pairs measured in one direction say nothing
    assert np.isnan(half[0][1, 2])


def test_positive_pairs_are_counted() -> None:
    found = positive_share(np.array([[NAN, 1.0], [-1.0, NAN]]))
    assert (found.value, found.n) == (0.5, 2)


def test_serving_follows_the_network_that_serves() -> None:
    some = findings(tasks=4)
    a, b, c, d = some.tasks
    chosen = replace(
        some.selection, networks=(Network((a, b, c)), Network((c, d))), serves={a: 0, b: 0, c: 1, d: 1}
    )
    found = serving(replace(some, selection=chosen))
    assert found.astype(int).tolist() == [[0, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    values = np.where(np.eye(4, dtype=bool), NAN, np.arange(16.0).reshape(4, 4))
    inside = np.mean([1, 2, 4, 6, 11, 14])
    outside = np.mean([3, 7, 8, 9, 12, 13])
    assert np.isclose(intra_minus_inter(values, found), inside - outside)
    assert np.isnan(intra_minus_inter(values, np.zeros((4, 4), dtype=bool)))


def test_early_against_late_is_spearman_of_the_halves() -> None:
    rng = np.random.default_rng(0)
    found = matrix(rng.normal(size=(2, 5, 4, 4)))
    halves = early_late(found, "abcd")
    assert halves is not None
    early, late = found.course[:2].mean(0), found.course[2:].mean(0)
    off = ~np.eye(4, dtype=bool)
    for i, task in enumerate("abcd"):
        expected = stats.spearmanr(early[i][off[i]], late[i][off[i]]).statistic
        assert np.isclose(halves.rows[task].value, expected)
    whole = stats.spearmanr(*(standardised(pairs(found, "abcd", half))[off] for half in (early, late)))
    assert np.isclose(halves.all.value, whole.statistic)
    assert early_late(matrix(np.zeros((2, 1, 4, 4))), "abcd") is None


def test_estimators_are_compared_within_rows() -> None:
    values = np.random.default_rng(0).normal(size=(4, 4))
    other = 3.0 * values + np.array([[100.0], [0.0], [-100.0], [5.0]])
    assert np.isclose(agreement(matrix(values), matrix(other), "abcd").value, 1.0)
    assert np.isclose(agreement(matrix(values), matrix(other, higher_is_better=False), "abcd").value, -1.0)


def test_the_tree_joins_those_that_rank_each_other_first() -> None:
    values = np.array([[NAN, 9, 1, 2], [8, NAN, 2, 1], [1, 2, NAN, 7], [1, 3, 9, NAN]], dtype=float)
    linked = tree(values)
    assert linked is not None
    assert {tuple(sorted(row[:2].astype(int))) for row in linked[:2]} == {(0, 1), (2, 3)}
    assert linked[:2, 2].tolist() == [0.0, 0.0]
    assert tree(np.full((1, 1), NAN)) is None
    unknown = tree(np.full((3, 3), NAN))
    assert unknown is not None
    assert unknown[:, 2].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("longest", "kept"), [(4, 4), (3, 3)])
def test_higher_orders_are_left_out_where_there_is_no_room(longest: int, kept: int) -> None:
    found = Affinity(("a",), ("a", "b", "self", "a|b"), "transfer", "ahp", "share", np.ones((1, 4)))
    assert len(first_only(found, longest).sources) == kept
