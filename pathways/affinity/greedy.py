"""Choosing networks greedily, with swaps: where nothing exact fits, and to see what exactness is worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .performance import PerformanceTable
from .subsets import ROUNDING, Scale

Floats = NDArray[np.float64]
Score = tuple[int, float]


def by_greed(table: PerformanceTable, scale: Scale, disjoint: bool = False, swaps: bool = True) -> tuple[int, ...]:
    """Add the network that helps most, again and again; then replace one at a time while that helps.

    More tasks served count before better values. Where a task is in no chosen network, what is returned does not
    serve it: nothing feasible was found.

    Args:
        table: N networks over T tasks.
        scale: its costs and the budget in whole units.
        disjoint: whether chosen networks may share no task.
        swaps: whether to go on after the first that cannot be improved by adding.

    Returns:
        Rows of the table, in its order.
    """
    whole = _Pool(table, scale, disjoint)
    best = max((whole.filled([], first) for first in (True, False)), key=whole.score)
    improved = swaps
    while improved:
        improved = False
        for network in best:
            others = [n for n in best if n != network]
            tried = max((whole.filled(others, first, without=network) for first in (True, False)), key=whole.score)
            if whole.above(whole.score(tried), whole.score(best)):
                best, improved = tried, True
                break
    return tuple(sorted(best))


class _Pool:
    """The networks, with how good a choice of them is."""

    def __init__(self, table: PerformanceTable, scale: Scale, disjoint: bool) -> None:
        self.merits, self.holds, self.disjoint = table.merits, table.holds, disjoint
        self.units, self.budget = np.array(scale.units), scale.budget
        self.worst = np.where(self.holds, self.merits, np.inf).min(axis=0)

    def score(self, chosen: list[int]) -> Score:
        """How many tasks are served, and the sum of their best merits."""
        top = self.merits[chosen].max(axis=0, initial=-np.inf)
        return int(np.isfinite(top).sum()), float(top[np.isfinite(top)].sum())

    @staticmethod
    def above(one: Score, two: Score) -> bool:
        """Whether a score is better by more than rounding."""
        return one[0] > two[0] or (one[0] == two[0] and one[1] > two[1] + 10 * ROUNDING * abs(two[1]))

    def filled(self, chosen: list[int], first: bool, without: int = -1) -> list[int]:
        """Networks added while one fits and helps; `first` those that serve the most tasks, else the best gain."""
        chosen = list(chosen)
        while True:
            top = self.merits[chosen].max(axis=0, initial=-np.inf)
            fits = self.units <= self.budget - self.units[chosen].sum()
            fits[[*chosen, *([without] if without >= 0 else [])]] = False
            if self.disjoint:
                fits &= ~(self.holds & np.isfinite(top)).any(axis=1)
            candidates = np.flatnonzero(fits)
            if not len(candidates):
                return chosen
            after = np.maximum(top, self.merits[candidates])
            served = np.isfinite(after).sum(axis=1)
            gains = np.where(np.isfinite(after), after, self.worst).sum(axis=1)
            gains -= np.where(np.isfinite(top), top, self.worst).sum()
            order = np.lexsort((-gains, -served)) if first else np.lexsort((-served, -gains))
            best = candidates[order[0]]
            if not self.above(self.score([*chosen, int(best)]), self.score(chosen)):
                return chosen
            chosen.append(int(best))


__all__ = ["by_greed"]
