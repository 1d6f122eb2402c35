"""The champions against each control: differences paired by task, with intervals over tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pathways.interval import Estimate, mean_interval
from pathways.summary import CHAMPIONS
from pathways.text import PERCENT

from .numbers import Table

Verdict = Literal["better", "worse", "within noise", "the same", "unknown"]


@dataclass(frozen=True)
class Against:
    """The champions against one control.

    Args:
        side: the control.
        gains: by task that both were tested on, the champion's test measure less the control's, turned so that
            positive is better; in the metric's own unit.
        mean: their mean and its 95 % interval over tasks; `None` where tasks have different metrics, whose
            differences have no common mean.
    """

    side: str
    gains: Mapping[str, float]
    mean: Estimate | None

    @property
    def better(self) -> int:
        """On how many tasks the champion is better."""
        return sum(gain > 0 for gain in self.gains.values())

    @property
    def worse(self) -> int:
        """On how many it is worse."""
        return sum(gain < 0 for gain in self.gains.values())

    @property
    def verdict(self) -> Verdict:
        """What the interval says; `unknown` where there is none."""
        if self.gains and not any(self.gains.values()):
            return "the same"
        if self.mean is None or not self.mean.sure:
            return "unknown"
        return {1: "better", -1: "worse", 0: "within noise"}[self.mean.sign]  # type: ignore[return-value]


def against(summary: Mapping[str, Any]) -> tuple[Against, ...]:
    """One for each control that was tested on a task, in the summary's order.

    Args:
        summary: made by `pathways.summary.summarise`.
    """
    tasks = summary["tasks"]
    comparable = len({task["metric"] for task in tasks}) == 1
    found = []
    for side in summary["sides"]:
        gains = {
            task["name"]: (task["test"] - task["controls"][side]) * (1 if task["higher_is_better"] else -1)
            for task in tasks
            if task["test"] is not None and task["controls"].get(side) is not None
        } if side != CHAMPIONS else {}  # fmt: skip
        if gains:
            found.append(Against(side, gains, mean_interval([*gains.values()]) if comparable else None))
    return tuple(found)


def mean_test(summary: Mapping[str, Any], side: str = CHAMPIONS) -> Estimate | None:
    """A side's mean test measure with its 95 % interval over tasks; `None` where it has none.

    The ends of a share are cut at 0 and 1, beyond which no mean lies.
    """
    tasks, value = summary["tasks"], summary["sides"][side]["ACC"]
    if value is None:
        return None
    tests = [task["test"] if side == CHAMPIONS else task["controls"].get(side) for task in tasks]
    found = mean_interval([float("nan") if test is None else test for test in tests])
    low, high = found.low, found.high
    if tasks[0]["metric"] in PERCENT and found.sure:
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(value, low, high, found.n)


def against_table(found: tuple[Against, ...]) -> Table:
    """A row for each control."""
    nan = float("nan")
    rows = tuple(
        (one.side, *((one.mean.value, one.mean.low, one.mean.high) if one.mean else (nan, nan, nan)), len(one.gains),
         one.better, one.worse, one.verdict)
        for one in found
    )  # fmt: skip
    columns = ("control", "champions' gain", "low", "high", "tasks", "better on", "worse on", "verdict")
    return Table("against", columns, rows)


__all__ = ["Against", "Verdict", "against", "against_table", "mean_test"]
