"""Other ways to split tasks into networks, to compare an exact choice with; and value against budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from pathways.errors import ConfigError, DataError

from .check import checked_table
from .choice import TASKS, Table, as_performance, choose, selected
from .findings import Curve
from .greedy import by_greed
from .higher_order import hoa
from .performance import PerformanceTable, exact
from .selection import Selection
from .subsets import Scale, least_costs

DRAWS = 2_000
"""How often a random choice is drawn anew before it is built so that every task is served."""


def value_on(table: PerformanceTable, found: Selection) -> tuple[float, float]:
    """What chosen networks are worth on another table of the same networks, such as test losses.

    Args:
        table: names the networks and tasks of the selection, others too.
        found: chosen from a performance table.

    Returns:
        With each task's best chosen network on this table, as Standley et al.'s code scores; and with the network
        that serves it in the selection, which is what one would run.

    Raises:
        DataError: a network or task is not in the table.
    """
    rows = []
    for network in found.networks:
        if network.name not in table.names:
            raise DataError(f"the table must have the networks that were chosen, found no {network.name!r}: add it.")
        rows.append(table.names.index(network.name))
    missing = [task for task in found.serves if task not in table.tasks]
    if missing:
        raise DataError(f"the table must have the tasks that were chosen for, found no {missing[0]!r}: add it.")
    merits = table.merits[rows][:, [table.tasks.index(task) for task in found.serves]]
    served = merits[list(found.serves.values()), np.arange(len(found.serves))]
    if not np.isfinite(served).all():
        task = list(found.serves)[int(np.flatnonzero(~np.isfinite(served))[0])]
        raise DataError(f"the table must have a value for {task!r} in the network that serves it, found none: add it.")
    return table.total([table.sign * v for v in merits.max(axis=0)]), table.total([table.sign * v for v in served])


def greedy(table: Table, budget: Fraction | float | str, rule: str | None = None) -> Selection:
    """Networks added one by one, each the one that helps most, without swaps.

    Raises:
        ConfigError: it ends with a task that nothing serves.
    """
    disjoint, limit = rule == "disjoint", exact(budget, "budget")
    whole = as_performance(table, disjoint=disjoint)
    chosen = by_greed(whole, Scale.of(whole.costs, limit, len(whole.tasks)), disjoint, swaps=False)
    return selected(whole, chosen, limit, _rule_of(whole, disjoint), "greedy")


def all_in_one(table: Table) -> Selection:
    """One network for all tasks: the best of those that hold them all.

    Raises:
        ConfigError: there is none.
    """
    whole = as_performance(table)
    rows = np.flatnonzero(whole.holds.all(axis=1))
    if not len(rows):
        raise ConfigError("all in one needs a network of all tasks in the table, found none.")
    best = int(rows[np.argmax(whole.merits[rows].sum(axis=1))])
    return selected(whole, (best,), whole.costs[best], _rule_of(whole), "all-in-one")


def separate(table: Table, budget: Fraction | float | str | None = None) -> Selection:
    """A network of its own for each task: the best within the budget, each at its best when there is none.

    Raises:
        ConfigError: a task has none in the table, or the budget does not suffice.
    """
    whole = as_performance(table)
    alone = np.flatnonzero([len(group) == 1 for group in whole.all_members()])
    if not whole.holds[alone].any(axis=0).all():
        task = whole.tasks[int(np.flatnonzero(~whole.holds[alone].any(axis=0))[0])]
        raise ConfigError(f"separate networks need one of {task!r} alone in the table, found none.")
    part = PerformanceTable(
        whole.tasks, tuple(whole.names[n] for n in alone), tuple(whole.costs[n] for n in alone), whole.values[alone],
        whole.higher_is_better, whole.mean,
    )  # fmt: skip
    limit = sum(part.costs, Fraction(0)) if budget is None else exact(budget, "budget")
    return choose(part, limit)


def random_selections(
    table: Table, budget: Fraction | float | str, count: int, rng: np.random.Generator, rule: str | None = None
) -> tuple[Selection, ...]:
    """Networks drawn in random order, each taken that still fits, until the budget is used; drawn anew where a task is
    in none.

    Where that hardly ever serves every task, only networks are drawn that leave enough of the budget for the tasks
    still to serve.

    Args:
        table: what to draw from.
        budget: the most that they may cost together.
        count: how many selections.
        rng: to draw with.
        rule: `disjoint` takes only networks that share no task.

    Reference: Standley et al. 2020, 1905.07553: the random groupings of its figures, by its released code.
    """
    disjoint, limit = rule == "disjoint", exact(budget, "budget")
    whole = as_performance(table, disjoint=disjoint)
    scale = Scale.of(whole.costs, limit, len(whole.tasks))
    draw = _drawer(whole, scale, disjoint, rng)
    return tuple(selected(whole, draw(), limit, _rule_of(whole, disjoint), "random") for _ in range(count))


def _drawer(
    table: PerformanceTable, scale: Scale, disjoint: bool, rng: np.random.Generator
) -> Callable[[], tuple[int, ...]]:
    units, holds = np.array(scale.units), table.holds
    tries = 0

    def drawn() -> tuple[int, ...]:
        taken, left, served = [], scale.budget, np.zeros(len(table.tasks), dtype=bool)
        for network in rng.permutation(len(units)):
            if left < units.min():
                break
            if units[network] <= left and not (disjoint and (holds[network] & served).any()):
                taken.append(int(network))
                left -= int(units[network])
                served |= holds[network]
        return tuple(sorted(taken)) if served.all() else ()

    def once() -> tuple[int, ...]:
        nonlocal tries
        while tries < DRAWS:
            found = drawn()
            tries = 0 if found else tries + 1
            if found:
                return found
        return _foresighted(table, scale, disjoint, rng)

    return once


def _foresighted(
    table: PerformanceTable, scale: Scale, disjoint: bool, rng: np.random.Generator
) -> tuple[int, ...]:
    """A random choice each of whose networks leaves enough of the budget for the tasks still to serve."""
    if len(table.tasks) > TASKS:
        raise ConfigError(f"`budget` must leave room for random choices of {len(table.tasks)} tasks: raise it.")
    least = least_costs(table, scale, disjoint)
    bits = table.holds @ (1 << np.arange(len(table.tasks)))
    units = np.array(scale.units)
    taken: list[int] = []
    open_tasks, left = (1 << len(table.tasks)) - 1, scale.budget
    while open_tasks:
        fits = (units + least[open_tasks & ~bits] <= left) & (bits & open_tasks > 0)
        if disjoint:
            fits &= (bits & ~open_tasks) == 0
        if not fits.any():
            raise ConfigError("`budget` must suffice to serve every task: raise it.")
        network = int(rng.choice(np.flatnonzero(fits)))
        taken.append(network)
        open_tasks, left = open_tasks & ~int(bits[network]), left - int(units[network])
    return tuple(sorted(taken))


def value_curve(
    table: Table, budgets: Sequence[Fraction | float | str], rng: np.random.Generator, rule: str | None = None,
    draws: int = 100, unit: str = "",
) -> Curve:  # fmt: skip
    """Value against budget, for the exact choice and the other ways.

    `exact`; `hoa` (chosen by the mean of pairs, valued by the table; none for pair matrices); `greedy`; `random` (the
    mean over draws); `all-in-one`; `separate`. NaN where a way has no choice within a budget.

    Args:
        table: a performance table, or a pair matrix of at most 14 tasks.
        budgets: (B,).
        rng: of the random choices.
        rule: that of the table when not given.
        draws: how many random choices at each budget.
        unit: of the value.
    """
    disjoint = rule == "disjoint"
    whole = as_performance(table, disjoint=disjoint)
    ruled = "disjoint" if disjoint else None

    def predicted(limit: Fraction) -> float:
        found = choose(hoa(whole), limit, ruled)
        answer = checked_table(whole, [whole.names.index(n.name) for n in found.networks], limit, disjoint)
        return np.nan if isinstance(answer, str) else whole.total([answer[1][task] for task in whole.tasks])

    def within(found: Selection, limit: Fraction) -> float:
        return found.value if found.cost <= limit else np.nan

    ways: dict[str, Callable[[Fraction], float]] = {
        "exact": lambda limit: choose(whole, limit, ruled).value,
        "hoa": (lambda limit: np.nan) if whole.mean else predicted,
        "greedy": lambda limit: greedy(whole, limit, ruled).value,
        "random": lambda limit: float(np.mean([s.value for s in random_selections(whole, limit, draws, rng, ruled)])),
        "all-in-one": lambda limit: within(all_in_one(whole), limit),
        "separate": lambda limit: separate(whole, limit).value,
    }
    limits = [exact(budget, "budget") for budget in budgets]
    return Curve(
        np.array([float(limit) for limit in limits]),
        {name: np.array([_or_nan(way, limit) for limit in limits]) for name, way in ways.items()},
        _rule_of(whole, disjoint), whole.higher_is_better, unit,
    )  # fmt: skip


def _or_nan(way: Callable[[Fraction], float], limit: Fraction) -> float:
    try:
        return way(limit)
    except (ConfigError, DataError):
        return float("nan")


def _rule_of(table: PerformanceTable, disjoint: bool = False) -> str:
    return "disjoint" if disjoint else "tag" if table.mean else "standley"


__all__ = ["DRAWS", "all_in_one", "greedy", "random_selections", "separate", "value_curve", "value_on"]
