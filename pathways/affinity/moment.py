"""A moment of joint training, as co-training estimators see it, and how it is left as it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Reading = NDArray[np.float64]
"""(T, T) in the order of `Moment.tasks`: row the affected task, column the source; NaN where not measured."""


@dataclass(frozen=True, eq=False)
class Moment:
    """A joint network at one step: what its tasks share, and each task's loss on its own batch.

    It works for any PyTorch training loop. Tasks may have loaders of their own, batches of different sizes, and
    samples without labels for some tasks: a task without labels now is left out of `losses`.

    Args:
        tasks: the names of all tasks; a reading has a row and a column for each.
        losses: by task, a function that computes its loss on this step's batch with the weights as they are: the
            same batch at every call.
        shared: the parameters that tasks share, by name; heads are not among them.
        rate: the learning rate of this step.
        velocity: momentum buffers of the joint optimizer by the names of `shared`; empty where it keeps none.
        momentum, weight_decay: of the joint optimizer.
        module: what holds buffers (running statistics) that a forward pass may change.
        generators: what a forward pass may draw from.

    Example:
        >>> trunk, head = nn.Linear(2, 2, bias=False), nn.Linear(2, 1)
        >>> x = torch.ones(3, 2)
        >>> moment = Moment(("a",), {"a": lambda: head(trunk(x)).square().mean()}, dict(trunk.named_parameters()), 0.1)
        >>> [tuple(t.shape) for t in gradients(moment)["a"]]
        [(2, 2)]
    """

    tasks: tuple[str, ...]
    losses: Mapping[str, Callable[[], Tensor]]
    shared: Mapping[str, Tensor]
    rate: float
    velocity: Mapping[str, Tensor] = field(default_factory=dict)
    momentum: float = 0.0
    weight_decay: float | Mapping[str, float] = 0.0
    module: nn.Module | None = None
    generators: tuple[torch.Generator, ...] = ()

    def decay_of(self, name: str) -> float:
        """The weight decay of a shared parameter."""
        return self.weight_decay if isinstance(self.weight_decay, float) else self.weight_decay.get(name, 0.0)

    def nothing(self) -> Reading:
        """A reading in which nothing is measured yet."""
        return np.full((len(self.tasks), len(self.tasks)), np.nan)

    def loss(self, task: str) -> Tensor:
        """The loss of a task as it is, from the same random state at every call."""
        with _states_kept(self.generators):
            return self.losses[task]()


Estimator = Callable[[Moment], Reading]
"""A co-training estimator: measures a moment and leaves it as it was."""


@contextmanager
def untouched(moment: Moment) -> Iterator[None]:
    """Weights, gradients, buffers and random states are afterwards as they were, to the bit, whatever was done."""
    weights = {name: parameter.detach().clone() for name, parameter in moment.shared.items()}
    grads = {name: parameter.grad for name, parameter in moment.shared.items()}
    buffers = [] if moment.module is None else [(b, b.detach().clone()) for b in moment.module.buffers()]
    with _states_kept(moment.generators):
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in moment.shared.items():
                    parameter.copy_(weights[name])
                    parameter.grad = grads[name]
                for buffer, before in buffers:
                    buffer.copy_(before)


def gradients(moment: Moment) -> dict[str, tuple[Tensor, ...]]:
    """Each task's gradient over the shared parameters, in their order; zeros where a loss does not reach one."""
    parameters = list(moment.shared.values())
    found = {}
    for task in moment.losses:
        given = torch.autograd.grad(moment.loss(task), parameters, allow_unused=True)
        found[task] = tuple(
            torch.zeros_like(p) if g is None else g for p, g in zip(parameters, given, strict=True)
        )
    return found


@contextmanager
def _states_kept(generators: tuple[torch.Generator, ...]) -> Iterator[None]:
    """The state of these generators, and of PyTorch's own, is afterwards as it was."""
    states = [generator.get_state() for generator in generators]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        try:
            yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


__all__ = ["Estimator", "Moment", "Reading", "gradients", "untouched"]
