"""What training showed: gains of a way to split against another, and predictions beside what came true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pathways.affinity.evidence import Estimate, mean_interval, mean_over, paired_interval
from pathways.affinity.findings import Arm, Findings

from .structure import pairs

Array = NDArray[np.float64]
CHOSEN, TOGETHER, ALONE = "chosen", "all-in-one", "separate"


def arm(findings: Findings, name: str) -> Arm | None:
    """The way to split of that name, if it was trained."""
    return next((arm for arm in findings.arms if arm.name == name), None)


def randoms(findings: Findings) -> list[Arm]:
    """The random groupings."""
    return [arm for arm in findings.arms if arm.name.startswith("random")]


def difference(findings: Findings, one: str, other: str, over: Literal["seeds", "tasks"] = "seeds") -> Estimate | None:
    """The mean gain of one way to split against another; `None` where one of them was not trained."""
    left, right = arm(findings, one), arm(findings, other)
    if left is None or right is None:
        return None
    return paired_interval(findings.gain(left, other), over)


def by_task(findings: Findings, one: str, other: str) -> dict[str, Estimate]:
    """The gain of each task, with an interval over seeds; empty where one of the two was not trained."""
    left = arm(findings, one)
    if left is None or arm(findings, other) is None:
        return {}
    gains = findings.gain(left, other)
    return {task: mean_interval(gains[:, i]) for i, task in enumerate(findings.tasks)}


def random_gains(findings: Findings, against: str = ALONE) -> Array:
    """(random groupings,): the mean gain of each over tasks and seeds."""
    if arm(findings, against) is None:
        return np.array([])
    means = [paired_interval(findings.gain(random, against)).value for random in randoms(findings)]
    return np.array(means, dtype=np.float64)


@dataclass(frozen=True)
class Point:
    """A task in a network that was trained to verify.

    Args:
        task: whose prediction and gain this is.
        network: its position in `Findings.trained`.
        predicted: what the rule predicted, larger always better.
        placed: the same on a scale that all tasks share, 0 where `zero_is_alone` or the median of the task's row.
        gain: the mean over seeds of the measured gain against a network of its own.
        error: its standard error over seeds; NaN with one seed.
    """

    task: str
    network: int
    predicted: float
    placed: float
    gain: float
    error: float


def zero_is_alone(findings: Findings) -> bool:
    """Whether a prediction of 0 means `as good as alone`: where performances were predicted (Standley's rule).

    Affinities have no such zero: the sign of TAG's score says nothing, only its order within a row does.
    """
    return findings.selection.rule == "standley" and any(np.isfinite(list(_alone_predicted(findings).values())))


def points(findings: Findings) -> list[Point]:
    """Each task in each network of several tasks, or from another task's trunk, where prediction and gain are known."""
    alone = arm(findings, ALONE)
    if alone is None:
        return []
    sense = 1.0 if findings.higher_is_better else -1.0
    toward = 1.0 if findings.selection.higher_is_better else -1.0
    middle, spread = _scales(findings)
    own, signed = _alone_predicted(findings), zero_is_alone(findings)
    out = []
    for n, network in enumerate(findings.trained):
        for k, task in enumerate(network.tasks if len(network.tasks) > 1 or network.source else ()):
            i = findings.tasks.index(task)
            gains = sense * (network.test[:, k] - alone.test[:, i])
            known = gains[np.isfinite(gains)]
            predicted = toward * network.predicted.get(task, np.nan)
            if signed:
                placed = predicted = predicted - toward * own.get(task, np.nan)
            else:
                placed = (predicted - middle[i]) / spread[i]
            if len(known) and np.isfinite(placed):
                error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")
                out.append(Point(task, n, float(predicted), float(placed), float(known.mean()), error))
    return out


def _alone_predicted(findings: Findings) -> dict[str, float]:
    """What the rule predicted for each task's own network."""
    return {
        t.tasks[0]: t.predicted.get(t.tasks[0], np.nan) for t in findings.trained
        if len(t.tasks) == 1 and not t.source
    }


def _scales(findings: Findings) -> tuple[Array, Array]:
    """Each row's median and standard deviation, off its diagonal; NaN where the row is empty or constant."""
    values = pairs(findings.affinity, findings.tasks)
    middle = np.ma.median(np.ma.masked_invalid(values), axis=-1).filled(np.nan)
    spread = np.sqrt(mean_over((values - mean_over(values, -1)[:, None]) ** 2, -1))
    return middle, np.where(spread > 0, spread, np.nan)


__all__ = [
    "ALONE", "CHOSEN", "TOGETHER", "Point", "arm", "by_task", "difference", "points", "random_gains", "randoms",
    "zero_is_alone",
]
