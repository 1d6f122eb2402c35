"""Controls: strategies whose winners are measured and recorded beside the system, not frozen into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .engine import Engine
from .freeze import test_value
from .path import Path
from .progress import End, Event, Progress
from .strategy import Strategy, Winner
from .task import Task

if TYPE_CHECKING:
    from .system import System

PUSHED_EVERY = 60.0  # seconds: the ledger on storage is replaced as a whole, which must not cost more than the control


def compare(
    system: System, tasks: Sequence[Task], strategy: Strategy, engine: Engine | None, progress: Progress | None
) -> None:
    """Run a control over tasks; what is recorded already is not run again.

    A control that is `joint` learns all tasks in one search. One that is `sequential` learns them one after
    another, each search handed the memory of the one before, and every path it has by then is measured on
    test data: its own R[i, j]. All others learn each task alone, side by side where there are workers.
    """
    system.refresh()
    system.refuse_damaged()
    tasks = served(tasks, strategy)
    for task in tasks:
        system.tasks[task.name] = task
    with system.leased([f"{strategy.name}:"]):  # all of it: the next of its searches begins with what this one leaves
        _compare(system, tasks, strategy, engine, progress)
    system.collect()


def served(tasks: Sequence[Task], strategy: Strategy) -> list[Task]:
    """The tasks that a control is run for: all, unless it says which inputs it `serves`."""
    serves = getattr(strategy, "serves", None)
    return [task for task in tasks if serves is None or serves(task.inputs)]


def _compare(
    system: System, tasks: Sequence[Task], strategy: Strategy, engine: Engine | None, progress: Progress | None
) -> None:
    if getattr(strategy, "joint", False):
        _run(system, [list(tasks)], strategy, engine, progress)
    elif getattr(strategy, "sequential", False):
        memory: Any = None
        for task in tasks:
            _run(system, [[task]], strategy, engine, progress, memory)
            memory = system.ledger.control(strategy.name, task.name)["memory"]  # type: ignore[index]
    else:
        _run(system, [[task] for task in tasks], strategy, engine, progress)


def _run(
    system: System,
    groups: Sequence[list[Task]],
    strategy: Strategy,
    engine: Engine | None,
    progress: Progress | None,
    memory: Any = None,
) -> None:
    """Search for each group of tasks that is not recorded yet, and record each winner."""
    recorded = {task for name, task in system.ledger.controls() if name == strategy.name}
    missing = [group for group in groups if not {task.name for task in group} <= recorded]
    names = [f"{strategy.name}:{task.name}" for group in missing for task in group]
    with system.leased(names):
        system.ledger.begin(names)
        for group, winner in system.search(missing, strategy, engine, progress, memory, leases=names):
            _record(system, group, strategy, winner, progress or (lambda event: None))


def _record(
    system: System, group: Sequence[Task], strategy: Strategy, winner: Winner, progress: Progress
) -> None:
    """Measure the winner, and earlier tasks' paths where it changed them, then record it: the record commits."""
    after = group[-1].name
    paths: dict[str, Path] = {**winner.revised, **winner.paths}
    tests: dict[str, float] = {}
    for name, path in paths.items():
        task = system.tasks[name]
        tests[name] = test_value(path, task, system)
        system.ledger.record_evaluation(
            strategy.name, after, name, "test", task.measured_by.name, tests[name], len(task.splits["test"])
        )
    for task in group:
        path = winner.paths[task.name]
        data = {
            "test": tests[task.name],
            "validation": winner.result.measures[task.name].validation,
            "parameters": path.costs(system.families).parameters,
            "candidate": winner.candidate.hash,
            "paths": {name: p.to_json() for name, p in paths.items()},
            "memory": winner.memory,
            "keeps": [p.to_json() for p in paths.values()] if winner.memory is not None else [],
        }
        if system.mirror is not None:  # what the record says is kept must be there before the record is
            system.mirror.push_blobs(blob for path in paths.values() for blob in path.frozen() if data["keeps"])
        system.ledger.record_control(strategy.name, task.name, data)
        progress(Event(task.name, strategy.name, 0, end=End(tests[task.name], task.measured_by.name)))
        step = 1 + list(system.briefs).index(task.name) if task.name in system.briefs else 0
        system.loggers.control(strategy.name, task.name, step, tests[task.name])
    if system.mirror is not None:
        system.mirror.push_ledger(at_most_every=PUSHED_EVERY)
