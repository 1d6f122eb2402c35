"""A guard against negative transfer: what is shared must not lose to a network trained from scratch.

Reference: negative transfer as losing to a model of one's own task alone is Wang et al. 2019, "Characterizing and
avoiding negative transfer", arXiv 1811.09751.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from scipy.special import ndtr

from pathways.candidate import Candidate, Measures, Result
from pathways.errors import ConfigError
from pathways.strategy import TaskInfo, Winner
from pathways.task import Classes

from .settings import whole_number

SCRATCH, SHARING = "scratch", "sharing"


@dataclass(frozen=True)
class Guard:
    """A scratch candidate for each task is in the race, and sharing is kept only where it does not lose to it.

        sharing is dropped where quality(scratch) > quality(sharing) on validation data
        with `alpha`: and where p(a difference so large | both are as good) <= alpha

    Quality is not discounted for size: the guard asks whether sharing hurts, not what it saves. The test is that of two
    proportions as if each network had answered other samples; answers of two networks to the same samples agree
    more than that, so it drops sharing less often than `alpha` says.

    Args:
        repeats: scratch candidates of each task, each with other random weights; the best of them counts.
        alpha: the test's level, above 0 and below 1; `None` drops sharing where it is worse by however little.

    Raises:
        ConfigError: a setting out of range.

    Reference: Wang et al. 2019, arXiv 1811.09751 (negative transfer).

    Example:
        >>> sharing, scratch = (Measures(q, q, 0.1, q, 100) for q in (0.70, 0.75))
        >>> Guard().drops(sharing, scratch), Guard(alpha=0.05).drops(sharing, scratch)
        (True, False)
    """

    repeats: int = 1
    alpha: float | None = None

    def __post_init__(self) -> None:
        whole_number("repeats", self.repeats, 1)
        number = isinstance(self.alpha, (int, float)) and not isinstance(self.alpha, bool)
        if self.alpha is not None and not (number and 0 < self.alpha < 1):
            raise ConfigError(f"`alpha` of `guard` must be above 0 and below 1, found {self.alpha!r}.")

    def drops(self, sharing: Measures, scratch: Measures) -> bool:
        """Whether sharing loses."""
        ahead = scratch.quality - sharing.quality
        if self.alpha is None or ahead <= 0:
            return ahead > 0
        share = (scratch.quality + sharing.quality) / 2
        error = (2 * share * (1 - share) / scratch.samples) ** 0.5
        return error == 0 or bool(1 - ndtr(ahead / error) <= self.alpha)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data."""
        return asdict(self)


def as_guard(value: Any) -> Guard | bool | None:
    """The guard that a configuration names: `true`, or a mapping of its settings; `false` is none, `None` says nothing.

    >>> as_guard({"alpha": 0.05}).repeats
    1
    """
    if value is None or value is False or isinstance(value, Guard):
        return value
    settings = {} if value is True else value
    if not isinstance(settings, Mapping) or set(settings) - set(Guard.__dataclass_fields__):
        raise ConfigError(
            f"`guard` must be true, or a mapping of {list(Guard.__dataclass_fields__)}, found {value!r}."
        )
    return Guard(**settings)


class Watch:
    """The guard of one search: takes the scratch candidates' results, and decides at its end.

    Args:
        guard: the rule.
        tasks: that the search learns.

    Raises:
        ConfigError: `alpha` is set, and a task has no classes to count right answers of.
    """

    def __init__(self, guard: Guard, tasks: tuple[TaskInfo, ...]) -> None:
        self.guard = guard
        self._best: dict[str, tuple[Candidate, Result]] = {}
        if guard.alpha is not None and (others := [t.name for t in tasks if not isinstance(t.target, Classes)]):
            raise ConfigError(f"`alpha` of `guard` must be left out where targets are not classes, found {others}.")

    def tell(self, candidate: Candidate, result: Result) -> None:
        """Take the result of a task's scratch candidate."""
        [task] = candidate.paths
        best = self._best.get(task)
        if result.ok and (best is None or result.quality > best[1].quality):
            self._best[task] = (candidate, result)

    def decide(self, winner: Winner | None, tasks: tuple[str, ...]) -> Winner | None:
        """The search's outcome: the winner, with those tasks set apart whose scratch candidate beats it.

        A task set apart has a network of its own: nothing in it is shared, and it has no parents. Its champion, and
        those that keep sharing, say so under `guard` in `extra`, with both qualities.

        Args:
            winner: the best that shares; `None` where no such candidate was trained to its end.
            tasks: the search's, in their order.
        """
        if winner is None:
            alone = [self._alone(task, {"kept": SCRATCH}) for task in tasks if task in self._best]
            if len(alone) < len(tasks):
                return None
            return replace(alone[0], alone=dict(zip(tasks[1:], alone[1:], strict=True)))
        said: dict[str, dict[str, Any]] = {}
        for task, (_, result) in self._best.items():
            sharing, scratch = winner.result.measures[task], result.measures[task]
            said[task] = {
                "kept": SCRATCH if self.guard.drops(sharing, scratch) else SHARING,
                SHARING: sharing.quality, SCRATCH: scratch.quality, "parents": list(winner.parents),
            }
        lost = {task: self._alone(task, data) for task, data in said.items() if data["kept"] == SCRATCH}
        if len(tasks) == 1 and lost:
            learned = {name: winner.extra[name] for name in ("gains",) if name in winner.extra}
            return replace(lost[tasks[0]], extra={**learned, **lost[tasks[0]].extra})
        kept = {task: data for task, data in said.items() if task not in lost}
        return replace(winner, extra={**winner.extra, **({"guard": kept} if kept else {})}, alone=lost)

    def _alone(self, task: str, said: Mapping[str, Any]) -> Winner:
        candidate, result = self._best[task]
        return Winner(candidate.trained_paths(result), candidate, result, extra={"guard": {task: dict(said)}})


__all__ = ["SCRATCH", "SHARING", "Guard", "Watch", "as_guard"]
