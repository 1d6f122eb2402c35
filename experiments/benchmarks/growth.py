"""Growth: what one more task costs when there are many already."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

from pathways import data
from pathways.candidate import Training
from pathways.evolve.munet import MuNet
from pathways.system import System
from pathways.task import Task

from .acts import STRATEGY
from .meter import measured
from .row import PAIRS, Row, compare
from .synthetic import blobs_task, synthetic

GOAL = round(1 / 1.15, 2)
"""At most 1.15 times the cost, as a ratio of rates."""

STREAM = MuNet(
    generations=1, children=3, probes=2, size=0.975,
    rates={"clone": 0.1, "clone:block3": 0.5, "adapter": 0.05, "hyperparameter": 0.1}, mutable_rates=False,
    space={"lr": (1e-3, 2e-3, 4e-3)},
)  # fmt: skip
"""Probes are capped at two, the root and the newest champion; every candidate takes as many steps."""

TRAINING = Training(steps=40, batch=32, lr=2e-3, head_lr=0.1, head_init="discriminant")

TASKS, MODULES = (10, 1000), 3
"""The systems whose next task is timed in pairs: how many tasks they have, of how many modules each.

Champions are as small as those that the timed tasks add, so that parents drawn from either system are alike.
"""


def rows(pairs: int = PAIRS) -> Iterator[Row]:
    """The 50th alphabet against the 2nd, and the 1,001st task of a synthetic system against the 11th."""
    with tempfile.TemporaryDirectory() as folder:
        yield _alphabets(FilePath(folder), pairs)
    with tempfile.TemporaryDirectory() as folder:
        yield _synthetic(FilePath(folder), pairs)


def all_alphabets() -> list[Task]:
    """The 50 alphabets of Omniglot, evaluation alphabets first."""
    return [*data.omniglot(), *data.omniglot(background=True)]


def stream(directory: FilePath, tasks: Sequence[Task], early: FilePath | None = None) -> list[dict[str, Any]]:
    """Learn tasks one after another; for each, what it cost.

    Args:
        directory: of the new run.
        tasks: in the order of the stream.
        early: where the run is copied to when it has learned the first.

    Returns:
        For each task its `task`, `tasks` (how many there were before), the fields of `Cost`, `sample_steps` (of all
        candidates), `manifests` (read in full) and `hashed` (read for their SHA-256).
    """
    told = []
    with System.create(directory, root="omniglot", training=TRAINING) as system:
        for number, task in enumerate(tasks):
            before = system.shelf.reads, system.shelf.hashed
            with measured() as cost:
                system.learn(task, STREAM)
            looked = {"manifests": system.shelf.reads - before[0], "hashed": system.shelf.hashed - before[1]}
            steps = sample_steps(system, task.name)
            told.append({"task": task.name, "tasks": number, "sample_steps": steps, **looked, **asdict(cost)})
            if number == 0 and early is not None:
                system.close()
                shutil.copytree(directory, early)
    return told


def sample_steps(system: System, task: str) -> int:
    """How many samples the candidates of a task have seen in training."""
    return sum(row.training["steps"] * row.training["batch"] for row in system.ledger.rows(task) if not row.reused)


def _alphabets(folder: FilePath, pairs: int) -> Row:
    """The same alphabet as the 50th and as the 2nd of a stream, in turns; it is forgotten before it comes again."""
    *earlier, last = all_alphabets()
    stream(folder / "late", earlier, folder / "early")
    with System.open(folder / "late") as late, System.open(folder / "early") as early:
        return compare(
            "growth-omniglot", lambda: _rate(late, last), lambda: _rate(early, last),
            unit="sample-steps/s", goal=GOAL, pairs=pairs,
            note=f"alphabet {len(earlier) + 1} against the same as the 2nd, probes capped at {STREAM.probes}",
        )  # fmt: skip


def _rate(system: System, task: Task) -> float:
    if task.name in system.records:
        system.forget(task.name)
    begun = time.perf_counter()
    system.learn(task, STREAM)
    return sample_steps(system, task.name) / (time.perf_counter() - begun)


def _synthetic(folder: FilePath, pairs: int) -> Row:
    """The same tasks learned by a small system and by a large one, in turns."""
    few, many = TASKS
    small = synthetic(folder / "few", few, MODULES, STRATEGY)
    large = synthetic(folder / "many", many, MODULES, STRATEGY)
    numbers = {id(small): 0, id(large): 0}

    def rate(system: System) -> float:
        numbers[id(system)] += 1
        tasks = [blobs_task(f"new/{numbers[id(system)]}/{i}") for i in range(5)]
        begun = time.perf_counter()
        for task in tasks:
            system.learn(task, STRATEGY)
        return len(tasks) / (time.perf_counter() - begun)

    with small, large:
        return compare(
            "growth-tasks", lambda: rate(large), lambda: rate(small), unit="tasks/s", goal=GOAL, pairs=pairs,
            note=f"tiny tasks after {many:,} tasks against after {few}, {MODULES} modules each",
        )  # fmt: skip
