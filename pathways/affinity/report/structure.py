"""What a matrix says beyond its cells: place within a row, asymmetry, who gives and receives, what groups hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from pathways.affinity.evidence import Estimate, mean_over, share, spearman
from pathways.affinity.findings import Findings
from pathways.affinity.matrix import Affinity

Array = NDArray[np.float64]


def pairs(affinity: Affinity, tasks: Sequence[str], values: Array | None = None) -> Array:
    """(…, T, T): rows affected, columns sources, larger always more help; NaN on the diagonal and where unmeasured.

    Args:
        affinity: any matrix; columns that are no tasks (`self`, several sources) are left out.
        tasks: the order of rows and columns.
        values: (…, A, S) to take instead of `affinity.values`.

    Example:
        >>> found = Affinity(("a", "b"), ("b", "self"), "transfer", "ahp", "share", np.array([[0.2, 0.8], [0.3, 0.7]]))
        >>> pairs(found, ["a", "b"])
        array([[nan, 0.2],
               [nan, nan]])
    """
    given = affinity.values if values is None else values
    sign = 1.0 if affinity.higher_is_better else -1.0
    out = np.full((*given.shape[:-2], len(tasks), len(tasks)), np.nan)
    for i, row in enumerate(tasks):
        for j, column in enumerate(tasks):
            if i != j and row in affinity.affected and column in affinity.sources:
                out[..., i, j] = sign * given[..., affinity.affected.index(row), affinity.sources.index(column)]
    return out


def standardised(values: Array) -> Array:
    """`(Z - median of its row) / standard deviation of its row` over what is measured; 0 where a row is constant.

    Rows are comparable then, whatever the scale of a task's loss; adding to a row changes nothing.

    >>> standardised(np.array([[np.nan, 1.0, 2.0, 3.0]])).round(3).tolist()
    [[nan, -1.225, 0.0, 1.225]]
    """
    known = np.isfinite(values)
    middle = np.ma.median(np.ma.masked_invalid(values), axis=-1, keepdims=True).filled(np.nan)
    mean = mean_over(values, -1)[..., None]
    spread = np.sqrt(mean_over(np.where(known, values - mean, np.nan) ** 2, -1))[..., None]
    flat = ~(spread > 1e-12 * np.abs(mean))
    return np.where(known, np.where(flat, 0.0, (values - middle) / np.where(flat, 1.0, spread)), np.nan)


def asymmetry(values: Array) -> tuple[Array, float]:
    """`|Z_ij - Z_ji|`, and its sum as a share of that of `|Z_ij| + |Z_ji|`: 0 is symmetric, 1 as unequal as can be.

    >>> cells, index = asymmetry(np.array([[np.nan, 1.0], [3.0, np.nan]]))
    >>> float(cells[0, 1]), index
    (2.0, 0.5)
    """
    cells = np.abs(values - values.T)
    total = np.nansum(np.where(np.isfinite(cells), np.abs(values) + np.abs(values.T), 0.0))
    return cells, float(np.nansum(cells) / total) if total else float("nan")


def positive_share(values: Array) -> Estimate:
    """The share of measured pairs above 0."""
    known = values[np.isfinite(values)]
    return share(int((known > 0).sum()), len(known))


def serving(findings: Findings) -> NDArray[np.bool_]:
    """(T, T): whether the network that serves the row's task is trained on the column's task too."""
    selection, tasks = findings.selection, findings.tasks
    out = np.zeros((len(tasks), len(tasks)), dtype=bool)
    for i, task in enumerate(tasks):
        members = selection.networks[selection.serves[task]].tasks if task in selection.serves else ()
        out[i] = [other in members and other != task for other in tasks]
    return out


def intra_minus_inter(values: Array, together: NDArray[np.bool_]) -> float:
    """The mean over pairs that share a network less the mean over those that do not; NaN where one is empty.

    >>> intra_minus_inter(np.array([[np.nan, 1.0, 0.0]]), np.array([[False, True, False]]))
    1.0
    """
    known = np.isfinite(values)
    inside, outside = values[known & together], values[known & ~together]
    return float(inside.mean() - outside.mean()) if len(inside) and len(outside) else float("nan")


@dataclass(frozen=True, eq=False)
class Halves:
    """How alike the first and the second half of training rank the pairs.

    Args:
        rows: by task, within its row.
        all: over all pairs, each row standardised.
        early, late: the two halves, (T, T), in the unit of the matrix.
    """

    rows: Mapping[str, Estimate]
    all: Estimate
    early: Array
    late: Array


def early_late(affinity: Affinity, tasks: Sequence[str]) -> Halves | None:
    """Spearman's correlation of the two halves of training, by row and in all; `None` with fewer than two moments."""
    course = pairs(affinity, tasks, affinity.course)
    half = len(course) // 2
    if not half:
        return None
    early, late = mean_over(course[:half], 0), mean_over(course[half:], 0)
    rows = {task: spearman(early[i], late[i]) for i, task in enumerate(tasks)}
    return Halves(rows, spearman(standardised(early), standardised(late), independent=len(tasks)), early, late)


def agreement(one: Affinity, two: Affinity, tasks: Sequence[str]) -> Estimate:
    """Spearman's correlation of two matrices over all pairs, each row standardised; the interval counts rows."""
    a, b = (standardised(pairs(affinity, tasks)) for affinity in (one, two))
    return spearman(a, b, independent=len(tasks))


def tree(values: Array) -> Array | None:
    """Average linkage of tasks by rank affinity: SciPy's linkage matrix; `None` with fewer than two tasks.

    Each row's ranks are scaled to 0 to 1 and averaged with those of the other direction; distance is 1 less that. A
    pair that was measured in neither direction stands in the middle.
    """
    if len(values) < 2:
        return None
    ranks = np.stack([_ranks(row) for row in values])
    both = np.stack([ranks, ranks.T])
    near = np.where(np.isfinite(both).any(axis=0), mean_over(both, 0), 0.5)
    distance = 1 - near
    np.fill_diagonal(distance, 0.0)
    return linkage(squareform(distance, checks=False), "average", optimal_ordering=True)


def _ranks(row: Array) -> Array:
    """Ranks of what is measured, 0 the least and 1 the most."""
    known = np.isfinite(row)
    out = np.full(row.shape, np.nan)
    count = int(known.sum())
    out[known] = (rankdata(row[known]) - 1) / (count - 1) if count > 1 else 0.5
    return out


def first_only(affinity: Affinity, longest: int) -> Affinity:
    """Without sources of a higher order where there are more columns than a picture shows."""
    if len(affinity.sources) <= longest:
        return affinity
    kept = tuple(name for name in affinity.sources if "|" not in name)
    places = [affinity.sources.index(name) for name in kept]
    return replace(affinity, sources=kept, readings=affinity.readings[..., places])


__all__ = [
    "Halves", "agreement", "asymmetry", "early_late", "first_only", "intra_minus_inter", "pairs", "positive_share",
    "serving", "standardised", "tree",
]
