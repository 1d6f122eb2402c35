"""Who does what of a run's work, and when: one driver all of it in order, several each what nobody is at."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from pathways.compare import served
from pathways.errors import HeldError, KnownError
from pathways.evolve.grouping import Grouping, divide, guarded
from pathways.progress import Progress
from pathways.strategy import Strategy
from pathways.system import System
from pathways.task import Task

PAUSE = 1.0
"""Seconds between two looks at what other drivers are at."""


class Part(Protocol):
    """A part of a run that one driver does at a time."""

    def done(self) -> bool:
        """Whether it is done, by whomever."""

    def do(self) -> None:
        """Do what is left of it; a `HeldError` where another driver is at it."""


def in_turn(system: System, parts: Sequence[Part], share: bool) -> None:
    """Do parts in their order.

    Args:
        system: whose they are.
        parts: what is to be done.
        share: do of what is left the first that no other driver is at, wait where there is none, and take over what a
            driver that is gone has left. Otherwise a part that another is at is an error.

    Raises:
        HeldError: another driver is at a part, without `share`.
    """
    left = list(parts)
    pause = min(PAUSE, system.lease_seconds / 4)
    while left:
        system.refresh()
        left = [part for part in left if not part.done()]
        mine = next((part for part in left if _tried(part, share)), None)
        if mine is not None:
            left.remove(mine)
        elif left:
            time.sleep(pause)


def _tried(part: Part, share: bool) -> bool:
    """Do a part, unless another driver is at it: then `False`."""
    try:
        part.do()
    except HeldError:
        if not share:
            raise
        return False
    return True


class Arrivals(list[Task]):
    """Tasks that arrive together.

    Args:
        tasks: these.
        grouping: how they are divided before they are learned; `None` learns all of them together.
    """

    def __init__(self, tasks: Iterable[Task], grouping: Grouping | None = None) -> None:
        super().__init__(tasks)
        self.grouping = grouping


class Arrival:
    """Tasks that are to be learned: one, some jointly, or some that are divided first."""

    def __init__(
        self, system: System, tasks: Arrivals, strategy: Strategy, engine: Any, progress: Progress
    ) -> None:
        self.system, self.tasks, self.strategy, self.engine, self.progress = system, tasks, strategy, engine, progress
        self.parts = [] if tasks.grouping else [list(tasks)]

    def done(self) -> bool:
        """Whether all of them are learned."""
        return all(task.name in self.system.records for task in self.tasks)

    def do(self) -> None:
        """Learn those that are not learned yet."""
        strategy, grouping = self.strategy, self.tasks.grouping
        if grouping:
            strategy = guarded(strategy)
            if not self.parts:
                self.parts = divide(self.system, self.tasks, grouping, self.engine, self.progress)[0]
        held: HeldError | None = None
        for part in self.parts:
            if not all(task.name in self.system.records for task in part):
                try:
                    self._learn(part, strategy)
                except HeldError as error:  # another group of the same division may be free
                    held = held or error
        if held:
            raise held

    def _learn(self, part: list[Task], strategy: Strategy) -> None:
        try:
            self.system.learn(part, strategy, self.engine, progress=self.progress)
        except KnownError:  # since this driver looked; where it is not the same data, attaching says so
            if not all(task.name in self.system.records for task in part):
                raise
            self.system.attach(part)


class Wave:
    """Tasks that are learned at the same time, each by a search of its own."""

    def __init__(
        self, system: System, groups: Sequence[Arrivals], strategy: Strategy, engine: Any, progress: Progress
    ) -> None:
        self.system, self.groups, self.strategy, self.engine, self.progress = system, groups, strategy, engine, progress

    def done(self) -> bool:
        """Whether all of them are learned."""
        return all(task.name in self.system.records for group in self.groups for task in group)

    def do(self) -> None:
        """Learn those that are not learned yet."""
        self.system.learn_at_once(self.groups, self.strategy, self.engine, progress=self.progress)


class Control:
    """What the system is compared with."""

    def __init__(
        self, system: System, tasks: Sequence[Task], strategy: Strategy, engine: Any, progress: Progress
    ) -> None:
        self.system, self.tasks, self.strategy, self.engine, self.progress = system, tasks, strategy, engine, progress

    def done(self) -> bool:
        """Whether it is recorded for every task."""
        recorded = self.system.ledger.controls()
        return all((self.strategy.name, task.name) in recorded for task in served(self.tasks, self.strategy))

    def do(self) -> None:
        """Run it on those tasks for which it is not recorded."""
        self.system.compare(self.tasks, self.strategy, self.engine, progress=self.progress)
