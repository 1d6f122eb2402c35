"""Frozen networks as sources of features: champions of a system, or any modules by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pathways.assemble import PathModule
from pathways.errors import ConfigError
from pathways.modules import Value
from pathways.modules.ports import split
from pathways.seeds import seed_of, torch_generator
from pathways.task import Task
from pathways.trainer.samples import Held, count, evaluation_batch, prepare, rows

from .tournament import JOIN, PIXELS, RANDOM, SELF

if TYPE_CHECKING:
    from pathways.system import System


class Trunk(nn.Module):
    """A path without its head: what the head reads, (batch, D).

    Args:
        model: an assembled path, such as `System.module(task)`.
        output: give the head's scores instead.
    """

    def __init__(self, model: PathModule, output: bool = False) -> None:
        super().__init__()
        self.model = model
        path = model.path
        self.wanted = (path.output,) if output else path.steps[path.head].reads

    def forward(self, values: Mapping[str, Value]) -> Tensor:
        """Map the inputs by name to features, several reads side by side."""
        found = {**values, **self.model.compute(values, tuple(w for w in self.wanted if w not in values))}
        return torch.cat([_flat(found[name]) for name in self.wanted], 1)

    def reads(self, task: Task) -> bool:
        """Whether the path reads inputs of the ports that the task has."""
        mine, given = self.model.path.inputs, task.inputs
        return list(mine.values()) == list(given.values()) if len(mine) == 1 else dict(mine) == dict(given)

    def untrained(self, generator: torch.Generator) -> Trunk:
        """The same path with weights drawn anew."""
        return Trunk(PathModule(self.model.path, lambda ref: generator, self.model._families).eval())


def _flat(value: Value) -> Tensor:
    """(batch, D) of any value; of one of variable length, as heads of sequences read it, the mean of real places."""
    tensor, mask = split(value)
    if mask is None:
        return tensor.flatten(1)
    real = mask.unsqueeze(-1)
    return tensor.masked_fill(~real, 0.0).sum(1) / real.sum(1)


def named_encoders(given: System | Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """The encoders by name: the champions' trunks, or the modules as they are, paths without their heads.

    Raises:
        ConfigError: there is none, or a name that stands for something else.
    """
    found = {name: encoder(module) for name, module in _modules(given)}
    if not found:
        raise ConfigError("`encoders` must hold at least one network, found none: learn a task first.")
    for name in found:
        if JOIN in name or name in (SELF, RANDOM, PIXELS):
            raise ConfigError(f"an encoder's name must be without {JOIN!r} and not a reserved one, found {name!r}.")
    return found


def encoder(module: nn.Module) -> nn.Module:
    """A module as an encoder: a path becomes its trunk."""
    return Trunk(module) if isinstance(module, PathModule) else module


def full_networks(given: System | Mapping[str, nn.Module]) -> dict[str, nn.Module]:
    """Networks from inputs to scores by the names of their tasks."""
    return {n: Trunk(m, output=True) if isinstance(m, PathModule) else m for n, m in _modules(given)}


def _modules(given: System | Mapping[str, nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    if isinstance(given, Mapping):
        yield from given.items()
    else:
        yield from ((name, given.module(name)) for name in given.champions)


def fits(module: nn.Module, task: Task) -> bool:
    """Whether the module reads the task's inputs; of modules that are no paths nobody knows, so they are tried."""
    return module.reads(task) if isinstance(module, Trunk) else True


def called(module: nn.Module, values: Mapping[str, Value]) -> Tensor:
    """(batch, D): what the module gives for values as modules read them; its single input alone, or all by name."""
    if isinstance(module, Trunk) and len(module.model.path.inputs) == 1:
        values = dict(zip(module.model.path.inputs, values.values(), strict=True))
    single = len(values) == 1 and not isinstance(module, Trunk)
    return module(next(iter(values.values())) if single else values).flatten(1)


@torch.no_grad()
def encoded(module: nn.Module, values: Mapping[str, Held]) -> Tensor:
    """(N, D): what the module gives for all samples, in evaluation mode and in large batches."""
    training, size = module.training, evaluation_batch(values)
    module.eval()
    try:
        found = [called(module, rows(values, slice(s, s + size))) for s in range(0, count(values), size)]
    finally:
        module.train(training)
    return torch.cat(found)


def features(module: nn.Module, task: Task, split: str = "train") -> Tensor:
    """The features (N, D) that a frozen network gives for a task's samples, its parameters and buffers unchanged.

    Inputs are transformed as the task says, whatever the network was trained on.

    Args:
        module: a module, called with the task's single input or with a mapping of all; or an assembled path, of which
            the head is left out.
        task: whose samples.
        split: `train`, `validation` or `test`.

    Example:
        >>> from pathways.data import digits_tasks
        >>> task = next(iter(digits_tasks([[0, 1]])))
        >>> features(nn.Flatten(), task).shape[1]
        64
    """
    return encoded(encoder(module), prepare(task, split).values)


def untrained(module: nn.Module, *names: str | int) -> nn.Module:
    """A copy with weights drawn anew, from a seed of the names.

    Raises:
        ConfigError: a part of the module holds parameters and has no `reset_parameters`.
    """
    if isinstance(module, Trunk):
        return module.untrained(torch_generator(*names))
    copy = deepcopy(module)
    with torch.random.fork_rng(devices=[]):  # `reset_parameters` of torch's layers draws from the global generator
        torch.default_generator.manual_seed(seed_of(*names))
        for part in copy.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
            elif any(True for _ in part.parameters(recurse=False)):
                raise ConfigError(
                    f"`{type(part).__name__}` must have `reset_parameters` to be drawn anew: pass an untrained encoder "
                    f"of your own as `random`."
                )
    return copy


__all__ = ["encoder", "features", "fits", "full_networks", "named_encoders", "untrained"]
