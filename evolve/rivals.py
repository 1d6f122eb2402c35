"""What a search remembers of its candidates' curves, and the races that it makes of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pathways.candidate import Result
from pathways.racing import Paired, Race, Rival, unpack
from pathways.strategy import TaskInfo
from pathways.task import Values


class Rivals:
    """The record that races are made from: what was told before, never what trains at the same time.

    Args:
        rule: `Paired`, or a `Pruner`.
        tasks: what the search learns.
    """

    def __init__(self, rule: Any, tasks: Sequence[TaskInfo]) -> None:
        self.rule = rule
        self._values = tuple(task.name for task in tasks if isinstance(task.target, Values))
        self._known: dict[str, Rival] = {}

    def race(self, factors: Mapping[str, float], parent: str | None, best: str | None) -> Race:
        """The race of a new candidate.

        Args:
            factors: by task, what its quality is multiplied by to be a score.
            parent: the hash of its parent, where that was tried.
            best: the hash of the best candidate so far.
        """
        if isinstance(self.rule, Paired):
            rival = self._known.get((parent if self.rule.rival == "parent" else best) or "")
            return Race(self.rule, factors, () if rival is None else (rival,), self._values)
        return Race(self.rule, factors, tuple(self._known.values()), self._values)

    def curve(self, factors: Mapping[str, float], result: Result) -> tuple[float, ...]:
        """The scores at the points that a result has measured."""
        race = Race(self.rule, factors, values=self._values)
        points = zip(*result.merits.values(), strict=True)
        return tuple(race.score(dict(zip(result.merits, map(unpack, packed), strict=True))) for packed in points)

    def add(self, factors: Mapping[str, float], result: Result, score: float | None) -> None:
        """Remember a result that was measured at points; `score` is `None` where it was stopped."""
        if not result.merits:
            return
        if isinstance(self.rule, Paired):
            rival = Rival(result.candidate, (), score, factors, result.merits)
        else:
            rival = Rival(result.candidate, self.curve(factors, result), score)
        self._known[result.candidate] = rival


__all__ = ["Rivals"]
