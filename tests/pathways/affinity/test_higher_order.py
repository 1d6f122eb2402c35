"""The mean of pairs, and the scores of all groups."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pathways.affinity import Affinity, PerformanceTable, choose, hoa
from pathways.affinity.higher_order import group_scores, groups_of, scored
from pathways.errors import ConfigError, DataError

nan = float("nan")


@given(arrays(np.float64, (15, 4), elements=st.floats(0, 1)))
def test_large_networks_are_the_mean_of_their_pairs_and_others_stay(losses):
    groups = [g for size in (1, 2, 3, 4) for g in itertools.combinations(range(4), size)]
    inside = np.array([[j in group for j in range(4)] for group in groups])
    table = PerformanceTable(tuple("abcd"), tuple(map(str, groups)), (1,) * 15, np.where(inside, losses, nan))
    found = hoa(table)
    for row, group in enumerate(groups):
        for j in group:
            of_pair = {i: losses[groups.index(tuple(sorted((i, j)))), j] for i in group if i != j}
            expected = losses[row, j] if len(group) < 3 else np.mean(list(of_pair.values()))
            assert found.values[row, j] == pytest.approx(expected)
    assert np.array_equal(found.holds, table.holds)


def test_pairs_that_were_not_measured():
    rows = [[1, 2, nan], [7, 8, 9]]
    table = PerformanceTable(tuple("abc"), ("ab", "abc"), (1, 1), rows)
    assert np.array_equal(hoa(table).values[1], [1, 2, nan], equal_nan=True)
    with pytest.raises(DataError, match="a measured pair of 'abc', found none"):
        hoa(PerformanceTable(tuple("abc"), ("abc",), (1,), rows[1:]))


def test_a_network_keeps_its_tasks_where_none_of_their_pairs_was_measured():
    rows = [[1, 2, nan, nan], [7, 8, 9, nan], [nan, nan, nan, 3], [nan, nan, 6, nan]]
    predicted = hoa(PerformanceTable(tuple("abcd"), ("ab", "abc", "d", "c"), (1, 1, 1, 1), rows))
    assert predicted.members(1) == ("a", "b", "c")
    assert choose(predicted, 3, "disjoint").groups == (("a", "b"), ("d",), ("c",))


def test_the_tasks_of_a_network_are_at_least_those_with_a_value():
    rows = [[1, nan], [nan, 2]]
    table = PerformanceTable(("a", "b"), ("n", "m"), (1, 1), rows, groups=(("a", "b"), ("b",)))
    assert table.all_members() == (("a", "b"), ("b",))
    assert table.whole().names == ("m",)
    assert PerformanceTable(("a", "b"), ("n", "m"), (1, 1), rows).all_members() == (("a",), ("b",))
    for groups in ((("b",), ("b",)), (("a",),)):
        with pytest.raises(DataError, match="`groups` must hold, for each network"):
            PerformanceTable(("a", "b"), ("n", "m"), (1, 1), rows, groups=groups)


def test_all_groups_in_their_order():
    members = groups_of(3)
    assert ["".join("abc"[i] for i in np.flatnonzero(row)) for row in members] == [
        "a", "b", "c", "ab", "ac", "bc", "abc",
    ]  # fmt: skip


def test_scores_of_groups():
    matrix = np.array([[9, 1, 2], [3, 9, nan], [5, 6, 9]])
    scores = group_scores(matrix, np.array([0.5, 0.25, nan]), groups_of(3))
    assert np.array_equal(scores, [
        [0.5, nan, nan], [nan, 0.25, nan], [nan, nan, nan], [1, 3, nan], [2, nan, 5], [nan, nan, 6], [1.5, nan, 5.5],
    ], equal_nan=True)  # fmt: skip
    pairs = Affinity(tuple("abc"), tuple("cab"), "co-training", "table", "", matrix[:, [2, 0, 1]])
    table = scored(pairs, "diagonal")
    assert np.array_equal(table.values[0], [9, nan, nan], equal_nan=True)
    assert table.values[-1, 0] == 1.5
    assert table.mean
    with pytest.raises(ConfigError, match="kind 'co-training'"):
        scored(Affinity(("a",), ("a",), "transfer", "table", "", np.ones((1, 1))))
