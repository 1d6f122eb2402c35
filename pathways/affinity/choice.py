"""Choosing networks under a budget: which solver, and a second look at every answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from pathways.errors import ConfigError, DataError
from pathways.modules.near import did_you_mean

from .check import checked_table
from .greedy import by_greed
from .higher_order import scored
from .highs import ENTRIES, Programmed, by_cover, by_program, edges_of
from .matrix import Affinity
from .performance import PerformanceTable, exact
from .selection import RULES, Network, Selection
from .subsets import NEVER, Scale, by_subsets, fits, least_costs

TASKS = 14
"""The most tasks whose subsets are gone through: 3^14 is 4.8 million."""
SOLVERS = ("subsets", "branch and bound", "highs", "greedy")
PROVEN = 1e-9
"""How near a bound must be, for values of size 1, to prove that a choice is best."""

FITTING: dict[str, tuple[str, ...]] = {"co-training": ("tag", "disjoint"), "transfer": ("taskonomy",), "dependence": ()}
"""By the kind of a matrix, the rules that choose from it; the first when none is given."""

Table = PerformanceTable | Affinity


def choose(
    table: Table,
    budget: Fraction | float | str,
    rule: str | None = None,
    *,
    single: float | str | None = None,
    source_costs: Mapping[str, Fraction | float | str] | None = None,
    solver: str | None = None,
    seconds: float = 60.0,
) -> Selection:
    """The best networks that the budget allows, exactly where that is possible.

    | rule | from | value |
    |---|---|---|
    | `standley` | a performance table | sum over tasks of the best value among chosen networks |
    | `tag` | a pair matrix of kind co-training; the budget counts networks | mean over tasks of the best score |
    | `taskonomy` | a matrix of kind transfer; the budget pays for sources | sum over targets of the best affinity |
    | `disjoint` | a performance table or pair matrix: each task in one network | as `standley` or `tag` |

    Solvers are tried in this order, as far as they fit: subsets of tasks (branch and bound for sources), HiGHS,
    greedy with swaps. Each answer is looked at again (`check.py`), and one that fails is never returned: the next
    solver takes its place, and `about["rejected"]` says so. Values that agree to 14 digits tie; `subsets` then prefers
    fewer networks, lower cost, fewer tasks in them, and the order of the table.

    Args:
        table: what to choose from.
        budget: the most that the networks may cost together.
        rule: that of the kind of table when not given.
        single: for a pair matrix, the score of a task alone; see `scored`.
        source_costs: for transfers, of sources that do not cost 1.
        solver: one of `SOLVERS`, instead of the first that fits.
        seconds: after which HiGHS gives what it has.

    Raises:
        ConfigError: a rule that does not fit the table, or a budget under which not every task can be served; the
            message says the least that suffices.
        DataError: a task is in no network.

    Example:
        >>> pairs = Affinity(("a", "b", "c"), ("a", "b", "c"), "co-training", "table", "",
        ...                  [[0, 3, 1], [3, 0, 1], [1, 2, 0]])
        >>> found = choose(pairs, 2)
        >>> found.groups, round(found.value, 3), found.optimal
        ((('a', 'b'), ('b', 'c')), 2.667, True)

    References: Standley et al. 2020 (1905.07553), Fifty et al. 2021 (2109.04617), Zamir et al. 2018 (1804.08328).
    """
    limit = exact(budget, "budget")
    rule = _rule(table, rule)
    if solver is not None and solver not in SOLVERS:
        raise ConfigError(f"`solver` must be one of {SOLVERS}, found {solver!r}{did_you_mean(solver, SOLVERS, '.')}")
    begun = time.perf_counter()
    if rule == "taskonomy":
        assert isinstance(table, Affinity)
        from .choice_of_sources import choose_sources

        if single is not None:
            raise ConfigError("`single` must come with a pair matrix, found transfers: drop it.")
        found = choose_sources(table, limit, source_costs or {}, solver, seconds)
    else:
        if source_costs:
            raise ConfigError(f"source costs must come with rule 'taskonomy', found {rule!r}: drop them.")
        found = _networks(table, limit, rule, single, solver, seconds)
    return replace(found, seconds=time.perf_counter() - begun)


def _rule(table: Table, rule: str | None) -> str:
    allowed: tuple[str, ...]
    if isinstance(table, PerformanceTable):
        kind, allowed = "a performance table", ("tag" if table.mean else "standley", "disjoint")
    else:
        kind = f"a matrix of kind {table.kind!r}"
        allowed = FITTING[table.kind]
    if not allowed:
        raise ConfigError(f"no rule chooses networks from {kind}: measure affinity of kind co-training or transfer.")
    if rule is not None and rule not in RULES:
        raise ConfigError(f"`rule` must be one of {RULES}, found {rule!r}{did_you_mean(rule, RULES, '.')}")
    if rule is not None and rule not in allowed:
        raise ConfigError(
            f"`rule` must be one of {allowed} for {kind}, found {rule!r}: kinds are different quantities."
        )
    return rule or allowed[0]


# -- networks of tasks ------------------------------------------------------------------------------------------


def _networks(
    table: Table, budget: Fraction, rule: str, single: float | str | None, solver: str | None, seconds: float
) -> Selection:
    if isinstance(table, Affinity) and len(table.affected) > TASKS:
        from .pair_search import by_search

        if solver not in (None, "greedy"):
            raise ConfigError(
                f"`solver` must be 'greedy' for more than {TASKS} tasks, whose groups are too many to list, found "
                f"{solver!r}: leave it out."
            )
        return by_search(table, budget, rule, single)
    disjoint = rule == "disjoint"
    table = as_performance(table, single, disjoint)
    absent = np.flatnonzero(~table.holds.any(axis=0))
    if len(absent):
        task = table.tasks[int(absent[0])]
        raise DataError(f"every task must be in a network, found {task!r} in none: measure one, or drop the task.")
    scale = Scale.of(table.costs, budget, len(table.tasks))
    rejected = []
    for name in _fitting(table, scale, disjoint, solver):
        found = _solved(name, table, scale, disjoint, seconds)
        if found.chosen is None:
            _require_feasible(table, scale, disjoint, seconds, budget)
            rejected.append(f"{name}: it found none in {seconds:g} s")
            continue
        answer = checked_table(table, found.chosen, budget, disjoint)
        if isinstance(answer, str):
            _require_feasible(table, scale, disjoint, seconds, budget)
            rejected.append(f"{name}: {answer}")
            continue
        return _selection(table, found, answer, budget, rule, name, rejected)
    raise ConfigError(f"no solver found an allowed choice within the budget ({'; '.join(rejected)}): raise it.")


def as_performance(table: Table, single: float | str | None = None, disjoint: bool = False) -> PerformanceTable:
    """A performance table as it is; of a pair matrix, the table of all groups (`scored`).

    Where networks may share no task (`disjoint`), those of which a task was not measured are left out.

    Raises:
        ConfigError: `single` with a performance table, or more than 14 tasks, which have too many groups.
    """
    if isinstance(table, PerformanceTable):
        if single is not None:
            raise ConfigError("`single` must come with a pair matrix, found a performance table: drop it.")
        return table.whole() if disjoint else table
    if len(table.affected) > TASKS:
        raise ConfigError(f"a list of all groups must be of at most {TASKS} tasks, found {len(table.affected)}.")
    found = scored(table, single)
    return found.whole() if disjoint else found


def selected(table: PerformanceTable, chosen: tuple[int, ...], budget: Fraction, rule: str, solver: str) -> Selection:
    """The selection of these rows of a table, with the bound that each task's best network gives.

    Raises:
        ConfigError: they cost more than the budget, or do not serve every task.
    """
    answer = checked_table(table, chosen, budget, rule == "disjoint")
    if isinstance(answer, str):
        raise ConfigError(f"the networks chosen must be allowed, found that {answer}: raise the budget.")
    return _selection(table, Programmed(chosen, np.inf), answer, budget, rule, solver, [])


def _fitting(table: PerformanceTable, scale: Scale, disjoint: bool, solver: str | None) -> list[str]:
    """The solvers to try, in this order."""
    entries = len(table.names) * 20 if disjoint else int(table.holds.sum())
    possible = {"subsets": len(table.tasks) <= TASKS and fits(table, scale), "highs": entries <= ENTRIES}
    if solver is None:
        return [*(name for name, fit in possible.items() if fit), "greedy"]
    if solver == "branch and bound" or not possible.get(solver, True):
        raise ConfigError(
            f"`solver` must be one that fits {len(table.names)} networks of {len(table.tasks)} tasks, found {solver!r}:"
            " leave it out."
        )
    return [solver]


def _solved(name: str, table: PerformanceTable, scale: Scale, disjoint: bool, seconds: float) -> Programmed:
    if name == "subsets":
        chosen = by_subsets(table, scale, disjoint)
        return Programmed(chosen, _merit(table, chosen) if chosen is not None else np.inf)
    if name == "highs":
        return _program(table, scale, disjoint, seconds, relaxed=False)
    chosen = by_greed(table, scale, disjoint)
    bound = float(table.merits.max(axis=0).sum())
    if table.holds.sum() <= ENTRIES:
        bound = min(bound, _program(table, scale, disjoint, seconds, relaxed=True).bound)
    return Programmed(chosen, bound)


def _program(table: PerformanceTable, scale: Scale, disjoint: bool, seconds: float, relaxed: bool) -> Programmed:
    if disjoint:
        return by_cover(table, scale, seconds=seconds, relaxed=relaxed)
    return by_program(edges_of(table, scale), scale.budget, seconds=seconds, relaxed=relaxed)


def _merit(table: PerformanceTable, chosen: tuple[int, ...]) -> float:
    return float(table.merits[list(chosen)].max(axis=0).sum())


def _selection(
    table: PerformanceTable, found: Programmed, answer: tuple[dict[str, int], dict[str, float]], budget: Fraction,
    rule: str, solver: str, rejected: list[str],
) -> Selection:  # fmt: skip
    assert found.chosen is not None
    serves, by_task = answer
    used = sorted(set(serves.values()))
    rows = [found.chosen[at] for at in used]
    value = table.total([by_task[task] for task in table.tasks])
    merits = min(found.bound, float(table.merits.max(axis=0).sum()))
    bound = table.sign * merits / (len(table.tasks) if table.mean else 1)
    optimal = solver == "subsets" or table.sign * (bound - value) <= PROVEN * max(1.0, abs(value))
    return Selection(
        networks=tuple(
            Network(table.members(n), float(table.costs[n]), "" if table.mean else table.names[n]) for n in rows
        ),
        serves={task: used.index(at) for task, at in serves.items()},
        value=value, cost=float(sum(table.costs[n] for n in rows)), budget=float(budget), rule=rule,
        higher_is_better=table.higher_is_better, optimal=optimal, bound=value if optimal else bound, solver=solver,
        by_task=by_task, about={"rejected": rejected} if rejected else {},
    )  # fmt: skip


def _require_feasible(table: PerformanceTable, scale: Scale, disjoint: bool, seconds: float, budget: Fraction) -> None:
    """Raise a `ConfigError` where no networks within the budget serve every task."""
    if len(table.tasks) <= TASKS:
        least = int(least_costs(table, scale, disjoint)[-1])
        if least >= NEVER:
            raise ConfigError("no choice of these networks has each task in exactly one: add some, or allow overlap.")
    else:
        open_budget = replace(scale, budget=sum(scale.units))
        cheap = (
            by_cover(table, open_budget, seconds=seconds, cheapest=True) if disjoint
            else by_program(edges_of(table, scale), open_budget.budget, seconds=seconds, cheapest=True)
        )  # fmt: skip
        if cheap.chosen is None:
            return
        least = sum(scale.units[n] for n in cheap.chosen)
    require_budget(least * scale.unit, budget)


def require_budget(least: Fraction, budget: Fraction) -> None:
    """Raise a `ConfigError` where a budget is below the least that serves every task."""
    if budget < least:
        raise ConfigError(
            f"`budget` must be at least {float(least):g} for every task to be served, found {float(budget):g}: "
            f"raise it."
        )


__all__ = ["SOLVERS", "TASKS", "Table", "as_performance", "choose", "require_budget", "selected"]
