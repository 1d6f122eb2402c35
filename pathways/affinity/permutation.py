"""Whether tasks of one group help each other more than chance would have it: a permutation test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathways.errors import DataError

from .matrix import Affinity, Array

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class PermutationTest:
    """What a permutation test found.

    Args:
        difference: the mean affinity between tasks of one group, less that between tasks of different groups.
        p_value: how often labels at random give at least that difference; the observed ones count as one of them.
        smallest: the least p-value that this number of tasks and these group sizes can have: one in the number of
            groupings of these sizes. With 6 tasks in two groups of 3 it is 0.1.
        permutations: how many labels at random were tried.
    """

    difference: float
    p_value: float
    smallest: float
    permutations: int


def permutation_test(
    affinity: Affinity, groups: Sequence[Sequence[str]], *, permutations: int = 999, seed: int = 0
) -> PermutationTest:
    """Test whether a grouping says something: affinity within its groups against that between them.

    ```
    difference = mean of Z[j, i] over pairs i ≠ j of one group - mean over pairs of different groups
    p = (1 + number of permuted labels with at least this difference) / (1 + permutations)
    ```

    Tasks change places as a whole, rows with their columns. The null hypothesis: the labels of the groups have nothing
    to do with the affinities. Rows are taken as they are when all are alike in size; otherwise standardise them first.

    **The groups must not come from the same readings.** A grouping chosen from a matrix fits its noise, and its p-value
    is then far too small. Choose from some repeats and test on others, measured on other data where the question is
    about tasks and not about these samples.

    Args:
        affinity: a square matrix; larger values must mean more help, or the difference is turned.
        groups: disjoint lists of its tasks; a task in none is left out.
        permutations: how many labels are drawn.
        seed: what they are drawn from.

    Raises:
        DataError: a task in two groups or unknown, all pairs within one group or none, or nothing measured there.

    Example:
        >>> z = [[0, 2, 2, 0, 0, 0], [2, 0, 2, 0, 0, 0], [2, 2, 0, 0, 0, 0],
        ...      [0, 0, 0, 0, 2, 2], [0, 0, 0, 2, 0, 2], [0, 0, 0, 2, 2, 0]]
        >>> names = tuple("abcdef")
        >>> found = permutation_test(Affinity(names, names, "co-training", "lookahead", "", z), ["abc", "def"])
        >>> found.difference, found.smallest, 0.08 < found.p_value < 0.13
        (2.0, 0.1, True)

    Reference: Mantel 1967; p-values that count the observed labels, Phipson and Smyth 2010.
    """
    tasks = [task for group in groups for task in group]
    if twice := [task for task in tasks if tasks.count(task) > 1]:
        raise DataError(f"`groups` must hold each task once, found {twice[0]!r} twice: test a disjoint grouping.")
    values = affinity.of(tasks).values * (1 if affinity.higher_is_better else -1)
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    pairs = (~np.eye(len(tasks), dtype=bool)) & np.isfinite(values)
    observed = _difference(values, labels, pairs)
    if np.isnan(observed):
        raise DataError(
            f"`groups` must leave measured pairs both within and between them, found groups of "
            f"{[len(group) for group in groups]} tasks."
        )
    generator = np.random.default_rng(seed)
    drawn = [_difference(values, generator.permutation(labels), pairs) for _ in range(permutations)]
    least = observed - 1e-12 * np.abs(values[pairs]).max()  # equal groupings are equal up to the order of sums
    above = int(np.sum(np.array(drawn) >= least))
    return PermutationTest(
        float(observed), (1 + above) / (1 + permutations), 1 / _groupings([len(g) for g in groups]), permutations
    )


def _difference(values: Array, labels: Labels, pairs: NDArray[np.bool_]) -> float:
    same = labels[:, None] == labels[None, :]
    within, between = values[pairs & same], values[pairs & ~same]
    return float(within.mean() - between.mean()) if len(within) and len(between) else float("nan")


def _groupings(sizes: Sequence[int]) -> float:
    """How many different groupings of these sizes there are; groups of one size are not told apart."""
    from math import factorial, prod

    labelled = factorial(sum(sizes)) / prod(map(factorial, sizes))
    return labelled / prod(factorial(list(sizes).count(size)) for size in set(sizes))


__all__ = ["PermutationTest", "permutation_test"]
