"""Losses and measures of a path's outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pathways.candidate import Measures
from pathways.measure import accuracy, best_spans
from pathways.modules import Value
from pathways.modules.ports import split
from pathways.task import Classes, Sequences, Spans, Task, Values

from .stack_losses import losses_of


def loss_of(task: Task, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The training objective: cross-entropy for classes, mean squared error for values.

    Of a sequence it is the mean over the places that have a target, of a span that of its first and last place; then
    the mean over samples, so that the gradients of parts of a batch add up to the batch's.

    Raises:
        ValueError: a path gave a sequence of another length than the targets have.
    """
    if isinstance(task.target, Values):
        return F.mse_loss(outputs, targets)
    if isinstance(task.target, Sequences):
        check_length(task, outputs, targets)
        losses = F.cross_entropy(outputs.transpose(1, 2), targets, label_smoothing=label_smoothing, reduction="none")
        return (losses.sum(1) / (targets >= 0).sum(1)).mean()
    return F.cross_entropy(outputs, targets, label_smoothing=label_smoothing)


def outputs_of(value: Value) -> Tensor:
    """What a path gave, as float32 without its mask: targets say which places of a sequence count."""
    return split(value)[0].float()


def check_length(task: Task, outputs: Tensor, targets: Tensor) -> None:
    """Raise a `ValueError` where a path gave a sequence of another length than the targets have."""
    if outputs.shape[1] != targets.shape[1]:
        raise ValueError(
            f"the path of task {task.name!r} gives {outputs.shape[1]} places for {targets.shape[1]} targets: pad the "
            f"targets with -100 to the length of its input, or use a path that keeps the length."
        )


def right_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """How well each sample was answered, (N,): right or not, the share of places that are, the negated squared error.

    A span is right where both of its ends are.
    """
    if isinstance(task.target, Values):
        return -(outputs.double() - targets.double()).square().flatten(1).mean(1)
    if isinstance(task.target, Classes):
        return (outputs.argmax(1) == targets).double()
    if isinstance(task.target, Spans):
        return (best_spans(outputs) == targets).all(1).double()
    check_length(task, outputs, targets)
    return (outputs.argmax(2) == targets).sum(1).double() / (targets >= 0).sum(1)


@torch.no_grad()
def merits_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    """How well each sample was answered, (N,): the mean over its views of `right_of`.

    Args:
        task: whose target says which of both.
        outputs: (views * N, ...), view by view.
        targets: (N, ...).
    """
    n = len(targets)
    every = targets.repeat(len(outputs) // n, *[1] * (targets.ndim - 1))
    return right_of(task, outputs, every).reshape(-1, n).mean(0)


@torch.no_grad()
def measure(task: Task, outputs: Tensor, targets: Tensor, fitness: float | None = None) -> Measures:
    """The raw measures of outputs against targets, taken on the processor.

    Args:
        task: says the metric.
        outputs: (views * N, ...), view by view. `validation` is measured on the first view, `quality` on all.
        targets: (N, ...).
        fitness: the quality where none is given.

    Raises:
        FloatingPointError: outputs or the metric are not finite.
    """
    outputs, targets = outputs.cpu(), targets.cpu()  # metrics may be functions of a user's own
    n = len(targets)
    if isinstance(task.target, Sequences):
        check_length(task, outputs, targets)
    value = task.measured_by.compute(outputs[:n], targets)
    every = targets.repeat(len(outputs) // n, *[1] * (targets.ndim - 1))
    quality = task.measured_by.quality(value if len(outputs) == n else task.measured_by.compute(outputs, every))
    loss = float(loss_of(task, outputs, every))
    if not (math.isfinite(quality) and math.isfinite(loss)):
        raise FloatingPointError("validation outputs became NaN or infinite")
    return Measures(value, quality, loss, quality if fitness is None else fitness, n)


@torch.no_grad()
def measure_stack(
    task: Task, outputs: Tensor, targets: Tensor, fitness: Sequence[float | None]
) -> list[Measures | None]:
    """What `measure` finds for each of K candidates, accuracy and loss for all at once; `None` where it would raise.

    Args:
        task: says the metric.
        outputs: (K, views * N, ...).
        targets: (N, ...).
        fitness: of each candidate, or `None` where it is the quality.
    """
    n, metric = len(targets), task.measured_by
    every = targets.repeat(outputs.shape[1] // n, *[1] * (targets.ndim - 1))
    if metric.compute is accuracy:
        right = (outputs.transpose(1, 2).max(1).indices == every).double()
        first, all_views = right[:, :n].mean(1).tolist(), right.mean(1).tolist()
    else:
        first = [metric.compute(output[:n], targets) for output in outputs]
        all_views = first if outputs.shape[1] == n else [metric.compute(output, every) for output in outputs]
    losses = losses_of(task, outputs, every, None).expand(len(outputs)).tolist()
    # A metric of outputs that are not finite may be finite.
    found: list[Measures | None] = []
    for value, seen, loss, given in zip(first, all_views, losses, fitness, strict=True):
        quality = metric.quality(seen)
        finite = math.isfinite(quality) and math.isfinite(loss)
        found.append(Measures(value, quality, loss, quality if given is None else given, n) if finite else None)
    return found
