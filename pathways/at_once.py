"""Several tasks learned at the same time, each by a search of its own, as if none of them knew of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import upkeep
from .freeze import freeze
from .learn import run_searches
from .logger import report_ends
from .progress import Event, Progress
from .search import bench_of, refuse_known, work_of
from .strategy import Strategy
from .task import Task

if TYPE_CHECKING:
    from .engine import Engine
    from .system import System


def learn_at_once(
    system: System, groups: Sequence[Sequence[Task]], strategy: Strategy, engine: Engine | None,
    progress: Progress | None,
) -> None:
    """Run a search for each group, side by side on one engine, then freeze the winners in the order of `groups`.

    Every search sees the champions from before, and none of the others', also where a run that was killed between two
    freezes had frozen some: so nothing depends on who was first.

    Raises:
        DataError: all of the tasks were learned already, or one of this name with other data.
        PathwaysError: no candidate of a search could be trained; then none is frozen.
    """
    system.refresh()
    system.refuse_damaged()
    tasks = [task for group in groups for task in group]
    refuse_known(system, tasks)
    names = [task.name for task in tasks]
    left = [group for group in groups if not all(task.name in system.records for task in group)]
    with system.leased(names):
        system.ledger.remember(names)
        bench = bench_of(system, tasks, engine, progress and as_one(progress, names), names)
        works = [work_of(system, group, strategy, without=names) for group in left]
        winners = [winner for _, winner in run_searches(works, bench)]
        for group, winner in zip(left, winners, strict=True):
            freeze(system, group, strategy, winner)
        report_ends(system, [task.name for group in left for task in group], progress)
        upkeep.tidy(system, names)


def as_one(progress: Progress, names: Sequence[str]) -> Progress:
    """Events of several searches as those of one, so that one line shows them all.

    >>> seen = []
    >>> show = as_one(seen.append, ["one", "two", "three"])
    >>> show(Event("one", "munet", 1, best=0.5))
    >>> show(Event("two", "munet", 1, best=0.9))
    >>> seen[-1].task, seen[-1].tried, seen[-1].best
    ('one and 2 more at once', 2, None)
    """
    name = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more at once"
    tried: dict[str, int] = {}

    def show(event: Event) -> None:
        tried[event.task] = event.tried
        progress(Event(name, event.strategy, sum(tried.values()), best=event.best if len(names) == 1 else None))

    return show


__all__ = ["as_one", "learn_at_once"]
