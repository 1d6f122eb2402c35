"""Prices: a bound that holds, and groups that are left out only where nothing better needs them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pathways.affinity.higher_order import group_scores, groups_of
from pathways.affinity.prices import priced

numbers = st.integers(-2, 2).map(float) | st.floats(-5, 5)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (4, 4), elements=numbers), st.integers(1, 3), st.booleans(), st.floats(0, 2), st.booleans())
def test_no_choice_beats_the_bound_and_better_ones_are_left_open(matrix, number, disjoint, worse, lone):
    alone = np.full(4, 0.5 if lone else -1e3)
    members = groups_of(4)
    scores = np.nan_to_num(group_scores(matrix, alone, members), nan=-np.inf)
    sums = {}
    for size in range(1, number + 1):
        for chosen in itertools.combinations(range(len(members)), size):
            served = members[list(chosen)].sum(axis=0)
            if (served == 1).all() if disjoint else (served >= 1).all():
                sums[chosen] = scores[list(chosen)].max(axis=0).sum()
    best = max(sums.values())
    found = priced(matrix, alone, number, best - worse, disjoint)
    assert found.bound >= best - 1e-9
    bits = members @ (1 << np.arange(4))
    for chosen, total in sums.items():
        if total > best - worse + 1e-9:
            assert {int(bits[g]) for g in chosen} <= set(found.open.tolist())


@pytest.mark.parametrize("disjoint", [False, True])
def test_prices_prove_planted_groups(disjoint):
    truth = np.arange(9) % 3
    matrix = (truth[:, None] == truth) + 0.3 * np.random.default_rng(0).normal(size=(9, 9))
    members = truth == np.arange(3)[:, None]
    known = np.nan_to_num(group_scores(matrix, np.full(9, -1e6), members), nan=-np.inf).max(axis=0).sum()
    found = priced(matrix, np.full(9, -1e6), 3, known, disjoint)
    assert found.bound == pytest.approx(known, abs=1e-3)
    assert len(found.open) < 20
