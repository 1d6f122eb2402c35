"""Readouts: small networks that are trained on frozen features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.errors import ConfigError
from pathways.task import Classes, Task
from pathways.trainer.evaluate import loss_of

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Readout:
    """How a readout is made and trained (AdamW on the task's own loss).

    Args:
        steps: of training.
        batch: samples in each.
        lr: the learning rate.
        weight_decay: decoupled.
        hidden: units of one hidden layer (ReLU); 0 makes it linear.

    Raises:
        ConfigError: a number that is too small.

    Example:
        >>> Readout(hidden=32).network(8, 3, torch.Generator())
        Sequential(
          (0): Linear(in_features=8, out_features=32, bias=True)
          (1): ReLU()
          (2): Linear(in_features=32, out_features=3, bias=True)
        )
    """

    steps: int = 300
    batch: int = 64
    lr: float = 0.01
    weight_decay: float = 1e-3
    hidden: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("lr", 0), ("weight_decay", 0), ("hidden", 0)):
            value = getattr(self, name)
            if not value >= least:
                raise ConfigError(f"`{name}` of a readout must be at least {least}, found {value!r}.")

    def network(self, dim: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
        """A readout of features (N, dim). The last layer starts at zero, so a linear one draws nothing."""
        first = [nn.utils.skip_init(nn.Linear, dim, self.hidden), nn.ReLU()] if self.hidden else []
        last = nn.utils.skip_init(nn.Linear, self.hidden or dim, outputs)
        for layer in [*first[:1], last]:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        if first:
            nn.init.kaiming_uniform_(first[0].weight, nonlinearity="relu", generator=generator)
        return nn.Sequential(*first, last)

    def batches(self, n: int, generator: torch.Generator) -> Tensor:
        """(steps, batch): which of n samples each step reads, epoch by epoch in random order."""
        size = min(self.batch, n)
        epochs = -(-self.steps * size // n)
        order = torch.cat([torch.randperm(n, generator=generator) for _ in range(epochs)])
        return order[: self.steps * size].reshape(self.steps, size)


@dataclass(frozen=True, eq=False)
class Scaling:
    """Features less their mean, divided by their standard deviation, both of the training samples."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, train: Tensor) -> Scaling:
        """That of training features (N, D); what does not vary is only centred."""
        deviation = train.std(0, correction=0)
        return cls(train.mean(0), torch.where(deviation > 1e-6 * train.abs().amax(0), deviation, 1.0))

    def __call__(self, x: Tensor) -> Tensor:
        """Scale features (N, D)."""
        return (x - self.mean) / self.deviation


def fit(
    model: nn.Module, read: Callable[[Tensor], Tensor], task: Task, targets: Tensor, batches: Tensor, readout: Readout
) -> None:
    """Train a model in place, step by step on the rows of `batches`.

    Args:
        model: whose parameters that require gradients are trained.
        read: gives the model's outputs for the samples at an index.
        task: says the loss.
        targets: of all samples.
        batches: (steps, batch) indices.
        readout: learning rate and weight decay.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=readout.lr, weight_decay=readout.weight_decay)
    for index in batches:
        optimizer.zero_grad(set_to_none=True)
        loss_of(task, read(index), targets[index]).backward()
        optimizer.step()


@torch.no_grad()
def item_losses(task: Task, outputs: Tensor, targets: Tensor) -> Array:
    """The loss of each sample, (N,): cross-entropy for classes, mean squared error for values."""
    if isinstance(task.target, Classes):
        losses = F.cross_entropy(outputs.double(), targets, reduction="none")
    else:
        losses = (outputs.double() - targets.double()).square().flatten(1).mean(1)
    return losses.numpy()


__all__ = ["Readout", "Scaling", "fit", "item_losses"]
