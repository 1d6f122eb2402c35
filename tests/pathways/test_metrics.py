from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pathways.metrics import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    learning_accuracy,
)

NAN = float("nan")
# Task 0 falls from .9 by way of .7 to .6, task 1 rises from .5 to .8, task 2 is learned last.
HAND = np.array([[0.9, 0.3, 0.1], [0.7, 0.5, 0.4], [0.6, 0.8, 0.7]])
MATRICES = st.integers(1, 6).flatmap(lambda t: arrays(np.float64, (t, t), elements=st.floats(0, 1)))


def test_hand_computed_values() -> None:
    assert average_accuracy(HAND) == pytest.approx((0.6 + 0.8 + 0.7) / 3)
    assert learning_accuracy(HAND) == pytest.approx((0.9 + 0.5 + 0.7) / 3)
    assert backward_transfer(HAND) == pytest.approx(((0.6 - 0.9) + (0.8 - 0.5)) / 2)
    assert forward_transfer(HAND, [0.0, 0.2, 0.2]) == pytest.approx(((0.3 - 0.2) + (0.4 - 0.2)) / 2)
    assert forgetting(HAND) == pytest.approx(((0.9 - 0.6) + (0.5 - 0.8)) / 2)


def test_forgetting_falls_from_the_best_row_not_from_the_first() -> None:
    late_best = np.array([[0.5, 0.0, 0.0], [0.9, 0.6, 0.0], [0.7, 0.6, 0.8]])
    assert forgetting(late_best) == pytest.approx((0.9 - 0.7) / 2)
    assert backward_transfer(late_best) == pytest.approx((0.7 - 0.5) / 2)


def test_forgetting_leaves_out_the_last_row_and_the_rows_before_learning() -> None:
    rises = np.array([[0.5, 0.9], [0.7, 0.6]])
    assert forgetting(rises) == pytest.approx(0.5 - 0.7)
    before = np.array([[0.5, 0.9, 0.0], [0.5, 0.6, 0.0], [0.5, 0.4, 0.3]])
    assert forgetting(before) == pytest.approx((0.0 + (0.6 - 0.4)) / 2)


def test_a_single_task_neither_forgets_nor_transfers() -> None:
    assert backward_transfer([[0.7]]) == 0.0
    assert forgetting([[0.7]]) == 0.0
    assert forward_transfer([[0.7]], [0.1]) is None
    assert average_accuracy([[0.7]]) == learning_accuracy([[0.7]]) == 0.7


def test_tasks_never_evaluated_before_they_came() -> None:
    lower = np.where(np.tri(3, dtype=bool), HAND, NAN)
    for metric in (average_accuracy, learning_accuracy, backward_transfer, forgetting):
        assert metric(lower) == metric(HAND)
    assert forward_transfer(lower, [0.1, 0.1, 0.1]) is None
    assert forward_transfer(HAND, [NAN, 0.1, 0.1]) == forward_transfer(HAND, [0.9, 0.1, 0.1])
    assert forward_transfer(HAND, [0.1, NAN, 0.1]) is None


@pytest.mark.parametrize("metric", [average_accuracy, learning_accuracy, backward_transfer, forgetting])
@pytest.mark.parametrize("bad", [[0.1, 0.2], [[0.1, 0.2]], np.zeros((0, 0)), np.zeros((2, 2, 2))])
def test_the_matrix_must_be_square(metric: object, bad: object) -> None:
    with pytest.raises(ValueError, match="`R` must be a square matrix"):
        metric(bad)  # type: ignore[operator]


@pytest.mark.parametrize("metric", [average_accuracy, backward_transfer, forgetting])
def test_learned_tasks_must_be_evaluated(metric: object) -> None:
    with pytest.raises(ValueError, match=r"`R` must hold finite accuracies.*nan"):
        metric([[0.9, 0.1], [NAN, 0.8]])  # type: ignore[operator]


def test_baselines_are_one_for_each_task() -> None:
    with pytest.raises(ValueError, match=r"`b` must have one accuracy for each of the 3 tasks.*\(2,\)"):
        forward_transfer(HAND, [0.1, 0.1])


@settings(deadline=None, max_examples=50)
@given(MATRICES)
def test_nothing_changes_nothing_is_forgotten(matrix: np.ndarray) -> None:
    constant = np.tile(matrix[0], (len(matrix), 1))
    assert backward_transfer(constant) == 0.0
    assert forgetting(constant) == 0.0
    assert average_accuracy(constant) == learning_accuracy(constant)


@settings(deadline=None, max_examples=50)
@given(MATRICES)
def test_forgetting_is_at_least_the_loss_since_learning(matrix: np.ndarray) -> None:
    assert forgetting(matrix) >= -backward_transfer(matrix) - 1e-12
    assert -1 <= forgetting(matrix) <= 1


@settings(deadline=None, max_examples=50)
@given(MATRICES)
def test_transfer_is_the_gap_of_final_and_learning_accuracy(matrix: np.ndarray) -> None:
    count = len(matrix)
    gap = average_accuracy(matrix) - learning_accuracy(matrix)
    assert backward_transfer(matrix) * (count - 1) == pytest.approx(gap * count, abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(MATRICES, st.floats(-1, 1))
def test_forward_transfer_falls_with_the_baseline(matrix: np.ndarray, shift: float) -> None:
    plain = forward_transfer(matrix, np.zeros(len(matrix)))
    shifted = forward_transfer(matrix, np.full(len(matrix), shift))
    assert (plain is None) == (shifted is None) == (len(matrix) == 1)
    if plain is not None and shifted is not None:
        assert shifted == pytest.approx(plain - shift)
