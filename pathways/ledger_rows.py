"""What the ledger returns, and how candidates and results become rows and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .candidate import Candidate, Result
from .ledger_log import Line

SYSTEM = "system"
"""Whose evaluations those of champions are."""


@dataclass(frozen=True)
class Row:
    """One candidate that a strategy tried.

    Args:
        id: grows with every commit; the order of the record.
        hash: the candidate's.
        strategy: who asked for it.
        tasks: the tasks it was tried for.
        generation: the candidate's `order`.
        number: the asker's number for it, where it gave one.
        dispatch: which dispatch trained it.
        labels: what the asker said of it: parents, mutations, ...
        training: its hyperparameters.
        paths: by task, the hash of its path.
        result: raw measures, blobs and costs, as trained.
        reused: whether the answer came from the record, so that this strategy paid nothing for it.
        finished: when it was committed, in seconds since 1970 (UTC).
    """

    id: int
    hash: str
    strategy: str
    tasks: tuple[str, ...]
    generation: int
    number: int | None
    dispatch: int
    labels: Mapping[str, Any]
    training: Mapping[str, Any]
    paths: Mapping[str, str]
    result: Result
    reused: bool
    finished: float

    @property
    def parents(self) -> tuple[str, ...]:
        """What the asker named as its parents."""
        return tuple(map(str, self.labels.get("parents", ())))

    @property
    def seconds(self) -> float:
        """Wall time that this strategy paid: 0 where the answer came from the record."""
        return 0.0 if self.reused else self.result.seconds

    @property
    def cpu_seconds(self) -> float:
        """Processor time that this strategy paid: 0 where the answer came from the record."""
        return 0.0 if self.reused else self.result.cpu_seconds


@dataclass(frozen=True)
class Trained:
    """A dispatch that came back, for `Ledger.commit_all`.

    Args:
        strategy: who asked.
        tasks: the tasks it is learning.
        dispatch: the dispatch's number.
        pairs: each candidate with its result.
        log: lines of its search's log, where it is one without rounds.
    """

    strategy: str
    tasks: Sequence[str]
    dispatch: int
    pairs: Sequence[tuple[Candidate, Result]]
    log: Sequence[Line] = ()


@dataclass(frozen=True)
class Cost:
    """What a strategy paid: candidates, how many of them came from the record, wall and processor seconds.

    `stopped` is how many of the candidates a race stopped.
    """

    candidates: int
    reused: int
    seconds: float
    cpu_seconds: float
    stopped: int = 0


@dataclass(frozen=True)
class Evaluation:
    """A metric of `task` on `split` (`n` samples) after `after` was learned; `after=""`: before any task."""

    strategy: str
    after: str
    task: str
    split: str
    metric: str
    value: float
    n: int


def logs_of(trained: Iterable[Trained]) -> list[tuple[Sequence[str], list[Line]]]:
    """The lines of each search's log, with the search's tasks.

    >>> a, b = (Line("search", place, "hash", told=True) for place in (0, 1))
    >>> [(tasks, len(lines)) for tasks, lines in logs_of([Trained("s", ["t"], 0, [], [line]) for line in (a, b)])]
    [(['t'], 2)]
    """
    found: dict[str, tuple[Sequence[str], list[Line]]] = {}
    for each in trained:
        for line in each.log:
            found.setdefault(line.search, (each.tasks, []))[1].append(line)
    return list(found.values())


def candidate_values(candidate: Candidate, result: Result, dispatch: int, finished: float) -> dict[str, Any]:
    """The columns of the `candidates` table."""
    data, asked = result.to_json(), candidate.to_json()
    return {
        "hash": candidate.hash, "tasks": list(candidate.paths), "task_count": len(candidate.paths),
        "generation": candidate.order, "dispatch": dispatch, "candidate": asked,
        "training": asked["training"],
        "paths": {task: path.hash for task, path in candidate.paths.items()},
        "quality": finite(result.quality), "fitness": finite(result.fitness),
        "finished": finished, "lost": False,
        **{name: data[name] for name in _AS_THEY_ARE},
    }


_AS_THEY_ARE = (
    "failure", "measures", "curve", "parameters", "trainable", "flops", "seconds", "cpu_seconds",
    "blobs", "optimizers", "stack", "alone", "stopped", "merits",
)


def result_of(row: Mapping[str, Any]) -> Result:
    """The result in a row of the `candidates` table, equal to the one that was committed."""
    return Result.from_json({"candidate": row["hash"], **{name: row[name] for name in _AS_THEY_ARE}})


def row_of(row: Mapping[str, Any]) -> Row:
    """The `Row` in a joined row of `tried` and `candidates`."""
    return Row(
        row["id"], row["hash"], row["strategy"], tuple(row["tasks"]), row["generation"], row["number"],
        row["dispatch"], row["labels"], row["training"], row["paths"], result_of(row), row["reused"],
        row["finished"],
    )


def evaluation_of(row: Mapping[str, Any]) -> Evaluation:
    """The `Evaluation` in a row of the `evaluations` table."""
    value = math.nan if row["value"] is None else row["value"]
    return Evaluation(row["strategy"], row["after"], row["task"], row["split"], row["metric"], value, row["n"])


def carried_on(evaluations: Sequence[Evaluation], strategy: str) -> list[Evaluation]:
    """The evaluations, and for each of `strategy` on the task learned last the same after every later task.

    >>> one, two = (Evaluation("system", task, task, "test", "accuracy", 0.5, 9) for task in ("a", "b"))
    >>> [(e.after, e.task) for e in carried_on([one, two], "system")]
    [('a', 'a'), ('b', 'b'), ('b', 'a')]
    """
    there = {(e.strategy, e.after, e.task, e.split) for e in evaluations}
    earlier: list[Evaluation] = []
    found: list[Evaluation] = []
    for e in evaluations:
        found.append(e)
        if e.strategy == strategy and e.after == e.task:
            found += [
                replace(old, after=e.after) for old in earlier
                if old.split == e.split and (strategy, e.after, old.task, old.split) not in there
            ]  # fmt: skip
            earlier.append(e)
    return found


def finite(value: float) -> float | None:
    """`value`, or `None` where it is NaN or infinite, which not every database can hold."""
    return value if math.isfinite(value) else None


__all__ = [
    "SYSTEM", "Cost", "Evaluation", "Row", "Trained", "candidate_values", "carried_on", "evaluation_of", "finite",
    "logs_of", "result_of", "row_of",
]
