"""Prices for tasks: a bound on the best groups, and which groups may be in a choice better than a known one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .higher_order import group_scores

Floats = NDArray[np.float64]

LISTED = 20
"""The most tasks whose groups are all priced: 2^20 groups take 170 MB."""
STEPS = 200
"""The most times that prices change. A few dozen are enough for most tables."""
_PART = 1 << 15


@dataclass(frozen=True)
class Priced:
    """What prices say.

    Args:
        bound: a sum of scores that no choice exceeds.
        open: (G,) the groups, as bits of their tasks, that may be in a choice whose sum is larger than the known one.
    """

    bound: float
    open: NDArray[np.int64]


def priced(matrix: Floats, alone: Floats, number: int, known: float, disjoint: bool) -> Priced:
    """Find prices for tasks that nearly agree with a known choice, by subgradient steps.

    With a price `p_j` for each task, the constraint that each is served once can be given up (Lagrangian relaxation):

        L(p) = sum over j of p_j + the `number` largest r(G) above 0
        r(G) = sum over j in G of max(0, score(j | G) - p_j)        (disjoint: of score(j | G) - p_j)

    is at least the sum of scores of every choice, whatever the prices. So is L with G in place of the least of those,
    for every choice that has G in it: where that is below what is known, G can be left out.

    Args:
        matrix: (T, T), at most `LISTED` tasks; more is better; NaN where not measured.
        alone: (T,) the score of each task alone.
        number: how many groups.
        known: the sum of scores of a choice.
        disjoint: whether each task is in one group only.

    Example:
        >>> pairs = np.array([[0.0, 3, 1, 1], [3, 0, 1, 1], [1, 1, 0, 2], [1, 1, 2, 0]])
        >>> found = priced(pairs, np.full(4, -1e6), 2, known=10.0, disjoint=False)
        >>> round(found.bound, 6), {0b0011, 0b1100} <= set(found.open.tolist())
        (10.0, True)

    Reference: Fisher 1981, The Lagrangian relaxation method for solving integer programming problems, sections 4 to 6.
    """
    count = len(matrix)
    scores = _all_scores(matrix, alone, disjoint)
    prices = np.partition(scores, -max(1, len(scores) // 8), axis=0)[-max(1, len(scores) // 8)]
    prices = np.where(np.isfinite(prices), prices, scores.max(axis=0))
    enough = 1e-12 * count * max(1.0, abs(known))
    best, best_prices, step, waited = np.inf, prices, 1.0, 0
    for _ in range(STEPS):
        gains = _gains(scores, prices, disjoint)
        top = np.argpartition(-gains, min(number, len(gains) - 1))[:number]
        top = top[gains[top] > 0]
        bound = float(prices.sum() + gains[top].sum())
        if bound < best - enough:
            best, best_prices, waited = bound, prices, 0
        else:
            waited += 1
        served = (np.isfinite(scores[top]) if disjoint else scores[top] > prices).sum(axis=0)
        direction = 1.0 - served
        if best <= known + enough or not direction.any() or step < 1e-4:
            break
        if waited == 8:
            step, waited, prices = step / 2, 0, best_prices
            continue
        prices = prices - step * (bound - known) / float((direction**2).sum()) * direction
    return _eliminated(scores, best_prices, number, known - enough, disjoint)


def _eliminated(scores: Floats, prices: Floats, number: int, known: float, disjoint: bool) -> Priced:
    gains = _gains(scores, prices, disjoint)
    largest = np.maximum(-np.sort(-gains)[:number], 0.0)
    bound = float(prices.sum() + largest.sum())
    last = float(largest[-1]) if len(largest) == number else 0.0
    with_it = bound - last + gains
    # Rounding of sums of this size must not exclude a group.
    room = 1e-10 * max(1.0, float(np.abs(prices).sum()))
    return Priced(bound + room, np.flatnonzero(with_it >= known - room) + 1)


def _all_scores(matrix: Floats, alone: Floats, disjoint: bool) -> Floats:
    """(2^T - 1, T): the score of each task in each group, group `bits` at `bits - 1`; minus infinity outside it.

    A group in which a member has no score cannot serve all of its tasks: `disjoint` leaves it out.
    """
    count = len(matrix)
    scores = np.empty(((1 << count) - 1, count))
    for begin in range(0, len(scores), _PART):
        part = scores[begin : begin + _PART]
        members = (np.arange(begin + 1, begin + 1 + len(part))[:, None] >> np.arange(count)) & 1 == 1
        found = group_scores(matrix, alone, members)
        unknown = np.isnan(found)
        part[:] = np.where(unknown, -np.inf, found)
        if disjoint:
            part[(unknown & members).any(axis=1)] = -np.inf
    return scores


def _gains(scores: Floats, prices: Floats, disjoint: bool) -> Floats:
    """r(G) of each group, part by part to stay in the cache."""
    gains = np.empty(len(scores))
    for begin in range(0, len(scores), _PART):
        above = scores[begin : begin + _PART] - prices
        if disjoint:
            none = ~np.isfinite(above)
            gains[begin : begin + _PART] = np.where(none.all(axis=1), -np.inf, np.where(none, 0.0, above).sum(axis=1))
        else:
            gains[begin : begin + _PART] = np.maximum(above, 0.0).sum(axis=1)
    return gains


__all__ = ["LISTED", "STEPS", "Priced", "priced"]
