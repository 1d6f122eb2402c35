"""Metrics of one task: how predictions are compared with targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pathways.modules.near import did_you_mean

from .errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A named function of predictions and targets.

    Args:
        name: as shown in tables.
        compute: (outputs (N, classes or values), targets (N,) or (N, values)) to a number; of sequences
            ((N, length, classes), (N, length)), of spans ((N, length, 2), (N, 2)).
        higher_is_better: its sense.
        of: the target it measures: `classes`, `values`, `sequences`, `spans` or `any`.
    """

    name: str
    compute: Callable[[Tensor, Tensor], float]
    higher_is_better: bool = True
    of: Literal["classes", "values", "sequences", "spans", "any"] = "any"

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


def token_accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The share of places with a target whose highest output is its class."""
    real = targets >= 0
    return float((outputs.argmax(2) == targets)[real].double().mean())


def sequence_accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The share of samples that are right at every place with a target."""
    return float(((outputs.argmax(2) == targets) | (targets < 0)).all(1).double().mean())


def exact_match(outputs: Tensor, targets: Tensor) -> float:
    """The share of samples whose best span is the target, from the first place to the last."""
    return float((best_spans(outputs) == targets).all(1).double().mean())


def span_overlap(outputs: Tensor, targets: Tensor) -> float:
    """The mean over samples of F1 between the places of the best span and those of the target.

    Reference: Rajpurkar et al. 2016, SQuAD (1606.05250), section 6.1
    """
    found = best_spans(outputs)
    shared = (targets.minimum(found)[:, 1] - targets.maximum(found)[:, 0] + 1).clamp_min(0)
    sizes = (targets[:, 1] - targets[:, 0] + 1) + (found[:, 1] - found[:, 0] + 1)
    return float((2 * shared.double() / sizes).mean())


def best_spans(scores: Tensor) -> Tensor:
    """The first and last places (N, 2) with the highest sum of scores, the last not before the first.

    Args:
        scores: (N, length, 2), of beginning and of ending at a place.

    Reference: Seo et al. 2017 (1611.01603), section 2.6

    >>> import torch
    >>> best_spans(torch.tensor([[[0.0, 9.0], [2.0, 0.0], [1.0, 1.0]]])).tolist()
    [[0, 0]]
    """
    import torch

    best, first = scores[..., 0].cummax(1)  # the best beginning for each end
    last = (best + scores[..., 1]).argmax(1)
    return torch.stack([first.gather(1, last[:, None])[:, 0], last], 1)


METRICS: dict[str, Metric] = {metric.name: metric for metric in (
    Metric("accuracy", accuracy, of="classes"),
    Metric("balanced_accuracy", balanced_accuracy, of="classes"),
    Metric("mean_squared_error", mean_squared_error, higher_is_better=False, of="values"),
    Metric("mean_absolute_error", mean_absolute_error, higher_is_better=False, of="values"),
    Metric("r2", r2, of="values"),
    Metric("token_accuracy", token_accuracy, of="sequences"),
    Metric("sequence_accuracy", sequence_accuracy, of="sequences"),
    Metric("exact_match", exact_match, of="spans"),
    Metric("span_overlap", span_overlap, of="spans"),
)}
DEFAULTS = {"classes": "accuracy", "values": "r2", "sequences": "token_accuracy", "spans": "exact_match"}
"""By kind of target, what a task is measured by that does not say."""


def metric_named(name: str) -> Metric:
    """The metric of that name; a `ConfigError` lists the names there are."""
    if name not in METRICS:
        raise ConfigError(
            f"`metric` must be one of {sorted(METRICS)}, found {name!r}"
            f"{did_you_mean(name, METRICS, ': or pass a `pathways.Metric`.')}"
        )
    return METRICS[name]
