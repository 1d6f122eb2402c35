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
    """How a readout is made and trained: by stochastic gradient descent on the task's own loss.

    Features come standardised and of mean squared length 1, whatever their number. From a last layer of zeros, steps of
    plain gradient descent then depend on inner products of features alone: the same features twice are the same readout
    as once. With Adam they are not: a wider source moves further in as many steps, and since a tournament counts who is
    ahead and not by how much, it would win nearly every item by nothing but its width.

    Args:
        steps: of training.
        batch: samples in each.
        lr: the learning rate at the first step, for classes; it falls to 0 along a line. Momentum is 0.9 (Nesterov).
        weight_decay: of SGD, added to the gradient.
        hidden: units of one hidden layer (ReLU); 0 makes it linear.
        pixels_lr: the first learning rate, of AdamW, of a whole network that is trained from the inputs beside them.

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
    lr: float = 2.0
    weight_decay: float = 1e-4
    hidden: int = 0
    pixels_lr: float = 0.003

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "lr", "weight_decay", "hidden", "pixels_lr"):
            value, least = getattr(self, name), 1 if name in ("steps", "batch") else 0
            if not value >= least:
                raise ConfigError(f"`{name}` of a readout must be at least {least}, found {value!r}.")

    def network(self, dim: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
        """A readout of features (N, dim). The last layer starts at zero, so a linear one draws nothing."""
        first = [nn.utils.skip_init(nn.Linear, dim, self.hidden), nn.ReLU()] if self.hidden else []
        last = nn.utils.skip_init(nn.Linear, self.hidden or dim, outputs)
        for layer in [*first[:1], last]:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        if first:  # of features of length 1, so that the hidden layer's values are of length 1 again
            nn.init.normal_(first[0].weight, std=(2 / self.hidden) ** 0.5, generator=generator)
        return nn.Sequential(*first, last)

    def descent(self, model: nn.Module, task: Task) -> torch.optim.Optimizer:
        """The optimizer of a readout of frozen features.

        The mean squared error of n values has 4 / n times the largest curvature of cross-entropy, so its rate is as
        many times smaller.
        """
        lr = self.lr if isinstance(task.target, Classes) else self.lr * task.target.n / 4
        return torch.optim.SGD(model.parameters(), lr, 0.9, weight_decay=self.weight_decay, nesterov=True)

    def descent_from_inputs(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a whole network."""
        return torch.optim.AdamW(model.parameters(), self.pixels_lr, weight_decay=self.weight_decay)

    def batches(self, n: int, generator: torch.Generator) -> Tensor:
        """(steps, batch): which of n samples each step reads, epoch by epoch in random order."""
        size = min(self.batch, n)
        epochs = -(-self.steps * size // n)
        order = torch.cat([torch.randperm(n, generator=generator) for _ in range(epochs)])
        return order[: self.steps * size].reshape(self.steps, size)


@dataclass(frozen=True, eq=False)
class Scaling:
    """Features less their mean, divided by their standard deviation and by sqrt(D): of mean squared length 1.

    Mean and deviation are those of the training samples.
    """

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, train: Tensor) -> Scaling:
        """That of training features (N, D); what does not vary is only centred."""
        deviation = train.std(0, correction=0)
        varies = deviation > 1e-6 * train.abs().amax(0)
        return cls(train.mean(0), torch.where(varies, deviation, 1.0) * max(1, int(varies.sum())) ** 0.5)

    def __call__(self, x: Tensor) -> Tensor:
        """Scale features (N, D)."""
        return (x - self.mean) / self.deviation


def fit(
    optimizer: torch.optim.Optimizer, read: Callable[[Tensor], Tensor], task: Task, targets: Tensor, batches: Tensor
) -> None:
    """Train in place, a step for each row of `batches`, at learning rates that fall to 0 along a line.

    Args:
        optimizer: of what is trained, at the first learning rate.
        read: gives the outputs for the samples at an index.
        task: says the loss.
        targets: of all samples.
        batches: (steps, batch) indices.
    """
    first = [group["lr"] for group in optimizer.param_groups]
    for step, index in enumerate(batches):
        for group, lr in zip(optimizer.param_groups, first, strict=True):
            group["lr"] = lr * (1 - step / len(batches))
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
