"""Local search over groups of many tasks, and its bound."""

from fractions import Fraction

import numpy as np
import pytest

from pathways.affinity import Affinity, choose
from pathways.affinity.pair_search import by_search, size_bound
from pathways.errors import ConfigError, DataError


def pairs(matrix, better=True):
    names = tuple(f"t{i}" for i in range(len(matrix)))
    return Affinity(names, names, "co-training", "table", "", matrix, better)


@pytest.mark.parametrize("rule", ["tag", "disjoint"])
@pytest.mark.parametrize("better", [True, False])
def test_it_finds_what_is_best_and_proves_it(rule, better):
    for seed in range(3):
        matrix = pairs(np.random.default_rng(seed).normal(size=(8, 8)), better)
        for number in (1, 2, 3):
            exact, found = choose(matrix, number, rule), by_search(matrix, Fraction(number), rule)
            sign = 1 if better else -1
            assert sign * found.value == pytest.approx(sign * exact.value, abs=1e-9)
            assert found.optimal
            assert found.solver == "prices"
            assert len(found.networks) <= number
            alone = np.full(8, -1e6) if better else -np.diag(matrix.values)
            bound = size_bound(sign * matrix.values, alone, number, rule == "disjoint")
            assert bound / 8 >= sign * exact.value - 1e-9


@pytest.mark.parametrize("rule", ["tag", "disjoint"])
@pytest.mark.parametrize("alone", [-3.0, 3.0])
def test_every_task_is_served_where_a_task_alone_scores_far_from_pairs(rule, alone):
    nan = float("nan")
    for pairs_of in (np.zeros((4, 4)), np.full((4, 4), 0.3), 1e-7 * np.arange(16.0).reshape(4, 4)):
        for missing in (False, True):
            matrix = pairs_of.copy()
            if missing:
                matrix[0, 1] = nan
            for number in (1, 2):
                if missing and number == 1:
                    continue
                asked = pairs(matrix, False), Fraction(number), rule
                exact, found = choose(*asked, single=alone), by_search(*asked, single=alone)
                assert found.value == pytest.approx(exact.value, abs=1e-12)


def test_planted_groups_among_many_tasks_are_found():
    truth = np.arange(24) % 4
    noise = np.random.default_rng(0).normal(size=(24, 24))
    found = choose(pairs((truth[:, None] == truth) + 0.2 * noise), 4)
    assert {frozenset(group) for group in found.groups} == {
        frozenset(f"t{i}" for i in np.flatnonzero(truth == group)) for group in range(4)
    }
    assert found.solver == "greedy"
    assert found.bound >= found.value
    assert found.gap == pytest.approx(found.bound - found.value)
    assert found.to_json()["optimal"] is False


def test_a_bound_that_is_met_proves_the_choice():
    truth = np.arange(18) % 3
    found = choose(pairs((truth[:, None] == truth).astype(float)), 3)
    assert (found.value, found.optimal, found.gap) == (1.0, True, 0.0)
    truth = np.arange(24) % 3
    found = choose(pairs((truth[:, None] == truth).astype(float)), 3)
    assert (found.value, found.optimal, found.gap, found.solver) == (1.0, True, 0.0, "greedy")


def test_the_bound_of_one_group_of_all_is_exact():
    matrix = np.random.default_rng(0).normal(size=(5, 5))
    np.fill_diagonal(matrix, 0)
    assert size_bound(matrix, np.full(5, -1e6), 1, False) == pytest.approx(matrix.sum() / 4)


def test_lone_tasks_and_pairs_that_were_not_measured():
    matrix = -1 - np.random.default_rng(0).random((17, 17))
    assert all(len(group) > 1 for group in choose(pairs(matrix), 5).groups)
    assert choose(pairs(matrix), 17, "disjoint", single=0.0).value == pytest.approx(0)
    matrix[3, 4] = np.nan
    found = choose(pairs(matrix), 4)
    assert "t4" not in found.networks[found.serves["t3"]].tasks
    matrix[3] = np.nan
    with pytest.raises(DataError, match="in which 't3' has"):
        choose(pairs(matrix), 4, single="diagonal")


def test_what_is_refused():
    big = pairs(np.eye(17))
    with pytest.raises(ConfigError, match="at least 1, one group, found 0"):
        choose(big, 0)
    with pytest.raises(ConfigError, match="more than 14 tasks"):
        choose(big, 2, solver="highs")
