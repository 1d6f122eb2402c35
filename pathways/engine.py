"""The protocol between a run and the workers that train: dispatches go out, results come back as they finish."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Protocol

from pathways.modules import Families

from .candidate import Candidate, Result
from .task import Task
from .trace import Span

CACHE_BYTES = 4 << 30
"""How much a run keeps of what frozen prefixes give, on disk, unless told otherwise."""


@dataclass(frozen=True)
class Dispatch:
    """Candidates that are sent together, trained by one trainer and committed in one transaction.

    Args:
        id: its number.
        candidates: in the order asked for.
        stacked: whether they have one shape and train as one program.
        slots: of that program, as in `stack_plan.Group`.
    """

    id: int
    candidates: tuple[Candidate, ...]
    stacked: bool = False
    slots: tuple[int, ...] = ()

    @property
    def workers(self) -> int:
        """How many trainers can work on it together: the most that one of its candidates asks for."""
        return max((candidate.workers for candidate in self.candidates), default=1)


@dataclass(frozen=True)
class Answer:
    """The results of a dispatch, in its candidates' order, and what it took to get them.

    Args:
        dispatch: what was asked for.
        results: one for each candidate.
        spans: what was done when, see `pathways.trace.Span`; empty where an engine does not say.
        moved: bytes that went to the worker and back for this dispatch; 0 where nothing travels.
    """

    dispatch: Dispatch
    results: tuple[Result, ...]
    spans: tuple[Span, ...] = ()
    moved: int = 0


class Engine(Protocol):
    """Where trainers run. Nothing above knows whether that is this process, local processes or a cluster.

    One that computes on something else than the processor says so by an attribute `device` (see `device_of`); one that
    knows how many of its workers have something to do, by a method `busy()` (see `busy_of`).
    """

    @property
    def workers(self) -> int:
        """How many dispatches can be trained at the same time."""
        ...

    def open(self, pool: FilePath, families: Families) -> None:
        """Make ready to train against the pool in that directory. Opening the same pool again does nothing."""
        ...

    def provide(self, task: Task) -> None:
        """Make a task's training and validation data known to the trainers, by its fingerprint."""
        ...

    def submit(self, dispatch: Dispatch) -> None:
        """Queue a dispatch."""
        ...

    def next(self, timeout: float | None = None) -> Answer | None:
        """The next finished dispatch; `None` where none finished within `timeout` seconds or none is under way."""
        ...

    def cancel(self, dispatch: int) -> bool:
        """Drop a dispatch that has not started; whether it was dropped."""
        ...

    def close(self) -> None:
        """Stop the workers and wait until they are gone."""
        ...


def busy_of(engine: Engine) -> int | None:
    """How many of an engine's workers have something to do, by its method `busy()`; `None` where it cannot say."""
    asked = getattr(engine, "busy", None)
    return None if asked is None else asked()


def device_of(engine: Engine) -> str:
    """What an engine's trainers compute on: its attribute `device`, or `cpu` where it has none."""
    return str(getattr(engine, "device", "cpu"))
