"""The permutation test: its p-value by enumeration, its level, its power on planted clusters."""

from itertools import permutations

import numpy as np
import pytest
import torch
from planted import TRUTH, Clusters
from torch import nn

from pathways.affinity import Affinity, Moment, first_order, gradient_cosine, lookahead, permutation_test
from pathways.errors import DataError


def matrix(values, **changes):
    names = tuple(f"t{i}" for i in range(len(values)))
    return Affinity(names, names, "co-training", "made", "", values, **changes)


def halves(names):
    return [names[: len(names) // 2], names[len(names) // 2 :]]


def test_the_p_value_is_that_of_all_permutations():
    draw = np.random.default_rng(0)
    z = draw.normal(size=(5, 5))
    labels = np.array([0, 0, 0, 1, 1])
    away = ~np.eye(5, dtype=bool)

    def difference(given):
        same = given[:, None] == given
        return z[same & away].mean() - z[~same].mean()

    every = [difference(np.array(p)) for p in permutations(labels)]
    found = permutation_test(matrix(z), [["t0", "t1", "t2"], ["t3", "t4"]], permutations=4000)
    assert found.difference == pytest.approx(difference(labels))
    assert found.p_value == pytest.approx(np.mean(np.array(every) >= difference(labels) - 1e-12), abs=0.03)
    assert found.smallest == pytest.approx(1 / 10)


def test_its_level_is_nominal_where_groups_come_from_other_readings():
    """500 matrices of noise, groups chosen on one reading and tested on another: 5 % are called significant."""
    draw = np.random.default_rng(1)
    p_values = []
    for _ in range(500):
        names = matrix(np.eye(8)).tasks
        chosen = chosen_halves(draw.normal(size=(8, 8)), names)
        tested = matrix(draw.normal(size=(8, 8)) + draw.normal(size=(8, 1)))
        p_values.append(permutation_test(tested, chosen, permutations=99, seed=int(draw.integers(1 << 30))).p_value)
    share = np.mean(np.array(p_values) <= 0.05)
    assert 0.025 < share < 0.08


def test_groups_chosen_from_the_readings_they_are_tested_on_fit_their_noise():
    """Why other readings are needed: far more than 5 % are called significant."""
    draw = np.random.default_rng(2)
    found = []
    for _ in range(60):
        z = draw.normal(size=(8, 8))
        found.append(permutation_test(matrix(z), chosen_halves(z, matrix(z).tasks), permutations=99).p_value)
    assert np.mean(np.array(found) <= 0.05) > 0.5


def chosen_halves(z, names):
    """Two groups of four by greedy swaps: the largest affinity within."""
    order = list(range(8))
    def within(order):
        return sum(z[i, j] for group in (order[:4], order[4:]) for i in group for j in group if i != j)
    swaps = [(a, b) for a in range(4) for b in range(4, 8)]
    for _ in range(20):
        tried = [swapped(order, a, b) for a, b in swaps]
        best = max(tried, key=within)
        if within(best) <= within(order):
            break
        order = best
    return halves([names[i] for i in order])


def swapped(order, a, b):
    new = list(order)
    new[a], new[b] = new[b], new[a]
    return new


@pytest.mark.parametrize("estimator", [lookahead, first_order, gradient_cosine])
def test_planted_clusters_have_the_least_p_value_there_is(estimator):
    groups = [sorted(group) for group in TRUTH]
    for seed in range(3):
        found = permutation_test(Clusters(seed).watched(estimator), groups, permutations=300)
        assert found.smallest == pytest.approx(0.1)
        assert found.p_value == pytest.approx(0.1, abs=0.06)
        assert found.difference > 0


def test_independent_tasks_are_not_grouped():
    """Eight tasks, each on inputs and labels of its own, on one trunk: a grouping chosen from one run says nothing
    about another with other data; of 60 such pairs about 5 % are called significant.
    """
    names = tuple("abcdefgh")
    p_values = []
    for trial in range(60):
        one, other = (independent(names, 2 * trial + i) for i in range(2))
        chosen = chosen_halves(one.values, names)
        p_values.append(permutation_test(other, chosen, permutations=99, seed=trial).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.13  # at a level of 0.05: exceeded with chance 0.01
    assert 0.3 < np.mean(p_values) < 0.7


def independent(names, seed):
    draw = torch.Generator().manual_seed(seed)
    x = {t: torch.randn(16, 6, generator=draw) for t in names}
    y = {t: (x[t] @ torch.randn(6, generator=draw) > 0).float() for t in names}
    trunk = (torch.randn(6, 5, generator=draw) / 2).requires_grad_()
    heads = {t: torch.randn(5, generator=draw) for t in names}
    losses = {
        t: (lambda t=t: nn.functional.binary_cross_entropy_with_logits(torch.tanh(x[t] @ trunk) @ heads[t], y[t]))
        for t in names
    }
    reading = first_order(Moment(names, losses, {"w": trunk}, 0.1))
    return Affinity(names, names, "co-training", "first_order", "", reading)


def test_losses_are_turned_and_missing_pairs_left_out():
    z = np.array([[np.nan, 1, 5, 5], [1, np.nan, 5, 5], [5, 5, np.nan, 1], [5, np.nan, 1, np.nan]])
    found = permutation_test(matrix(z, higher_is_better=False), [["t0", "t1"], ["t2", "t3"]])
    assert found.difference == pytest.approx(4)
    assert found.smallest == pytest.approx(1 / 3)


def test_what_is_refused():
    z = matrix(np.eye(4))
    with pytest.raises(DataError, match="`groups` must hold each task once, found 't0' twice"):
        permutation_test(z, [["t0", "t1"], ["t0"]])
    with pytest.raises(DataError, match="both within and between them, found groups of \\[4\\] tasks"):
        permutation_test(z, [list(z.tasks)])
    with pytest.raises(DataError, match="must hold 'x'"):
        permutation_test(z, [["x", "t1"], ["t0"]])
