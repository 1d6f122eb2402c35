"""The other ways to split tasks, and value against budget."""

import numpy as np
import pytest

from pathways.affinity import Affinity, PerformanceTable, choose, random_selections, value_curve
from pathways.affinity.ways import all_in_one, greedy, separate, value_on
from pathways.errors import ConfigError, DataError

nan = float("nan")
ROWS = {"a": [3, nan, nan], "b": [nan, 3, nan], "c": [nan, nan, 3], "ab": [2, 2, nan], "ac": [5, nan, 1],
        "bc": [nan, 1, 4], "abc": [2.5, 2.5, 2.5]}  # fmt: skip
TABLE = PerformanceTable(tuple("abc"), tuple(ROWS), (1,) * 7, list(ROWS.values()))


def pairs(matrix):
    names = tuple(f"t{i}" for i in range(len(matrix)))
    return Affinity(names, names, "co-training", "table", "", matrix)


def test_each_way_is_what_its_name_says():
    assert [network.name for network in all_in_one(TABLE).networks] == ["abc"]
    assert separate(TABLE).groups == (("a",), ("b",), ("c",))
    assert separate(TABLE).value == 9
    with pytest.raises(ConfigError, match="must be at least 3"):
        separate(TABLE, 2)
    assert greedy(TABLE, 2).value >= choose(TABLE, 2).value
    only = PerformanceTable(tuple("ab"), ("a", "b"), (1, 1), [[1, nan], [nan, 1]])
    with pytest.raises(ConfigError, match="a network of all tasks"):
        all_in_one(only)
    with pytest.raises(ConfigError, match="one of 'a' alone"):
        separate(PerformanceTable(tuple("ab"), ("ab", "b"), (1, 1), [[1, 1], [nan, 1]]))


def test_greedy_is_not_exact():
    """The largest gain first, a network of three tasks, leaves no room for the two that are better."""
    rows = [[2, 2, 2, 2], [0, 0, nan, nan], [nan, nan, 0, 0], [0.1, 0.1, 0.1, nan]]
    table = PerformanceTable(tuple("abcd"), tuple("wxyz"), (1, 1, 1, 1), rows)
    assert greedy(table, 2).value == pytest.approx(0.2)
    assert choose(table, 2).value == 0
    assert choose(table, 2, solver="greedy").value == 0  # swaps find it


@pytest.mark.parametrize("rule", [None, "disjoint"])
def test_random_choices_are_allowed_differ_and_follow_the_seed(rule):
    def drawn(seed):
        found = random_selections(TABLE, 2, 30, np.random.default_rng(seed), rule)
        return [tuple(network.name for network in selection.networks) for selection in found]

    assert drawn(0) == drawn(0)
    assert len(set(drawn(0))) > 2
    for names in drawn(1):
        tasks = [task for name in names for task in name]
        assert set(tasks) == set("abc")
        assert len(names) <= 2
        assert rule is None or len(tasks) == 3


def test_random_choices_where_hardly_any_serves_all():
    names = tuple(f"t{i}" for i in range(11))
    one = random_selections(pairs(np.eye(11)), 1, 3, np.random.default_rng(0))
    assert {selection.groups for selection in one} == {(names,)}
    found = random_selections(pairs(np.eye(11)), 2, 20, np.random.default_rng(0), "disjoint")
    assert len({selection.groups for selection in found}) > 5
    with pytest.raises(ConfigError, match="suffice"):
        random_selections(TABLE, 0, 1, np.random.default_rng(0))


def test_value_on_another_table():
    found = choose(TABLE, 2)
    assert [network.name for network in found.networks] == ["ac", "ab"] or found.value == 5
    other = PerformanceTable(TABLE.tasks, TABLE.names, TABLE.costs, np.where(TABLE.holds, 10 - TABLE.values, nan))
    rows = [TABLE.names.index(network.name) for network in found.networks]
    best, served = value_on(other, found)
    assert best == np.nanmin(other.values[rows], axis=0).sum()
    assert served == sum(other.values[rows[at], TABLE.tasks.index(task)] for task, at in found.serves.items())
    assert served > best
    with pytest.raises(DataError, match="found no 'a"):
        value_on(PerformanceTable(("a",), ("x",), (1,), [[1]]), found)


def test_the_curve_of_a_performance_table():
    curve = value_curve(TABLE, [0.5, 1, 2, 3], np.random.default_rng(0), draws=20, unit="loss")
    assert curve.rule == "standley"
    assert set(curve.predicted) == {"exact", "hoa", "greedy", "random", "all-in-one", "separate"}
    assert all(np.isnan(ways[0]) for ways in curve.predicted.values())
    exact = curve.predicted["exact"][1:]
    assert exact.tolist() == [choose(TABLE, b).value for b in (1, 2, 3)]
    for name, ways in curve.predicted.items():
        assert np.all(np.isnan(ways[1:]) | (ways[1:] >= exact - 1e-12)), name
    assert np.isnan(curve.predicted["separate"]).tolist() == [True, True, True, False]
    assert curve.predicted["all-in-one"][1:].tolist() == [7.5] * 3


def test_the_curve_of_a_pair_matrix():
    curve = value_curve(pairs(np.random.default_rng(0).normal(size=(5, 5))), [1, 2, 3], np.random.default_rng(0),
                        draws=10)  # fmt: skip
    assert (curve.rule, curve.higher_is_better) == ("tag", True)
    assert np.isnan(curve.predicted["hoa"]).all()
    assert np.all(np.diff(curve.predicted["exact"]) >= 0)
    assert np.all(curve.predicted["exact"] >= curve.predicted["random"])


def test_a_group_of_which_a_task_was_not_measured_is_no_network_of_its_own():
    half = pairs([[5.0, nan], [9.0, 5.0]])
    assert separate(half).value == pytest.approx(-1e6)
    assert greedy(half, 2, "disjoint").groups == (("t0",), ("t1",))
    [drawn] = random_selections(half, 2, 1, np.random.default_rng(0), "disjoint")
    assert sorted(drawn.groups) == [("t0",), ("t1",)]
