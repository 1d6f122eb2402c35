"""What was tried for each task, in the order tried: rows of the ledger as plain data for tables and figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pathways.racing import quality_of, unpack

from .numbers import Table

FAILED, STOPPED, TRAINED, KNOWN = "failed", "stopped by a race", "trained", "known already"


@dataclass(frozen=True)
class Tried:
    """A candidate as it was tried for one task.

    Args:
        task: for which.
        side: the strategy that asked.
        place: how many candidates of this side and task were asked for up to it; the first is 1.
        hash: the candidate's.
        parent: the place of the candidate that it is a child of; `None` where that was tried for no or another task.
        origin: what it started from, in words: names of tasks, `root`, or nothing.
        mutations: what was changed.
        generation: as its strategy counts.
        validation: the metric on validation data; `None` where it failed.
        quality: what choices compare, turned so that more is better; `None` where it failed.
        outcome: `trained`, `known already`, `stopped by a race` or `failed`.
        failure: why it failed.
        stopped, steps: after which step of how many a race stopped it; 0 where none did.
        rungs: its quality wherever its race measured it on the way, in order.
        parameters, trainable, flops: of its paths.
        seconds, cpu_seconds: what it took; 0 where it was known already.
        stack: with how many it trained as one program, itself among them.
        settings: its hyperparameters, by dotted name.
        champion: whether it became the task's champion.
    """

    task: str
    side: str
    place: int
    hash: str
    parent: int | None
    origin: str
    mutations: tuple[str, ...]
    generation: int
    validation: float | None
    quality: float | None
    outcome: str
    failure: str
    stopped: int
    steps: int
    rungs: tuple[float, ...]
    parameters: int
    trainable: int
    flops: int
    seconds: float
    cpu_seconds: float
    stack: int
    settings: Mapping[str, Any]
    champion: bool

    @property
    def finished(self) -> bool:
        """Whether it could win."""
        return self.outcome in (TRAINED, KNOWN) and self.quality is not None


def tried(rows: Iterable[Any], champions: Mapping[str, str], values: Collection[str] = ()) -> tuple[Tried, ...]:
    """All that was tried for the tasks that are learned.

    Args:
        rows: as `Ledger.rows` gives them, in commit order.
        champions: by task that is learned, the candidate that became its champion.
        values: those of them whose targets are values, not classes.
    """
    found: list[Tried] = []
    places: dict[tuple[str, str], dict[str, int]] = {}
    for row in sorted(rows, key=lambda row: (row.generation, row.id)):
        for task in row.tasks:
            if task not in champions:
                continue
            known = places.setdefault((row.strategy, task), {})
            known.setdefault(row.hash, len(known) + 1)
            rungs = tuple(quality_of(unpack(text), task in values) for text in row.result.merits.get(task, ()))
            found.append(_tried(row, task, known, champions[task] == row.hash, rungs))
    order = {task: i for i, task in enumerate(champions)}
    return tuple(sorted(found, key=lambda one: order[one.task]))


def _tried(row: Any, task: str, places: Mapping[str, int], champion: bool, rungs: tuple[float, ...]) -> Tried:
    result, measure = row.result, row.result.measures.get(task)
    parent = places.get(str(row.labels.get("parent", "")))
    outcome = FAILED if result.failure or measure is None else STOPPED if result.stopped else TRAINED
    return Tried(
        task, row.strategy, places[row.hash], row.hash, parent, ", ".join(row.parents),
        tuple(map(str, row.labels.get("mutations", ()))), row.generation, _known(measure and measure.validation),
        _known(measure and measure.quality), KNOWN if row.reused and outcome == TRAINED else outcome, result.failure,
        result.stopped, int(row.training.get("steps", 0)), rungs, result.parameters, result.trainable, result.flops,
        row.seconds, row.cpu_seconds, result.stack, dict(flat(row.training)), champion,
    )  # fmt: skip


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings with dotted names.

    >>> dict(flat({"lr": 0.1, "augment": {"rotate": 10.0}}))
    {'lr': 0.1, 'augment.rotate': 10.0}
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def candidates_table(every: Iterable[Tried]) -> Table:
    """A row for each candidate; `parent` is the place of another candidate of the same task and side."""
    rows = tuple(
        (one.task, one.side, one.place, one.parent, one.origin, "; ".join(one.mutations), one.generation, one.champion,
         one.validation, one.quality, one.outcome, one.failure, one.stopped, one.steps,
         "; ".join(f"{rung:.4f}" for rung in one.rungs), one.parameters, one.trainable,
         one.flops, one.seconds, one.cpu_seconds, one.stack, one.hash)
        for one in every
    )  # fmt: skip
    columns = (
        "task", "side", "place", "parent", "builds on", "mutations", "generation", "champion", "validation", "quality",
        "outcome", "failure", "stopped after", "steps", "rungs", "parameters", "trained", "FLOPs", "seconds",
        "CPU-seconds", "stack", "candidate",
    )  # fmt: skip
    return Table("candidates", columns, rows)


__all__ = ["FAILED", "KNOWN", "STOPPED", "TRAINED", "Tried", "candidates_table", "flat", "tried"]
