"""Loggers: what takes the numbers of a run as they come, such as TensorBoard, Weights & Biases or MLflow.

The ledger stays the truth about what was tried; a logger is a view of it that grows while a run goes on. It hears of
each candidate that is trained, once it is committed, so a run that is resumed does not tell what was told before.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .candidate import Candidate, Result
from .progress import End, Event, Progress

if TYPE_CHECKING:
    from .system import System

_log = logging.getLogger(__name__)


class Logger(Protocol):
    """What a run tells its numbers. `System.loggers.add(logger)` has it told; the run closes it at its end.

    Example:
        >>> class Printed:
        ...     def scalars(self, step, values):
        ...         print(step, dict(values))
        ...     def close(self):
        ...         pass
        >>> loggers = Loggers([Printed()])
        >>> loggers.control("head-only", "wine", 2, 0.5)
        2 {'controls/head-only/wine': 0.5}
    """

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Take finite numbers by name.

        Names are `candidates/TASK/STRATEGY/...` (`validation`, `loss`, `best`, `parameters`, `trainable`, `seconds`,
        `failed`, `stopped`, `hyperparameters/NAME`), with the number of the candidate in its search as `step`, from 1;
        `champions/TASK` (its test measure), `stream/ACC` (the mean of all test measures), `stream/parameters` (distinct
        ones of all champions) and `controls/NAME/TASK`, with the number of the task in the stream as `step`, from 1.
        """
        ...

    def close(self) -> None:
        """Write what is held back; nothing more comes."""
        ...


class Loggers:
    """The loggers of a run. One that fails is told no more, with a warning: a run does not end by its log.

    Args:
        loggers: that it begins with.
    """

    def __init__(self, loggers: Iterable[Logger] = ()) -> None:
        self._loggers: list[Logger] = list(loggers)
        self._best: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        return len(self._loggers)

    def add(self, logger: Logger) -> None:
        """Tell this logger, too, from now on."""
        self._loggers.append(logger)

    def candidates(
        self, strategy: str, tasks: Sequence[str], pairs: Sequence[tuple[Candidate, Result]], before: int
    ) -> None:
        """Tell the candidates of a search that were committed.

        Args:
            strategy: of the search.
            tasks: of the search.
            pairs: candidates with their results.
            before: how many the search was told before them.
        """
        if not self._loggers:
            return
        name = "+".join(tasks)
        for step, (candidate, result) in enumerate(pairs, start=before + 1):
            key = (strategy, name)
            if result.ok:
                self._best[key] = max(self._best.get(key, -math.inf), result.quality)
            self._tell(step, candidate_scalars(name, strategy, candidate, result, self._best.get(key)))

    def champion(
        self, step: int, task: str, test: float | None, tests: Sequence[float | None], parameters: int
    ) -> None:
        """Tell a champion.

        Args:
            step: the number of its task in the stream, from 1.
            task: its name.
            test: its test measure.
            tests: those of all champions.
            parameters: distinct ones of all champions.
        """
        known = [value for value in tests if value is not None]
        values = {f"champions/{task}": test, "stream/parameters": parameters, "stream/tasks": len(tests)}
        if known and len(known) == len(tests):
            values["stream/ACC"] = sum(known) / len(known)
        self._tell(step, values)

    def control(self, strategy: str, task: str, step: int, test: float | None) -> None:
        """Tell what a control reached on a task, whose number in the stream is `step`."""
        self._tell(step, {f"controls/{strategy}/{task}": test})

    def close(self) -> None:
        """Close all of them, and forget them."""
        self._each(lambda logger: logger.close())
        self._loggers.clear()

    def _tell(self, step: int, values: Mapping[str, Any]) -> None:
        finite = {k: float(v) for k, v in values.items() if v is not None and math.isfinite(v)}
        if finite:
            self._each(lambda logger: logger.scalars(step, finite))

    def _each(self, call: Callable[[Logger], None]) -> None:
        for logger in list(self._loggers):
            try:
                call(logger)
            except Exception as error:  # whatever a service on a network may raise
                self._loggers.remove(logger)
                _log.warning("logger `%s` failed and is told no more: %s", type(logger).__name__, error)


def candidate_scalars(
    task: str, strategy: str, candidate: Candidate, result: Result, best: float | None
) -> dict[str, float | None]:
    """The numbers of one candidate by name, as `Logger.scalars` lists them."""
    at = f"candidates/{task}/{strategy}"
    values: dict[str, float | None] = {
        f"{at}/best": best, f"{at}/parameters": result.parameters, f"{at}/trainable": result.trainable,
        f"{at}/seconds": result.seconds, f"{at}/failed": float(bool(result.failure)),
        f"{at}/stopped": float(bool(result.stopped)),
    }  # fmt: skip
    joint = len(result.measures) > 1
    for one, measured in result.measures.items():
        inside = f"{at}/{one}" if joint else at
        values |= {f"{inside}/validation": measured.validation, f"{inside}/loss": measured.loss}
    plain = {k: v for k, v in candidate.training.to_json().items() if isinstance(v, (int, float))}
    return values | {f"{at}/hyperparameters/{name}": float(value) for name, value in plain.items()}


def report_ends(system: System, names: Sequence[str], progress: Progress | None) -> None:
    """Say what came of searches whose winners are frozen, to whom shows progress and to the loggers."""
    from .summary import total_parameters

    order = {name: step for step, name in enumerate(system.briefs, start=1)}
    for name in names:
        brief = system.briefs[name]
        if progress is not None:
            end = End(brief.test, brief.metric, brief.new_parameters, brief.parents)
            progress(Event(name, brief.strategy, 0, end=end))
        if len(system.loggers):
            tests = [other.test for other in list(system.briefs.values())[: order[name]]]
            system.loggers.champion(order[name], name, brief.test, tests, total_parameters(system))


__all__ = ["Logger", "Loggers", "candidate_scalars", "report_ends"]
