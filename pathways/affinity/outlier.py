"""Outlier weights: gradient boosting over several tasks that splits them in two while it learns them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathways.errors import ConfigError, DataError
from pathways.seeds import numpy_generator, seed_of

Array = NDArray[np.float64]
Data = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""By task, samples (N, d) and targets (N,): numbers, or labels."""


CLEAR = 0.5
"""The least gap between two sides that are told apart. Ten simulated tasks of 100 samples, each with 10 % of a function
of its own: gaps of 0.69 to 0.94 on 12 seeds where two tasks were odd, 0.00 to 0.41 where none was; with 20 %, 0.48 to
0.91 and 0.01 to 0.69."""


@dataclass(frozen=True, eq=False)
class OutlierBoosting:
    """A fitted boosting of several tasks, and how it split them.

    Args:
        tasks: T names.
        theta: (T,), where each task stands between the two blocks.
        blocks: the trees of the blocks `meta`, `in` (weighted 1 − σ) and `out` (weighted σ), and of each task `own`.
        classes: labels, for a classifier; empty for numbers.
        mean, deviation: of the numbers, which trees learn standardised.
        rate: the learning rate.
    """

    tasks: tuple[str, ...]
    theta: Array
    blocks: Mapping[str, tuple[Any, ...]]
    classes: tuple[Any, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0
    rate: float = 0.1

    @property
    def weights(self) -> Array:
        """(T,): σ(θ_t), how much of the block `out` each task takes, 0 to 1; the rest is of the block `in`."""
        return _sigmoid(self.theta)

    @property
    def sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tasks with σ below one half, and the others. Which of the two are outliers the model cannot say."""
        high = self.weights >= 0.5
        return (
            tuple(t for t, up in zip(self.tasks, high, strict=True) if not up),
            tuple(t for t, up in zip(self.tasks, high, strict=True) if up),
        )

    @property
    def gap(self) -> float:
        """How far apart the sides are: the least σ of the upper less the largest of the lower; 0 with one side only."""
        high = self.weights >= 0.5
        return float(self.weights[high].min() - self.weights[~high].max()) if 0 < high.sum() < len(high) else 0.0

    @property
    def outliers(self) -> tuple[str, ...]:
        """The smaller side, by the assumption that most tasks are normal.

        None where the sides are equally large, or no more than `CLEAR` apart: θ of tasks that are all alike scatters.

        The model is symmetric: with `in` and `out` exchanged and θ negated it predicts the same. Which block becomes
        which is decided by the first draws of θ. That the minority is the odd side is an assumption, not a finding.
        """
        low, high = self.sides
        return () if len(low) == len(high) or self.gap < CLEAR else min(low, high, key=len)

    def scores(self, task: str, x: ArrayLike) -> Array:
        """F of a task, (N, C): log-odds of classes up to a constant, or one column of standardised numbers.

        Raises:
            DataError: no such task.
        """
        if task not in self.tasks:
            raise DataError(f"`task` must be one of {list(self.tasks)}, found {task!r}.")
        samples, sigma = np.asarray(x, dtype=np.float32), self.weights[self.tasks.index(task)]
        parts = {name: _sum(self.blocks[name], samples, self.rate) for name in ("meta", "in", "out", f"own {task}")}
        mixed = parts["meta"] + (1 - sigma) * parts["in"] + sigma * parts["out"] + parts[f"own {task}"]
        return np.asarray(np.broadcast_to(mixed, (len(samples), max(1, len(self.classes)))))

    def predict(self, task: str, x: ArrayLike) -> NDArray[Any]:
        """What a task's samples (N, d) are: labels of a classifier, else numbers, (N,)."""
        scores = self.scores(task, x)
        if self.classes:
            return np.asarray(self.classes)[scores.argmax(1)]
        return self.mean + self.deviation * scores[:, 0]


def outlier(
    data: Data,
    *,
    target: Literal["values", "classes"] = "values",
    shared: int = 20,
    split: int = 100,
    own: int = 20,
    rate: float = 0.1,
    theta_rate: float | None = None,
    depth: int = 3,
    seed: int = 0,
) -> OutlierBoosting:
    """Boost trees over all tasks in blocks that are shared by all, by each of two sides, and each task's own.

    `F_t = F_meta + (1 − σ(θ_t)) F_in + σ(θ_t) F_out + F_t,own`, fitted in that order. With r the negative gradient
    of the loss by F (squared error, or cross-entropy of a softmax), a tree of `meta` or `own` fits r, one of `in` fits
    `(1 − σ(θ_t)) r`, one of `out` fits `σ(θ_t) r`. After each such pair of trees, θ goes one step along the negative
    gradient of the loss: `θ_t += rate σ(1 − σ) Σ_n r_n · (F_out − F_in)(x_n)`, the sum over the samples of the task.

    Few shared trees leave the split something to explain. Unlike the published code, trees may have more than two
    leaves, and numbers are standardised first, so that the step of θ does not depend on their unit.

    Args:
        data: by task, samples and targets. All tasks have the same features, and the same labels.
        target: numbers or labels.
        shared: how many trees the block of all tasks has.
        split: how many each of the two sides has.
        own: how many each task has.
        rate: of all trees.
        theta_rate: of θ; that of the trees where not given.
        depth: of a tree, at most.
        seed: draws the first θ, of deviation 0.1, and the trees' ties.

    Returns:
        The fitted model. It splits tasks in two and cannot say which side is odd: see `OutlierBoosting.outliers`.

    Raises:
        DataError: samples that do not fit, or fewer than two tasks.
        ConfigError: no trees to split by.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(6, 60, 1))
        >>> slopes = [1, 1, 1, 1, -1, 1]
        >>> found = outlier({f"t{i}": (x[i], slopes[i] * x[i, :, 0]) for i in range(6)}, own=0)
        >>> found.outliers
        ('t4',)

    Reference: Emami et al. 2025 (R-MTGB, 2507.11411).
    """
    names = tuple(data)
    if len(names) < 2 or split < 1:
        raise ConfigError(f"`data` must have two tasks and `split` one tree at least, found {len(names)} and {split}.")
    x, task = _samples(data)
    y, classes, mean, deviation = _targets(data, target)
    theta = numpy_generator("outlier", "theta", seed).normal(size=len(names)) * 0.1
    parts = {name: np.zeros_like(y) for name in ("meta", "in", "out", "own")}
    blocks: dict[str, list[Any]] = {name: [] for name in ("meta", "in", "out", *(f"own {name}" for name in names))}
    step = rate if theta_rate is None else theta_rate

    def residual() -> Array:
        sigma = _sigmoid(theta)[task][:, None]
        f = parts["meta"] + (1 - sigma) * parts["in"] + sigma * parts["out"] + parts["own"]
        return y - (_softmax(f) if classes else f)

    def grow(block: str, part: str, wanted: Array, rows: Any = slice(None)) -> None:
        tree = _tree(x[rows], wanted, depth, seed_of("outlier", block, len(blocks[block]), seed))
        blocks[block].append(tree)
        parts[part][rows] += rate * _predicted(tree, x[rows])

    for _ in range(shared):
        grow("meta", "meta", residual())
    for _ in range(split):
        r, sigma = residual(), _sigmoid(theta)
        apart = (r * (parts["out"] - parts["in"])).sum(1)
        grow("in", "in", r * (1 - sigma[task])[:, None])
        grow("out", "out", r * sigma[task][:, None])
        theta = theta + step * sigma * (1 - sigma) * np.bincount(task, apart, len(names))
    for _ in range(own):
        r = residual()
        for place, name in enumerate(names):
            rows = np.flatnonzero(task == place)
            grow(f"own {name}", "own", r[rows], rows)
    grown = {name: tuple(trees) for name, trees in blocks.items()}
    return OutlierBoosting(names, theta, grown, classes, mean, deviation, rate)


def _samples(data: Data) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All tasks' samples (N, d), and the place of each one's task."""
    samples = [np.asarray(x, dtype=np.float32) for x, _ in data.values()]
    for name, x, (_, y) in zip(data, samples, data.values(), strict=True):
        if x.ndim != 2 or x.shape[1:] != samples[0].shape[1:] or np.shape(y) != x.shape[:1] or not len(x):
            raise DataError(
                f"task {name!r} must have samples (N, {samples[0].shape[-1]}) and targets (N,), "
                f"found {x.shape} and {np.shape(y)}."
            )
    return np.concatenate(samples), np.repeat(np.arange(len(samples)), [len(x) for x in samples])


def _targets(data: Data, target: str) -> tuple[Array, tuple[Any, ...], float, float]:
    """Targets as trees learn them (N, C), the classes, and what standardised numbers."""
    values = np.concatenate([np.asarray(y) for _, y in data.values()])
    if target == "classes":
        classes, numbers = np.unique(values, return_inverse=True)
        return np.eye(len(classes))[numbers], tuple(classes.tolist()), 0.0, 1.0
    values = values.astype(np.float64)
    mean, deviation = float(values.mean()), float(values.std()) or 1.0
    return ((values - mean) / deviation)[:, None], (), mean, deviation


def _tree(x: NDArray[np.float32], wanted: Array, depth: int, seed: int) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(max_depth=depth, random_state=seed % 2**32).fit(x, wanted)


def _predicted(tree: Any, x: NDArray[np.float32]) -> Array:
    return np.asarray(tree.predict(x), dtype=np.float64).reshape(len(x), -1)


def _sum(trees: tuple[Any, ...], x: NDArray[np.float32], rate: float) -> Array:
    total = np.zeros((len(x), 1))
    for tree in trees:
        total = total + rate * _predicted(tree, x)
    return total


def _sigmoid(theta: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-theta)))


def _softmax(f: Array) -> Array:
    e = np.exp(f - f.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


__all__ = ["OutlierBoosting", "outlier"]
