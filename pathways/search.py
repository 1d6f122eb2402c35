"""Searches over tasks: what they may be asked for, what they see, and how they are worked off on an engine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pathways.modules import content_hash

from .champions import Champions
from .engine import Engine, device_of
from .errors import DataError, KnownError, LedgerError
from .in_process import InProcess
from .learn import Bench, Work, run_searches
from .progress import Progress
from .strategy import SteadySearch, Strategy, TaskInfo, View, Winner
from .task import Task

if TYPE_CHECKING:
    from .system import System

RENEWALS = 30
"""How often in its time a lease is renewed at most: a thousand searches side by side begin rounds all the time."""


def search(
    system: System,
    groups: Sequence[Sequence[Task]],
    strategy: Strategy,
    engine: Engine | None,
    progress: Progress | None,
    memory: Any,
    leases: Sequence[str],
) -> Iterator[tuple[Sequence[Task], Winner]]:
    """Run one search for each group of tasks, side by side, and give each winner, in the order of `groups`.

    Raises:
        LedgerError: the run was made with other numerics, or another process has taken over one of `leases`.
        PathwaysError: no candidate of a search could be trained.
    """
    bench = bench_of(system, [task for group in groups for task in group], engine, progress, leases)
    works: list[Work] = []
    groups_of: dict[int, Sequence[Task]] = {}
    for group in groups:
        works.append(work_of(system, group, strategy, memory))
        groups_of[id(works[-1])] = group
    for work, winner in run_searches(works, bench):
        yield groups_of[id(work)], winner


def work_of(
    system: System, tasks: Sequence[Task], strategy: Strategy, memory: Any = None, without: Sequence[str] = ()
) -> Work:
    """A search for tasks, begun; `without` as in `view`."""
    seen = view(system, tasks, memory, without)
    begun = strategy.begin(seen)
    log = name_of(strategy, seen) if isinstance(begun, SteadySearch) else ""
    return Work(begun, strategy.name, tuple(task.name for task in tasks), log)


def bench_of(
    system: System, tasks: Sequence[Task], engine: Engine | None, progress: Progress | None, leases: Sequence[str]
) -> Bench:
    """Where a system's candidates are worked off, with the data of `tasks` known to the trainers.

    Raises:
        LedgerError: the run was made with other numerics.
    """
    engine = engine or InProcess(device=system.device)
    differ = system.numerics_differ(device_of(engine))
    if differ:
        raise LedgerError(
            f"run {system.directory} was made with other numerics ({differ}): results would not be those of one run; "
            f"continue on the same installation, or make a new run."
        )
    engine.open(system.pool.directory, system.families)
    for task in tasks:
        engine.provide(task.without_test())

    renewed = -math.inf

    def alive() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > system.lease_seconds / RENEWALS:
            for name in leases:
                system.ledger.renew(name, system.owner, system.lease_seconds)
            renewed = time.monotonic()

    return Bench(
        system.ledger, system.pool, engine, system.dispatch, system.stack, system.families, device_of(engine), alive,
        progress or (lambda event: None), system.trace if system.tracing else None,
        system.loggers,
    )


def view(system: System, tasks: Sequence[Task], memory: Any = None, without: Sequence[str] = ()) -> View:
    """What a strategy may know when a search for `tasks` begins, `without` the champions of those that go beside it."""
    infos = tuple(TaskInfo(t.name, t.inputs, t.target, t.fingerprint, len(t.splits["train"])) for t in tasks)
    others = system.champions.but(frozenset([*(task.name for task in tasks), *without]))
    return View(
        system.seed, infos, others, system.root_for(tasks), system.training, memory, system.families,
        system.record.roots,
    )


def name_of(strategy: Strategy, view: View) -> str:
    """A name for a search: a hash of all that it begins with. Another search of the same tasks has another log."""
    champions = Champions.of(view.champions, view.families).sketches
    return content_hash({
        "strategy": [strategy.name, strategy.to_json()],
        "run": view.run,
        "tasks": {task.name: task.fingerprint for task in view.tasks},
        "champions": {task: sketch.path for task, sketch in champions.items()},
        "root": view.root and view.root.hash,
        "training": view.training.to_json(),
        "memory": view.memory,
    })


def refuse_known(system: System, tasks: Sequence[Task]) -> None:
    """Raise a `DataError` where a task cannot be learned: its name or data is learned already, or it has no test split.

    Of tasks learned jointly some may be frozen already, by a run that was killed before it froze the rest.
    """
    begun = [task.name for task in tasks if task.name in system.records]
    seen = {brief.data: name for name, brief in system.briefs.items()}
    for task in tasks:
        record = system.briefs.get(task.name)
        if record is not None and (len(begun) == len(tasks) or record.data != task.fingerprint):
            raise KnownError(
                f"task {task.name!r} is learned already: give the new task another name, "
                f"or `forget` the old one first."
            )
        if seen.setdefault(task.fingerprint, task.name) != task.name:
            raise DataError(
                f"task {task.name!r} holds the same data as {seen[task.fingerprint]!r}, which is learned already: "
                f"drop one of them."
            )
        if "test" not in task.splits:
            raise DataError(f"task {task.name!r} must have a test split for its report, found {sorted(task.splits)}.")


def refuse_changed(system: System, task: Task) -> None:
    """Raise a `DataError` where a learned task's data is not what its champion was trained and measured on."""
    record = system.briefs.get(task.name)
    if record is not None and (record.data, record.test_data) != (task.fingerprint, task.test_fingerprint):
        raise DataError(
            f"the data of task {task.name!r} changed: its fingerprint was {record.data[:12]} and is "
            f"{task.fingerprint[:12]}: restore the data, or learn it under another name."
        )
