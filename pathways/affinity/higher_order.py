"""The higher-order approximation: networks of three tasks or more, predicted from networks of two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pathways.errors import DataError

from .matrix import Affinity, require_kind
from .performance import PerformanceTable

Array = NDArray[np.float64]
LONE = -1e6
"""The score of a task alone, by the released code of TAG: it is alone only where it must be."""

GAINS = "pairs"
"""The estimator whose matrix holds gains over training alone, so that its diagonal is what a task alone has: 0."""


def hoa(table: PerformanceTable) -> PerformanceTable:
    """The table with every network of three tasks or more replaced by what its pairs predict.

    `value(j | G) = mean over i in G, i != j, of value(j | {i, j})` for `|G| >= 3`; single tasks and pairs stay as they
    were measured. A pair that is in the table more than once counts with each.

    Args:
        table: measured; of networks of three or more only the members and the cost are read.

    Returns:
        The same networks; NaN where none of a task's pairs was measured.

    Raises:
        DataError: there is a network of three or more of which no pair was measured.

    Example:
        >>> nan = float("nan")
        >>> rows = [[1, 2, nan], [3, nan, 4], [nan, 5, 6], [9, 9, 9]]
        >>> hoa(PerformanceTable(("a", "b", "c"), ("ab", "ac", "bc", "abc"), (1, 1, 1, 1), rows)).values[3]
        array([2. , 3.5, 5. ])

    Reference: Standley et al. 2020, 1905.07553, section 5.3.2, with the released code's mean over pairs.
    """
    holds = table.holds
    sizes = holds.sum(axis=1)
    count = len(table.tasks)
    total, seen = np.zeros((count, count)), np.zeros((count, count))
    for network in np.flatnonzero(sizes == 2):
        one, two = np.flatnonzero(holds[network])
        for j, i in ((one, two), (two, one)):
            total[j, i] += table.values[network, j]
            seen[j, i] += 1
    large = sizes >= 3
    weights = holds[large].astype(np.float64)
    number = weights @ seen.T
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted = np.where(holds[large] & (number > 0), weights @ total.T / number, np.nan)
    unknown = np.flatnonzero(np.isnan(predicted).all(axis=1))
    if len(unknown):
        name = table.names[np.flatnonzero(large)[unknown[0]]]
        raise DataError(f"the mean of pairs needs a measured pair of {name!r}, found none: add networks of two tasks.")
    values = np.array(table.values)
    values[large] = predicted
    return replace(table, values=values, groups=table.all_members())


def scored(pairs: Affinity, single: float | str | None = None) -> PerformanceTable:
    """The table of all groups of the tasks of a pair matrix, by TAG's score.

    `score(j | G) = mean over i in G, i != j, of M[j, i]`; every group costs 1, and a selection's value is the mean
    over tasks. A task has no score in a group with a partner for which it was not measured.

    Args:
        pairs: (T, T) of kind co-training.
        single: the score of a task alone: a number, `diagonal` for the matrix's own; when not given the diagonal for
            losses and for gains over training alone (estimator `pairs`), and -1e6 for all else.

    Returns:
        A table of `2^T - 1` networks at most, small ones first; those in which no task has a score are left out.

    Example:
        >>> found = Affinity(("a", "b"), ("a", "b"), "co-training", "table", "", [[0, 0.5], [0.25, 0]])
        >>> table = scored(found)
        >>> table.names, table.values[2]
        (('a', 'b', 'a|b'), array([0.5 , 0.25]))

    Reference: Fifty et al. 2021 (TAG, 2109.04617), section 3.3; -1e6 as in its released code.
    """
    matrix, alone = pair_values(pairs, single)
    tasks = pairs.tasks
    members = groups_of(len(tasks))
    scores = group_scores(matrix, alone, members)
    some = ~np.isnan(scores).all(axis=1)
    groups = tuple(tuple(tasks[i] for i in np.flatnonzero(row)) for row in members[some])
    names = ["|".join(task.replace("\\", r"\\").replace("|", r"\|") for task in group) for group in groups]
    return PerformanceTable(
        tasks, tuple(names), (1,) * len(names), scores[some], pairs.higher_is_better,  # type: ignore[arg-type]
        mean=True, groups=groups,
    )  # fmt: skip


def pair_values(pairs: Affinity, single: float | str | None = None) -> tuple[Array, Array]:
    """(T, T), its columns in the order of the rows, and (T,): the score of each task alone.

    Raises:
        ConfigError: the matrix is of another kind.
        DataError: rows and columns are not the same tasks.
    """
    require_kind(pairs, "co-training", "a score of groups")
    matrix = pairs.square().values
    if single is None:
        single = LONE if pairs.higher_is_better and pairs.estimator != GAINS else "diagonal"
    alone = np.diag(matrix) if single == "diagonal" else np.full(len(matrix), float(single))
    return matrix, alone


def groups_of(count: int) -> NDArray[np.bool_]:
    """(2^count - 1, count): all groups as rows, small ones first, then in the order of the tasks."""
    masks = np.arange(1, 1 << count)
    members = (masks[:, None] >> np.arange(count)) & 1 == 1
    weights = members @ (1 << np.arange(count)[::-1])
    return members[np.lexsort((-weights, members.sum(axis=1)))]


def group_scores(matrix: Array, alone: Array, members: NDArray[np.bool_]) -> Array:
    """(G, T): the score of each task in each group, NaN where it is not in it or one of its pairs is unknown."""
    others = matrix.copy()
    np.fill_diagonal(others, 0.0)
    inside = members.astype(np.float64)
    unknown = inside @ np.isnan(others).T.astype(np.float64) > 0
    sums = inside @ np.nan_to_num(others, nan=0.0).T
    sizes = members.sum(axis=1, keepdims=True)
    scores = np.where(sizes > 1, sums / np.maximum(sizes - 1, 1), alone)
    return np.where(members & ~(unknown & (sizes > 1)), scores, np.nan)


__all__ = ["LONE", "group_scores", "groups_of", "hoa", "pair_values", "scored"]
