"""The paired tests: exact levels by enumeration and simulation, power, and what can never be significant."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, ttest_1samp

from pathways.pairing import less_than_zero, sign_test, student_test


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("below", "above"), [(0, 0), (1, 0), (5, 0), (7, 3), (3, 7), (0, 9)])
def test_right_and_wrong_are_mcnemars_exact_test(below: int, above: int) -> None:
    differences = np.array([-1.0] * below + [1.0] * above + [0.0] * 20)
    n = below + above
    expected = sum(comb(n, k) for k in range(below, n + 1)) / 2**n
    assert sign_test(differences, 1.0, generator()) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60),
    st.floats(0.1, 3.0), st.integers(0, 9),
)
def test_a_common_unit_changes_nothing(values: list[float], unit: float, seed: int) -> None:
    plain = sign_test(np.array(values), 1.0, generator(seed))
    assert sign_test(unit * np.array(values), unit, generator(seed)) == plain
    assert 0 <= plain <= 1


@pytest.mark.parametrize("differences", [
    lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n, p=[0.1, 0.8, 0.1]),
    lambda rng, n: rng.choice([-1.0, 0.5], n, p=[1 / 3, 2 / 3]),  # skewed, as at unequal discounts
    lambda rng, n: rng.choice([-0.875, 0.125], n, p=[0.125, 0.875]),  # skewed, as with many views
    lambda rng, n: rng.uniform(-1, 1, n),
])
def test_the_sign_test_errs_at_most_as_often_as_it_says(differences: object) -> None:
    """Of 4,000 tests of a mean of exactly 0; the bound is one that a true rate of 0.05 passes in all but 1 of 1,000."""
    rng, tries, level = generator(1), 4000, 0.05
    errors = sum(sign_test(differences(rng, 40), 1.0, rng) <= level for _ in range(tries))  # type: ignore[operator]
    assert errors <= binom.ppf(0.999, tries, level)
    assert errors > 0.002 * tries, "a test that never rejects would pass, too"


def test_student_is_students_and_several_groups_count_the_same() -> None:
    rng = generator(2)
    values = rng.normal(-0.3, 1, 50)
    assert student_test([values]) == pytest.approx(ttest_1samp(values, 0, alternative="less").pvalue)
    small, large = rng.normal(-1, 1, 20), rng.normal(1, 1, 2000)
    assert student_test([small, large]) > 0.2
    assert student_test([large, -large]) == pytest.approx(0.5)
    assert student_test([np.array([-1.0])]) == student_test([np.zeros(9)]) == 1.0


def test_groups_of_the_sign_test_count_the_same() -> None:
    worse, better = np.full(10, -1.0), np.full(1000, 1.0)
    assert less_than_zero([worse, better], bound=1.0, rng=generator()) > 0.05
    assert less_than_zero([worse, worse], bound=1.0, rng=generator()) < 1e-5


def test_nothing_is_learned_from_nothing() -> None:
    for bound in (1.0, None):
        assert less_than_zero([], bound=bound, rng=generator()) == 1.0
        assert less_than_zero([np.zeros(0)], bound=bound, rng=generator()) == 1.0
        assert less_than_zero([np.zeros(30)], bound=bound, rng=generator()) == 1.0


def test_what_is_far_below_is_found() -> None:
    rng = generator(3)
    worse = rng.choice([-1.0, 0.0, 1.0], 200, p=[0.2, 0.75, 0.05])
    assert less_than_zero([worse], bound=1.0, rng=rng) < 0.01
    assert less_than_zero([worse], bound=None, rng=rng) < 0.01
    assert less_than_zero([-worse], bound=1.0, rng=rng) > 0.9
