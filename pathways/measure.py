"""Metrics of one task: how predictions are compared with targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A named function of predictions and targets.

    Args:
        name: as shown in tables.
        compute: (outputs (N, classes or values), targets (N,) or (N, values)) to a number.
        higher_is_better: its sense.
        of: the target it measures: `classes`, `values` or `any`.
    """

    name: str
    compute: Callable[[Tensor, Tensor], float]
    higher_is_better: bool = True
    of: Literal["classes", "values", "any"] = "any"

    def quality(self, value: float) -> float:
        """The value turned so that more is better: itself, or `1 / (1 + value)` in (0, 1] for errors."""
        return value if self.higher_is_better else 1.0 / (1.0 + value)


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The share of samples whose highest output is the target class."""
    return float((outputs.argmax(1) == targets).double().mean())


def balanced_accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The mean over the classes that occur of each class's share of right answers."""
    import torch

    right = (outputs.argmax(1) == targets).double()
    return float(torch.stack([right[targets == c].mean() for c in targets.unique()]).mean())


def mean_squared_error(outputs: Tensor, targets: Tensor) -> float:
    """The mean squared difference over samples and values."""
    return float((outputs.double() - targets.double()).square().mean())


def mean_absolute_error(outputs: Tensor, targets: Tensor) -> float:
    """The mean absolute difference over samples and values."""
    return float((outputs.double() - targets.double()).abs().mean())


def r2(outputs: Tensor, targets: Tensor) -> float:
    """The coefficient of determination, averaged over the values; 0 predicts the mean, 1 is exact."""
    outputs, targets = outputs.double(), targets.double()
    total = (targets - targets.mean(0)).square().sum(0).clamp_min(1e-12)
    return float((1 - (outputs - targets).square().sum(0) / total).mean())


METRICS: dict[str, Metric] = {metric.name: metric for metric in (
    Metric("accuracy", accuracy, of="classes"),
    Metric("balanced_accuracy", balanced_accuracy, of="classes"),
    Metric("mean_squared_error", mean_squared_error, higher_is_better=False, of="values"),
    Metric("mean_absolute_error", mean_absolute_error, higher_is_better=False, of="values"),
    Metric("r2", r2, of="values"),
)}


def metric_named(name: str) -> Metric:
    """The metric of that name; a `ConfigError` lists the names there are."""
    if name not in METRICS:
        raise ConfigError(
            f"`metric` must be one of {sorted(METRICS)}, found {name!r}: or pass a `pathways.Metric`."
        )
    return METRICS[name]
