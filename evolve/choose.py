"""What a study asks of the rules: groups for a matrix, what they predict for a group, and value against budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from pathways.affinity.check import checked_transfers
from pathways.affinity.choice import choose
from pathways.affinity.findings import Curve
from pathways.affinity.higher_order import GAINS, LONE, scored
from pathways.affinity.matrix import Affinity, Array
from pathways.affinity.performance import PerformanceTable
from pathways.affinity.selection import Selection
from pathways.affinity.ways import random_selections, value_curve
from pathways.errors import ConfigError
from pathways.seeds import numpy_generator

_DRAWS = 100


def grouped(affinity: Affinity, rule: str, budget: int) -> Selection:
    """The best networks for a matrix; see `pathways.affinity.choice`.

    A task alone scores what is measured of it (gains of pairs: 0); where nothing is, it is alone only where it must be.
    """
    return choose(affinity, budget, rule)


def predictions(affinity: Affinity, group: Sequence[str]) -> Mapping[str, float]:
    """By task, the score that the rule gives it in a group: the mean over its partners there.

    >>> found = Affinity(("a", "b"), ("a", "b"), "co-training", "pairs", "", [[0.0, 2.0], [1.0, 0.0]])
    >>> predictions(found, ("a", "b"))
    {'a': 2.0, 'b': 1.0}
    """
    rows = affinity.of(group).values
    if len(group) == 1:
        return {group[0]: float(rows[0, 0]) if affinity.estimator == GAINS else float("nan")}
    others = ~np.eye(len(group), dtype=bool) & np.isfinite(rows)
    count = others.sum(axis=1)
    total = np.where(others, rows, 0.0).sum(axis=1)
    known = count == len(group) - 1  # as in the rule: without one of its pairs a task has no score
    return {task: float(total[i] / count[i]) if known[i] else float("nan") for i, task in enumerate(group)}


def value_against_budget(affinity: Affinity, others: Sequence[Affinity], rule: str, seed: int) -> Curve:
    """The rule's value for every number of networks, by the way they are chosen; see `pathways.affinity.ways`.

    `hoa` is what gains of pairs would choose, where they were measured beside `affinity`, valued by `affinity`.

    Args:
        affinity: whose value it is.
        others: all that was measured.
        rule: `tag`, `disjoint`, or `taskonomy`, where a budget is of sources and ways other than `exact`, `greedy` and
            `random` are not known.
        seed: of the random groups, or sources.
    """
    if rule == "taskonomy":
        return _sources_against_budget(affinity, seed)
    budgets, table = range(1, len(affinity.tasks) + 1), scored(affinity)
    found = value_curve(table, list(budgets), numpy_generator("curve", seed), rule, unit=affinity.unit)
    ways = {way: _known(values, table) for way, values in found.predicted.items() if way not in ("hoa", "random")}
    pairs = next((other for other in others if other.estimator == "pairs" and other is not affinity), None)
    if pairs is not None:
        ways["hoa"] = np.array([_value_of(table, grouped(pairs, rule, k).groups) for k in budgets])
    drawn = [_drawn(table, rule, k, seed) for k in budgets]
    for name, of in (("random low", np.min), ("random", np.median), ("random high", np.max)):
        ways[name] = np.array([of(values) if len(values) else np.nan for values in drawn])
    return Curve(found.budgets, ways, rule, found.higher_is_better, found.unit)


def _sources_against_budget(affinity: Affinity, seed: int) -> Curve:
    names = affinity.affected
    budgets = range(1, len(names) + 1)
    ways: dict[str, list[float]] = {way: [] for way in ("exact", "greedy", "random low", "random", "random high")}
    for k in budgets:
        for way, solver in (("exact", None), ("greedy", "greedy")):
            try:
                ways[way].append(choose(affinity, k, "taskonomy", solver=solver).value)
            except ConfigError:  # so few sources serve not every task
                ways[way].append(np.nan)
        values = _of_random_sources(affinity, k, seed)
        for way, of in (("random low", np.min), ("random", np.median), ("random high", np.max)):
            ways[way].append(float(of(values)) if values else np.nan)
    predicted = {way: np.array(values) for way, values in ways.items()}
    return Curve(np.array(budgets, dtype=float), predicted, "taskonomy", affinity.higher_is_better, affinity.unit)


def _of_random_sources(affinity: Affinity, k: int, seed: int) -> list[float]:
    """The values of random sets of sources that serve every task."""
    names, rng = affinity.affected, numpy_generator("curve", "sources", seed, k)
    prices = {name: Fraction(1) for name in names}
    drawn = [[names[i] for i in rng.choice(len(names), k, replace=False)] for _ in range(_DRAWS)]
    answers = [checked_transfers(affinity, opened, prices, Fraction(k)) for opened in drawn]
    return [sum(answer[1].values()) for answer in answers if not isinstance(answer, str)]


def _drawn(table: PerformanceTable, rule: str, budget: int, seed: int) -> list[float]:
    """Values of random groups, without those in which a task is alone that has no score so."""
    rng = numpy_generator("curve", seed, budget)
    ruled = "disjoint" if rule == "disjoint" else None
    values = np.array([found.value for found in random_selections(table, budget, _DRAWS, rng, ruled)])
    return [value for value in _known(values, table).tolist() if np.isfinite(value)]


def _known(values: Array, table: PerformanceTable) -> Array:
    """The values in which no task is alone without a score; NaN in place of the others."""
    return np.where(np.abs(values) < -LONE / 2 / len(table.tasks), values, np.nan)


def _value_of(table: PerformanceTable, groups: Sequence[Sequence[str]]) -> float:
    """The mean over tasks of the best score among the groups that hold a task; NaN where one must be alone."""
    rows = {frozenset(table.members(n)): table.merits[n] for n in range(len(table.names))}
    best = table.sign * np.max([rows[frozenset(group)] for group in groups], axis=0)
    return float(best.mean()) if (np.abs(best) < -LONE / 2).all() else float("nan")


__all__ = ["grouped", "predictions", "value_against_budget"]
