"""A moment of joint training, as co-training estimators see it, and how it is left as it was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pathways.errors import ConfigError, DataError

Array = NDArray[np.float64]

Reading = NDArray[np.float64]
"""(T, T) in the order of `Moment.tasks`: row the affected task, column the source; NaN where not measured."""

Losses = Mapping[str, Callable[[], Tensor]] | Callable[[], Mapping[str, Tensor]]
"""A function for each task, or one that gives the losses of all tasks from one forward pass."""


@dataclass(frozen=True, eq=False)
class Moment:
    """A joint network at one step: what its tasks share, and each task's loss on its own batch.

    It works for any PyTorch training loop. Tasks may have loaders of their own, batches of different sizes, and
    samples without labels for some tasks: a task without labels now is left out of `losses`.

    Args:
        tasks: the names of all tasks; a reading has a row and a column for each.
        losses: the loss of each task on this step's batch with the weights as they are, a tensor of one element; the
            same batch at every call. By task, a function; or one function for all, by task a loss: where tasks read
            the same batch, the trunk then runs once for all of them, and a measurement takes a small part of the time.
            For estimators that need gradients only, that function may give losses whose graph is there already.
        shared: the parameters that tasks share, by name; heads are not among them. Those that are not trained now
            (`requires_grad` is off) and those that a task does not use have zero gradients.
        rate: the learning rate of this step.
        velocity: momentum buffers of the joint optimizer by the names of `shared`, as `torch.optim.SGD` holds them;
            empty where it keeps none.
        momentum, weight_decay: of the joint optimizer; weight decay is one number, or one for each name.
        module: what holds buffers (running statistics) that a forward pass may change.
        generators: what a forward pass may draw from, beside PyTorch's own generators.

    Raises:
        ConfigError: a task in `losses` that is not in `tasks`, or a `rate` that is negative or not finite.

    Example:
        >>> trunk, head = nn.Linear(2, 2, bias=False), nn.Linear(2, 1)
        >>> x = torch.ones(3, 2)
        >>> moment = Moment(("a",), {"a": lambda: head(trunk(x)).square().mean()}, dict(trunk.named_parameters()), 0.1)
        >>> [tuple(t.shape) for t in gradients(moment)["a"]]
        [(2, 2)]
        >>> whole = Moment(("a", "b"), lambda: {"b": head(trunk(x)).mean()}, dict(trunk.named_parameters()), 0.1)
        >>> list(whole.evaluate())
        ['b']
    """

    tasks: tuple[str, ...]
    losses: Losses
    shared: Mapping[str, Tensor]
    rate: float
    velocity: Mapping[str, Tensor] = field(default_factory=dict)
    momentum: float = 0.0
    weight_decay: float | Mapping[str, float] = 0.0
    module: nn.Module | None = None
    generators: tuple[torch.Generator, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.rate < float("inf"):
            raise ConfigError(f"`rate` must be a finite number of at least 0, found {self.rate!r}.")
        if isinstance(self.losses, Mapping):
            self._require_known(self.losses)

    @property
    def trained(self) -> dict[str, Tensor]:
        """The shared parameters that are trained now."""
        return {name: parameter for name, parameter in self.shared.items() if parameter.requires_grad}

    def decay_of(self, name: str) -> float:
        """The weight decay of a shared parameter."""
        return self.weight_decay.get(name, 0.0) if isinstance(self.weight_decay, Mapping) else self.weight_decay

    def nothing(self) -> Reading:
        """A reading in which nothing is measured yet."""
        return np.full((len(self.tasks), len(self.tasks)), np.nan)

    def loss(self, task: str) -> Tensor:
        """The loss of a task as it is, from the same random state at every call."""
        if not isinstance(self.losses, Mapping):
            return self.evaluate()[task]
        with _states_kept(self):
            return self.losses[task]()

    def evaluate(self) -> dict[str, Tensor]:
        """The losses of all tasks that have labels now, in the order of `tasks`, from the same random state at every
        call.
        """
        if isinstance(self.losses, Mapping):
            found: Mapping[str, Tensor] = {task: self.loss(task) for task in self.losses}
        else:
            with _states_kept(self):
                found = self.losses()
            self._require_known(found)
        return {task: found[task] for task in self.tasks if task in found}

    def _require_known(self, losses: Mapping[str, object]) -> None:
        if unknown := [task for task in losses if task not in self.tasks]:
            raise ConfigError(f"`losses` must name tasks of `tasks`, found {unknown[0]!r}: `tasks` is {self.tasks}.")


Estimator = Callable[[Moment], Reading]
"""A co-training estimator: measures a moment and leaves it as it was."""


@contextmanager
def untouched(moment: Moment, weights: bool = True) -> Iterator[None]:
    """Shared weights and their `grad`, buffers and random states are afterwards as they were, to the bit, whatever was
    done.

    Values are put back behind autograd's back: graphs that were built before still give the gradients they would have
    given.

    Args:
        moment: what is left as it was.
        weights: whether shared weights may change within; keeping them takes a copy.
    """
    kept = {name: parameter.detach().clone() for name, parameter in moment.shared.items()} if weights else {}
    grads = {name: parameter.grad for name, parameter in moment.shared.items() if parameter.is_leaf}
    buffers = [] if moment.module is None else [(b, b.detach().clone()) for b in moment.module.buffers()]
    with _states_kept(moment):
        try:
            for name in grads:
                moment.shared[name].grad = None  # what is added meanwhile goes elsewhere
            yield
        finally:
            for name, before in kept.items():
                moment.shared[name].data.copy_(before)
            for name, grad in grads.items():
                moment.shared[name].grad = grad
            for buffer, before in buffers:
                buffer.data.copy_(before)


def gradients(moment: Moment) -> dict[str, tuple[Tensor, ...]]:
    """Each task's gradient over the shared parameters, in their order; zeros where a loss does not reach one."""
    return {task: gradient for task, _, gradient in each_gradient(moment)}


