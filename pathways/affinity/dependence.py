"""Dependence: which tasks a short run on another one's data changes, with the false-positive rate of the set held."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathways.errors import ConfigError, DataError

from .matrix import Affinity

Array = NDArray[np.float64]
Control = Literal["family", "discovery"]
TrainAndMeasure = Callable[[str | None, int], Mapping[str, float]]
"""Called with a source (`None` for a run without any) and a repeat: what every task's quality is afterwards."""


@dataclass(frozen=True, eq=False)
class Dependence:
    """What a dependence test found.

    Args:
        affinity: `D[i, j] = Y_i(j) − Y_i(∅)` by repeat, of kind `dependence`.
        p: (A, S), of the two-sided test of each cell by itself; NaN on the diagonal, which is not tested.
        significant: (A, S), the cells that are found to depend once the whole set is accounted for.
        half_width: (A, S), of simultaneous confidence intervals of D at `1 − alpha`. A cell that is not significant is
            not shown to be zero: its effect may be as large as `abs(D) + half_width`.
        alpha: the rate that is held.
        control: `family` or `discovery`.
    """

    affinity: Affinity
    p: Array
    significant: NDArray[np.bool_]
    half_width: Array
    alpha: float
    control: Control

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs `(affected, source)` that are found to depend, the surest first."""
        found = sorted(zip(*np.nonzero(self.significant), strict=True), key=lambda at: float(self.p[at]))
        return tuple((self.affinity.affected[i], self.affinity.sources[j]) for i, j in found)

    def may_share(self, one: str, other: str) -> bool:
        """Whether two tasks may share a run: neither is found to change the other."""
        return (one, other) not in self.pairs and (other, one) not in self.pairs


def dependence(
    train_and_measure: TrainAndMeasure,
    tasks: Sequence[str],
    repeats: int,
    alpha: float = 0.05,
    *,
    control: Control = "family",
    higher_is_better: bool = True,
    unit: str = "quality",
) -> Dependence:
    """Test which tasks change when a checkpoint is trained briefly on another one's data.

    From one checkpoint, for each repeat r and source j, and once without a source (∅): train, measure all tasks, and
    `D[i, j] = Y_i(j) − Y_i(∅)`, both of the same repeat. Each off-diagonal cell has a two-sided t-test that its mean
    over repeats is 0, with R − 1 degrees of freedom; Holm's procedure (`control="family"`) then holds the chance of
    even one false dependence in the set near `alpha`, Benjamini and Hochberg's (`"discovery"`) the share of false ones
    among those that are found. Holm's is valid for cells that depend on each other, as these do: those of a row share
    their runs without a source. The t-test takes differences to be about normal.

    Args:
        train_and_measure: one short run from the checkpoint and its measures, see `TrainAndMeasure`; runs of one
            repeat should share their random draws, then what they have in common cancels. `short_runs` makes one.
        tasks: rows and columns.
        repeats: R, at least 2; with few of them only large effects are found, `Dependence.half_width` says how large.
        alpha: the rate to hold.
        control: `family` or `discovery`.
        higher_is_better: the sense of the measures.
        unit: of the measures.

    Returns:
        The matrix, p-values and the cells that depend. Calls of `train_and_measure`: R (T + 1).

    Raises:
        ConfigError: fewer than two repeats, a rate that is none, or an unknown control.
        DataError: a task that was not measured.

    Example:
        >>> def run(source, repeat):
        ...     noise = np.random.default_rng([repeat, len(source or "")]).normal(size=2) / 100
        ...     return {"a": noise[0] + (source == "b"), "b": noise[1]}
        >>> found = dependence(run, ["a", "b"], repeats=5)
        >>> found.pairs, found.may_share("a", "b")
        ((('a', 'b'),), False)

    Reference: the dependence test of "Train Once, Answer All", 2509.23383; Holm 1979; Benjamini and Hochberg 1995.
    """
    if repeats < 2 or not 0 < alpha < 1 or control not in ("family", "discovery"):
        raise ConfigError(
            f"`repeats` must be at least 2, `alpha` between 0 and 1 and `control` 'family' or 'discovery', "
            f"found {repeats}, {alpha} and {control!r}."
        )
    readings = np.empty((repeats, 1, len(tasks), len(tasks)))
    for r in range(repeats):
        without = _measured(train_and_measure(None, r), tasks)
        for j, source in enumerate(tasks):
            readings[r, 0, :, j] = _measured(train_and_measure(source, r), tasks) - without
    affinity = Affinity(
        tuple(tasks), tuple(tasks), "dependence", "dependence", unit, readings, higher_is_better,
        about={"alpha": alpha, "control": control},
    )  # fmt: skip
    tested = ~np.eye(len(tasks), dtype=bool)
    p, half_width = _t_tests(readings[:, 0], alpha / max(1, tested.sum()))
    p[~tested], half_width[~tested] = np.nan, np.nan
    significant = np.zeros_like(tested)
    significant[tested] = (holm if control == "family" else benjamini_hochberg)(p[tested], alpha)
    return Dependence(affinity, p, significant, half_width, alpha, control)


def holm(p: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    """Which hypotheses Holm's step-down procedure rejects: the chance of any false one is at most `alpha`.

    The k-th smallest of m p-values, from 0, is rejected while it and all smaller ones are at most `alpha / (m − k)`.

    >>> holm([0.01, 0.2, 0.02, 0.03], 0.05).tolist()
    [True, False, False, False]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    passed = values[order] <= alpha / (len(values) - np.arange(len(values)))
    rejected = np.zeros(len(values), dtype=bool)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected


def benjamini_hochberg(p: ArrayLike, alpha: float) -> NDArray[np.bool_]:
    """Which hypotheses are rejected with a false-discovery rate of at most `alpha`.

    All up to the largest k, from 1, of m whose k-th smallest p-value is at most `alpha k / m`.

    >>> benjamini_hochberg([0.01, 0.2, 0.02, 0.03], 0.05).tolist()
    [True, False, True, True]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    below = np.flatnonzero(values[order] <= alpha * np.arange(1, len(values) + 1) / len(values))
    rejected = np.zeros(len(values), dtype=bool)
    rejected[order[: below[-1] + 1 if len(below) else 0]] = True
    return rejected


def _t_tests(each: Array, level: float) -> tuple[Array, Array]:
    """Of differences (R, A, S): p-values of mean 0, and half widths of intervals at `1 − level`."""
    from scipy.special import stdtr, stdtrit

    n = len(each)
    mean, error = each.mean(0), each.std(0, ddof=1) / np.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):  # without any spread: certain, or exactly nothing
        t = np.where(mean == 0, 0.0, mean / error)
    return 2 * stdtr(n - 1, -np.abs(t)), stdtrit(n - 1, 1 - level / 2) * error


def _measured(found: Mapping[str, float], tasks: Sequence[str]) -> Array:
    missing = [task for task in tasks if task not in found or not np.isfinite(found[task])]
    if missing:
        raise DataError(
            f"`train_and_measure` must give a number for each of {list(tasks)}, found none for {missing[0]!r}: "
            "measure each task after every run."
        )
    return np.array([found[task] for task in tasks], dtype=np.float64)


__all__ = ["Dependence", "benjamini_hochberg", "dependence", "holm"]
