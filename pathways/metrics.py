"""Continual-learning metrics from the accuracy matrix of a stream.

`R[i, j]` is the accuracy on task j after training on task i: **rows are time**. `b[j]` is the accuracy of
the untrained network on task j. T is the number of tasks; transfer and forgetting are means over T - 1
tasks, as in

- Lopez-Paz and Ranzato 2017, "Gradient Episodic Memory for Continual Learning", arXiv:1706.08840, section 2:
  ACC, BWT, FWT;
- Chaudhry et al. 2018, "Riemannian Walk for Incremental Learning: Understanding Forgetting and
  Intransigence", arXiv:1801.10112: forgetting.

Compare numbers only after a look at the definition, as libraries differ. The GEM authors' own code divides
BWT and FWT by T. Avalanche's forgetting is the accuracy just after a task was learned minus the last one, not
the best one minus the last. Mammoth's forgetting takes the maximum over all rows, the last included, so it
is never negative.

Cells of tasks that were never evaluated are NaN; they are allowed where a formula does not read them.
"""

# ruff: noqa: N803  `R` is the name in the papers and in this package's contract.

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def average_accuracy(R: ArrayLike) -> float:
    """ACC: the mean accuracy over all tasks after the last one, `1/T Σ_j R[T-1, j]` (GEM).

    Args:
        R: accuracies (T, T), rows are time.

    Raises:
        ValueError: `R` is not square, is empty, or its last row holds NaN.

    >>> average_accuracy([[0.9, 0.1], [0.7, 0.8]])
    0.75
    """
    return float(_evaluated(_matrix(R)[-1], "last row").mean())


def learning_accuracy(R: ArrayLike) -> float:
    """The mean accuracy on each task just after it was learned, `1/T Σ_j R[j, j]`.

    Riemer et al. 2019, "Learning to Learn without Forgetting", arXiv:1810.11910.

    Args:
        R: accuracies (T, T), rows are time.

    Raises:
        ValueError: `R` is not square, is empty, or its diagonal holds NaN.

    >>> round(learning_accuracy([[0.9, 0.1], [0.7, 0.8]]), 12)
    0.85
    """
    return float(_evaluated(np.diag(_matrix(R)), "diagonal").mean())


def backward_transfer(R: ArrayLike) -> float:
    """BWT: what later tasks did to earlier ones, `1/(T-1) Σ_{j<T-1} (R[T-1, j] - R[j, j])` (GEM).

    Negative where tasks were forgotten. 0.0 for a single task, which no later one could change.

    Args:
        R: accuracies (T, T), rows are time.

    Raises:
        ValueError: `R` is not square, is empty, or a cell that is read holds NaN.

    >>> round(backward_transfer([[0.9, 0.1], [0.7, 0.8]]), 12)
    -0.2
    """
    matrix = _matrix(R)
    if len(matrix) == 1:
        return 0.0
    last, learned = _evaluated(matrix[-1], "last row"), _evaluated(np.diag(matrix), "diagonal")
    return float((last - learned)[:-1].mean())


def forward_transfer(R: ArrayLike, b: ArrayLike) -> float | None:
    """FWT: what earlier tasks gave to later ones, `1/(T-1) Σ_{j≥1} (R[j-1, j] - b[j])` (GEM).

    It reads each task's accuracy just before the task is learned. A system that makes a task's path when the
    task arrives has none, and for a single task there is no earlier one: then the result is `None`, not 0.

    Args:
        R: accuracies (T, T), rows are time; NaN above the diagonal where a task was not evaluated.
        b: accuracies (T,) of the untrained network; the first is not read.

    Returns:
        The mean, or `None` where a cell just above the diagonal or a baseline is NaN, or T is 1.

    Raises:
        ValueError: `R` is not square or empty, or `b` does not have T entries.

    >>> round(forward_transfer([[0.9, 0.6], [0.7, 0.8]], b=[0.5, 0.5]), 12)
    0.1
    >>> forward_transfer([[0.9, float("nan")], [0.7, 0.8]], b=[0.5, 0.5]) is None
    True
    """
    matrix, baseline = _matrix(R), np.asarray(b, dtype=np.float64)
    if baseline.shape != (len(matrix),):
        raise ValueError(
            f"`b` must have one accuracy for each of the {len(matrix)} tasks, found shape {baseline.shape}: "
            "measure the untrained network on every task."
        )
    terms = np.diag(matrix, 1) - baseline[1:]
    return None if len(terms) == 0 or np.isnan(terms).any() else float(terms.mean())


def forgetting(R: ArrayLike) -> float:
    """How far tasks fell from their best, `1/(T-1) Σ_{j<T-1} (max_{j≤l<T-1} R[l, j] - R[T-1, j])`.

    The maximum runs over the rows from learning the task to the last but one (Chaudhry et al.), so a task
    that ends better than ever before counts negative. 0.0 for a single task.

    Args:
        R: accuracies (T, T), rows are time.

    Raises:
        ValueError: `R` is not square, is empty, or holds NaN on or below the diagonal.

    >>> round(forgetting([[0.9, 0.1, 0.1], [0.95, 0.8, 0.2], [0.7, 0.9, 0.8]]), 12)
    0.075
    """
    matrix = _matrix(R)
    count = len(matrix)
    if count == 1:
        return 0.0
    _evaluated(matrix[np.tril_indices(count)], "cells on and below the diagonal")
    best = np.array([matrix[j : count - 1, j].max() for j in range(count - 1)])
    return float((best - matrix[-1, :-1]).mean())


def _matrix(R: ArrayLike) -> NDArray[np.float64]:
    matrix = np.asarray(R, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(
            f"`R` must be a square matrix with a row and a column for each task, found shape {matrix.shape}: "
            "row i holds the accuracies after training on task i."
        )
    return matrix


def _evaluated(cells: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    if not np.isfinite(cells).all():
        raise ValueError(
            f"`R` must hold finite accuracies in its {where}, found {cells[~np.isfinite(cells)][0]}: "
            "evaluate every task that was learned after each task."
        )
    return cells