def each_gradient(moment: Moment) -> Iterator[tuple[str, Tensor, tuple[Tensor, ...]]]:
    """Task by task: its name, its loss, and its gradient over the shared parameters, in their order.

    Whoever keeps no gradient needs the memory of one. Losses from a function for each task are computed one at a time.
    """
    if isinstance(moment.losses, Mapping):
        for task in (name for name in moment.tasks if name in moment.losses):
            with torch.enable_grad():
                loss = moment.loss(task)
            yield task, loss.detach(), gradient_of(loss, moment)
        return
    with torch.enable_grad():
        losses = moment.evaluate()
    for task, loss in losses.items():
        yield task, loss.detach(), gradient_of(loss, moment)


def gradient_of(loss: Tensor, moment: Moment, create_graph: bool = False) -> tuple[Tensor, ...]:
    """The gradient of a loss over the shared parameters, in their order; its graph stays."""
    trained = moment.trained
    found: dict[str, Tensor] = {}
    if trained and loss.requires_grad:
        given = torch.autograd.grad(
            loss, list(trained.values()), retain_graph=True, create_graph=create_graph, materialize_grads=True
        )
        found = dict(zip(trained, given, strict=True))
    return tuple(found[name] if name in found else torch.zeros_like(p) for name, p in moment.shared.items())


def numbers(losses: Mapping[str, Tensor], when: str = "") -> dict[str, float]:
    """Losses as numbers.

    Raises:
        DataError: one that is not a finite number, by its task's name.
    """
    for task, loss in losses.items():
        if loss.numel() != 1:
            raise DataError(f"the loss of task {task!r} must be one number, found the shape {tuple(loss.shape)}.")
    found = torch.stack([loss.detach().reshape(()).to("cpu", torch.float64) for loss in losses.values()] or [_ZERO])
    values = dict(zip(losses, found.tolist(), strict=False))
    for task, value in values.items():
        if not np.isfinite(value):
            raise DataError(
                f"the loss of task {task!r}{when} must be a finite number, found {value}: lower the learning rate, or "
                f"leave the task out of `losses` at such steps."
            )
    return values


_ZERO = torch.zeros((), dtype=torch.float64)


def denominators(losses: Mapping[str, float]) -> dict[str, float]:
    """What a change of each task's loss is divided by: the loss; NaN where it is zero, or too near it to divide by.

    Raises:
        DataError: a negative loss, whose relative change has the wrong sign.
    """
    for task, value in losses.items():
        if value < 0:
            raise DataError(
                f"the loss of task {task!r} must be positive where changes are divided by it, found {value:g}: add a "
                f"constant to it, or use `gradient_cosine`, which does not divide by it."
            )
    return {task: value if value >= _SMALLEST else np.nan for task, value in losses.items()}


_SMALLEST = float(np.finfo(np.float32).tiny)  # below it float32 losses lose their digits


def placed(moment: Moment, tasks: Sequence[str], part: Array, sources: Sequence[str] | None = None) -> Reading:
    """A reading in which the tasks' part is filled in: (tasks, sources), rows affected."""
    reading = moment.nothing()
    rows = [moment.tasks.index(task) for task in tasks]
    columns = rows if sources is None else [moment.tasks.index(task) for task in sources]
    reading[np.ix_(rows, columns)] = part
    return reading


@contextmanager
def _states_kept(moment: Moment) -> Iterator[None]:
    """The state of the moment's generators, and of PyTorch's own, is afterwards as it was."""
    states = [generator.get_state() for generator in moment.generators]
    devices = {p.device.index for p in moment.shared.values() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(d for d in devices if d is not None)):
        try:
            yield
        finally:
            for generator, state in zip(moment.generators, states, strict=True):
                generator.set_state(state)


__all__ = [
    "Estimator", "Losses", "Moment", "Reading", "denominators", "each_gradient", "gradient_of", "gradients", "numbers",
    "placed", "untouched",
]
