"""Choosing networks exactly against the seconds it may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from pathways.affinity.choice import choose
from pathways.affinity.higher_order import scored
from pathways.affinity.matrix import Affinity
from pathways.affinity.performance import PerformanceTable

from .row import Row, compare

BUDGETS = ((5, 1.0), (9, 1.0), (12, 5.0), (14, 20.0))
"""Tasks, and the seconds that an exact choice may take."""


def exact_choices(pairs: int) -> Iterator[Row]:
    """Exact choices by both rules with all groups of the tasks, for half as many networks as tasks."""
    for count, seconds in BUDGETS:
        for rule, table in (("tag", _affinities(count)), ("standley", _losses(count))):
            yield compare(
                f"exact-choice-{rule}-{count}", _rate(table, count // 2), _budget(seconds), unit="choices/s", goal=1.0,
                pairs=pairs, note=f"{2**count - 1} groups of {count} tasks, against {seconds:g} s",
            )  # fmt: skip


def _affinities(count: int) -> Affinity:
    names = tuple(f"task{i}" for i in range(count))
    values = np.random.default_rng(count).normal(size=(count, count))
    return Affinity(names, names, "co-training", "random", "none", values)


def _losses(count: int) -> PerformanceTable:
    """A loss for each task in each group, and networks of half the size for single tasks."""
    groups = scored(_affinities(count))
    losses = np.where(groups.holds, np.random.default_rng(count).random(groups.values.shape), np.nan)
    return PerformanceTable(
        groups.tasks, (*groups.names, *(f"{task}_half" for task in groups.tasks)),
        (*groups.costs, *["0.5"] * count), np.concatenate([losses, 1.1 * losses[:count]]),  # type: ignore[arg-type]
    )  # fmt: skip


def _budget(seconds: float) -> Callable[[], float]:
    return lambda: 1 / seconds


def _rate(table: Affinity | PerformanceTable, budget: int) -> Callable[[], float]:
    def measured() -> float:
        begun = time.perf_counter()
        assert choose(table, budget).optimal
        return 1 / (time.perf_counter() - begun)

    return measured


__all__ = ["exact_choices"]
