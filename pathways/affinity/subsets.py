"""Choosing networks exactly, by a dynamic programme over the subsets of tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pathways.errors import ConfigError

from .performance import PerformanceTable

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

ROUNDING = 1e-14
"""Values that differ by less, relative to their size, are equal: sums of the same numbers in another order."""
WORK = 2e8
"""The most steps worth taking here: some seconds. Others solve what is larger."""
CELLS = 4e6
"""The most entries of its table: 32 bytes each."""
NEVER = np.int64(1) << 60
"""More than anything costs."""


@dataclass(frozen=True)
class Scale:
    """Costs and budget as whole multiples of one unit, which loses nothing.

    >>> Scale.of((Fraction(1, 2), Fraction(1)), Fraction(9, 4), 3)
    Scale(units=(1, 2), budget=4, unit=Fraction(1, 2))
    """

    units: tuple[int, ...]
    budget: int
    unit: Fraction

    @classmethod
    def of(cls, costs: tuple[Fraction, ...], budget: Fraction, tasks: int) -> Scale:
        """The largest unit, and the budget cut to what so many networks, one a task, could cost at most.

        Raises:
            ConfigError: the costs have so fine a common unit that sums of them overflow.
        """
        denominator = math.lcm(*(cost.denominator for cost in costs))
        whole = [cost.numerator * (denominator // cost.denominator) for cost in costs]
        divisor = math.gcd(*whole) or 1
        unit = Fraction(divisor, denominator)
        units = tuple(w // divisor for w in whole)
        if 2 * tasks * max(units) >= int(NEVER):
            raise ConfigError(
                f"costs must be multiples of one unit, the largest {float(NEVER) / 2 / tasks:.0e} of it, found "
                f"{max(units):.0e} units of {float(unit):.0e}: round them."
            )
        return cls(units, min(math.floor(budget / unit), tasks * max(units)), unit)


def fits(table: PerformanceTable, scale: Scale) -> bool:
    """Whether `by_subsets` ends in seconds: levels of the budget x distinct costs x 3^T / 2 steps, and their memory."""
    levels, count = scale.budget + 1, len(table.tasks)
    return levels * len(set(scale.units)) * 3.0**count / 2 <= WORK and levels * 2.0**count <= CELLS


def by_subsets(table: PerformanceTable, scale: Scale, disjoint: bool) -> tuple[int, ...] | None:
    """The networks that serve every task best within the budget; `None` where none can.

    A selection is a partition of the tasks into sets, each served by one network that holds it:

        best[c][S] = max over networks G of cost c with S in G of sum over j in S of value(j | G)
        f[b][M]    = max over S in M with the first task of M, and c <= b, of best[c][S] + f[b - c][M - S]

    and the answer is f[budget][all tasks]. Where values tie, fewer networks win, then lower cost, then fewer tasks in
    them, then the order of the table.

    Args:
        table: N networks over T tasks.
        scale: its costs and the budget in whole units.
        disjoint: whether a network must serve all of its tasks (S = G).

    Returns:
        Rows of the table, in its order.
    """
    count = len(table.tasks)
    costs = sorted(set(scale.units))
    # What ties are decided by, as one number: networks, then cost, then tasks in them.
    by_cost = count * count + 1
    by_number = by_cost * (count * min(max(scale.units), scale.budget) + 1)
    best = np.full((len(costs), 1 << count), -np.inf)
    extra = np.full((len(costs), 1 << count), NEVER)
    which = np.zeros((len(costs), 1 << count), dtype=np.int64)
    for network, (merits, unit) in enumerate(zip(table.merits, scale.units, strict=True)):
        if unit > scale.budget:
            continue
        sets, sums = _sets_of(merits, disjoint)
        row = costs.index(unit)
        key = by_number + unit * by_cost + int(table.holds[network].sum())
        better = _better(sums, np.full(len(sets), key), best[row, sets], extra[row, sets])
        sets = sets[better]
        best[row, sets], extra[row, sets], which[row, sets] = sums[better], key, network
    return _partition(best, extra, which, costs, scale.budget, count)


def _sets_of(merits: Floats, whole: bool) -> tuple[Whole, Floats]:
    """The sets of tasks a network can serve, as bits, and the sum of its values over each."""
    there = np.flatnonzero(np.isfinite(merits))
    if whole:
        return np.array([np.sum(1 << there)]), np.array([merits[there].sum()])
    sets, sums = np.zeros(1, dtype=np.int64), np.zeros(1)
    for task in there:
        sets = np.concatenate([sets, sets | (1 << int(task))])
        sums = np.concatenate([sums, sums + merits[task]])
    return sets[1:], sums[1:]


def _partition(
    best: Floats, extra: Whole, which: Whole, costs: list[int], budget: int, count: int
) -> tuple[int, ...] | None:
    levels, size = budget + 1, 1 << count
    value, key = np.full((size, levels), -np.inf), np.full((size, levels), NEVER)
    value[0], key[0] = 0.0, 0
    taken = np.zeros((size, levels), dtype=np.int64)
    paid = np.zeros((size, levels), dtype=np.int64)
    for tasks, sets in _first_sets(count):
        rests = tasks ^ sets
        for row, cost in enumerate(costs[: np.searchsorted(costs, budget, "right")]):
            open_sets = np.isfinite(best[row, sets])
            chosen, left = sets[open_sets], rests[open_sets]
            if not len(chosen):
                continue
            found = best[row, chosen][:, None] + value[left, : levels - cost]
            keys = extra[row, chosen][:, None] + key[left, : levels - cost]
            top = found.max(axis=0)
            keys = np.where(found >= top - ROUNDING * np.abs(top), keys, 2 * NEVER)
            at = keys.argmin(axis=0)
            level = np.arange(levels - cost)
            found, keys = found[at, level], keys[at, level]
            better = _better(found, keys, value[tasks, cost:], key[tasks, cost:])
            spots = cost + level[better]
            value[tasks, spots], key[tasks, spots] = found[better], keys[better]
            taken[tasks, spots], paid[tasks, spots] = chosen[at[better]], row
    if not np.isfinite(value[-1, budget]):
        return None
    networks, open_tasks, budget_left = set(), size - 1, budget
    while open_tasks:
        served, row = int(taken[open_tasks, budget_left]), int(paid[open_tasks, budget_left])
        networks.add(int(which[row, served]))
        open_tasks, budget_left = open_tasks ^ served, budget_left - costs[row]
    return tuple(sorted(networks))


def _better(value: Floats, key: Whole, than: Floats, than_key: Whole) -> NDArray[np.bool_]:
    """Whether a value is larger, or equal up to rounding with a smaller key."""
    with np.errstate(invalid="ignore"):
        near = np.where(np.isfinite(than), np.abs(value - than) <= ROUNDING * np.abs(than), False)
    return np.where(near, key < than_key, value > than)


def _first_sets(count: int) -> Iterator[tuple[int, Whole]]:
    """Each set of tasks as bits, small numbers first, with its subsets that hold its first task."""
    inside = [np.zeros(1, dtype=np.int32)]  # the subsets of each set so far
    for tasks in range(1, 1 << count):
        top = 1 << (tasks.bit_length() - 1)
        below = inside[tasks ^ top]
        inside.append(np.concatenate([below, below | top]).astype(np.int32))
        first = tasks & -tasks
        yield tasks, (inside[tasks ^ first] | first).astype(np.int64)


def least_costs(table: PerformanceTable, scale: Scale, disjoint: bool) -> Whole:
    """(2^T,) the least, in units, that networks which serve a set of tasks cost; `NEVER` where no choice does."""
    count = len(table.tasks)
    cheapest = np.full(1 << count, NEVER)
    for merits, unit in zip(table.merits, scale.units, strict=True):
        sets, _ = _sets_of(merits, disjoint)
        cheapest[sets] = np.minimum(cheapest[sets], unit)
    least = np.full(1 << count, NEVER)
    least[0] = 0
    for tasks, sets in _first_sets(count):
        least[tasks] = np.minimum(NEVER, (cheapest[sets] + least[tasks ^ sets]).min())
    return least


__all__ = ["NEVER", "ROUNDING", "Scale", "by_subsets", "fits", "least_costs"]
