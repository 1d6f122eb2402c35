"""What differs between arms: paired over tasks, and over seeds where there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from pathways.errors import ConfigError
from pathways.interval import Estimate, mean_interval

from .arms import Arm, Repeat
from .signed_rank import holm, signed_rank

FEW = 6
"""With fewer pairs than this no signed-rank test can give p < 0.05, whatever the differences."""


@dataclass(frozen=True)
class Difference:
    """An arm against the first one, turned so that more is better.

    Args:
        arm: its name.
        by_task: by task, the difference of the means over seeds.
        over_tasks: the mean difference with its interval over tasks: what other tasks of this kind would give.
        over_seeds: the mean difference with its interval over seeds: what other seeds would give on these tasks.
        paired: whether both have the same seeds, so that they are compared pair by pair; else by Welch's interval.
        p: of the signed-rank test over tasks; `None` where no task differs.
        holm: the same, such that it holds for all arms at once.
        wins, ties, losses: tasks that are better, equal, worse.
    """

    arm: str
    by_task: Mapping[str, float]
    over_tasks: Estimate
    over_seeds: Estimate
    paired: bool
    p: float | None
    holm: float | None
    wins: int
    ties: int
    losses: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """Arms side by side.

    Args:
        arms: the first is what the others are compared with.
        tasks: those that all arms measured on the same test data, in the first arm's order.
        left_out: by task that is not compared, why.
        metric: of all tasks that are compared.
        higher_is_better: its sense.
        means: (A, T), each arm's measure of each task, the mean over its seeds.
        ranks: each arm's mean rank over tasks, 1 is best, ties share theirs.
        differences: of each arm but the first.
    """

    arms: tuple[Arm, ...]
    tasks: tuple[str, ...]
    left_out: Mapping[str, str]
    metric: str
    higher_is_better: bool
    means: NDArray[np.float64]
    ranks: tuple[float, ...]
    differences: tuple[Difference, ...]

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from pathways.notebook import comparison_html

        return comparison_html(self)


def compare(arms: Sequence[Arm]) -> Comparison:
    """Compare arms with the first of them, on the tasks that all measured on the same test data.

    Args:
        arms: two or more, with different names.

    Raises:
        ConfigError: fewer than two arms, two of one name, no common task, or tasks of different metrics.
    """
    if len(arms) < 2:
        raise ConfigError(f"a comparison needs two arms or more, found {len(arms)}: name another run or control.")
    names = [arm.name for arm in arms]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"arms must have different names, {twice[0]!r} is there twice: write NAME=DIR.")
    tasks, left_out = _common(arms)
    if not tasks:
        why = next(iter(left_out.items()))
        raise ConfigError(f"arms must have a task in common, found none: {why[0]!r} {why[1]}, for one.")
    metrics = {repeat.metrics[task] for arm in arms for repeat in arm.repeats for task in tasks}
    if len(metrics) > 1:
        kinds = ", ".join(sorted({f"`{name}`" for name, _ in metrics}))
        raise ConfigError(f"tasks that are compared must have one metric, found {kinds}: compare them apart.")
    metric, higher = metrics.pop()
    means = np.array([[np.mean([r.tests[task] for r in arm.repeats]) for task in tasks] for arm in arms])
    turned = means if higher else -means
    values = [signed_rank((turned[i] - turned[0]).tolist()) for i in range(1, len(arms))]
    differences = tuple(
        _difference(arms[0], arm, tasks, turned[i] - turned[0], (p, adjusted), 1.0 if higher else -1.0)
        for i, (arm, p, adjusted) in enumerate(zip(arms[1:], values, holm(values), strict=True), start=1)
    )
    ranks = tuple(float(mean) for mean in _ranks(-turned).mean(axis=1))
    return Comparison(tuple(arms), tasks, left_out, metric, higher, means, ranks, differences)


def _common(arms: Sequence[Arm]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The tasks that all measured on the same data, and why each other one is left out."""
    repeats = [repeat for arm in arms for repeat in arm.repeats]
    every = dict.fromkeys(task for repeat in repeats for task in repeat.metrics)
    tasks, left_out = [], {}
    for task in every:
        missing = [arm.name for arm in arms for repeat in arm.repeats if task not in repeat.tests]
        if missing:
            left_out[task] = f"is not measured in {missing[0]!r}"
        elif len({repeat.data.get(task) for repeat in repeats}) > 1:
            left_out[task] = "has other test data in other runs"
        else:
            tasks.append(task)
    return tuple(tasks), left_out


def _difference(
    first: Arm, arm: Arm, tasks: Sequence[str], gains: NDArray[np.float64], p: tuple[float | None, float | None],
    turn: float,
) -> Difference:
    paired = set(first.seeds) == set(arm.seeds)
    mine, other = ([[turn * r.tests[t] for t in tasks] for r in sorted(a.repeats, key=_seed)] for a in (arm, first))
    here, there = np.mean(mine, axis=1), np.mean(other, axis=1)
    over_seeds = mean_interval(here - there) if paired else welch(here, there)
    return Difference(
        arm.name, dict(zip(tasks, gains.tolist(), strict=True)), mean_interval(gains), over_seeds, paired, *p,
        wins=int((gains > 0).sum()), ties=int((gains == 0).sum()), losses=int((gains < 0).sum()),
    )  # fmt: skip


def _seed(repeat: Repeat) -> int:
    return repeat.seed


def welch(a: NDArray[np.float64], b: NDArray[np.float64], level: float = 0.95) -> Estimate:
    """The difference of two means of independent samples, with Welch's interval; none where a sample has one value.

    >>> welch(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])).value
    0.0

    Reference: Welch, "The Generalization of 'Student's' Problem when Several Different Population Variances are
    Involved", Biometrika 1947.
    """
    from scipy.special import stdtrit

    value, n = float(a.mean() - b.mean()), min(len(a), len(b))
    if n < 2:
        return Estimate(value, nan, nan, n)
    parts = [x.var(ddof=1) / len(x) for x in (a, b)]
    if not sum(parts):
        return Estimate(value, value, value, n)
    freedom = sum(parts) ** 2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * sqrt(sum(parts))
    return Estimate(value, value - half, value + half, n)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rank of each arm within each task, (A, T): 1 is the smallest, ties share the mean of theirs."""
    below = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    ranks: NDArray[np.float64] = below + (equal + 1) / 2
    return ranks


__all__ = ["FEW", "Comparison", "Difference", "compare", "welch"]
