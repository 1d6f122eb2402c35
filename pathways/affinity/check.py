"""Every answer is looked at again: whether it is allowed, and what it is worth, from the table alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

from .matrix import Affinity
from .performance import PerformanceTable


def checked_table(
    table: PerformanceTable, chosen: Sequence[int], budget: Fraction, disjoint: bool
) -> tuple[dict[str, int], dict[str, float]] | str:
    """Who serves each task, and with what value; or what is wrong with the choice, as a clause.

    Nothing is taken from the solver but the rows it chose. Each task is served by the chosen network where it is
    best; on a tie by the one with the fewest tasks, then the first.

    Returns:
        By task, the position in `chosen`; by task, its value.
    """
    if len(set(chosen)) < len(chosen):
        return "it names a network twice"
    cost = sum((table.costs[n] for n in chosen), Fraction(0))
    if cost > budget:
        return f"it costs {float(cost):g} of {float(budget):g}"
    serves: dict[str, int] = {}
    by_task: dict[str, float] = {}
    rows = [[float(value) for value in table.values[n]] for n in chosen]
    sizes = [sum(not math.isnan(value) for value in row) for row in rows]
    for j, task in enumerate(table.tasks):
        there = [at for at, row in enumerate(rows) if not math.isnan(row[j])]
        if not there:
            return f"no network serves {task!r}"
        if disjoint and len(there) > 1:
            return f"{len(there)} networks hold {task!r}"
        serves[task] = min(there, key=lambda at: (-table.sign * rows[at][j], sizes[at], at))
        by_task[task] = rows[serves[task]][j]
    return serves, by_task


def checked_transfers(
    transfers: Affinity, opened: Sequence[str], costs: Mapping[str, Fraction], budget: Fraction
) -> tuple[dict[str, str], dict[str, float]] | str:
    """Which transfer serves each target, and with what affinity; or what is wrong, as a clause.

    Returns:
        By target, the column of the transfer; by target, its value.
    """
    cost = sum((costs[source] for source in opened), Fraction(0))
    if cost > budget:
        return f"it costs {float(cost):g} of {float(budget):g}"
    values = transfers.values
    used: dict[str, str] = {}
    by_task: dict[str, float] = {}
    for j, target in enumerate(transfers.affected):
        for column, name in enumerate(transfers.sources):
            value = float(values[j, column])
            needs = [target if part == "self" else part for part in name.split("|")]
            if name == "random" or math.isnan(value) or not all(source in opened for source in needs):
                continue
            better = value - by_task[target] if target in by_task else math.inf
            if (better if transfers.higher_is_better else -better) > 0 or better == math.inf:
                used[target], by_task[target] = name, value
        if target not in used:
            return f"no transfer serves {target!r}"
    return used, by_task


__all__ = ["checked_table", "checked_transfers"]
