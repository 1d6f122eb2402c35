"""A stack whose steps are one affine map after another, trained without autograd.

Small stacks are bound by what is around their products: autograd takes a sixth of a step of 64 paths of PathNet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pathways.modules import Stack
from pathways.modules.stacked import in_few_bits, product, pull_back, take_step

from .stack import Slots, StackedPaths


@dataclass(eq=False)
class Link:
    """One step: `sum over slots of activation(x W + b)`, divided by the number of modules where the step is a mean.

    Args:
        stack: the weights, (K, S, ...).
        layer: the affine layer's name.
        relu: whether what is negative is cut off.
        trains: whether the weights change.
        modules: (K, 1, 1), what the sum is divided by; `None` for a sum.
        part: the place of what is given of the sum, as in `Stage`.
    """

    stack: Stack
    layer: str
    relu: bool
    trains: bool
    modules: Tensor | None
    part: int | None

    def forward(self, x: Tensor, values: Sequence[Tensor]) -> Tensor:
        """(K or 1, B, d), beside the values that are given, to (K, B, o); what `backward` needs is kept."""
        self._x = in_few_bits(self.stack, self.layer, x)
        y = product(self.stack, self.layer, self._x, self.relu)
        self._y = y if self.relu else None
        total = y[:, 0]
        if self.stack.slots > 1:
            total = total + y[:, 1]
            for s in range(2, self.stack.slots):  # in this order however many there are, as `Slots` has it
                total += y[:, s]
        if self.part is not None:
            total = values[self.part].transpose(1, 2) + total
        return (total if self.modules is None else total / self.modules).transpose(1, 2)

    def backward(self, grad: Tensor, down: bool) -> Tensor | None:
        """Train, and with `down` return the gradient of what was read, from that of what was returned."""
        g = grad.transpose(1, 2)
        g = (g if self.modules is None else g / self.modules)[:, None]
        if self._y is not None:
            g = torch.ops.aten.threshold_backward(g.expand_as(self._y), self._y, 0)
        else:
            g = g.expand(-1, self.stack.slots, -1, -1)
        below = pull_back(self.stack, self.layer, self._x, g) if down else None
        if self.trains:
            take_step(self.stack, self.layer, self._x, g)
        return below


def chain_of(program: StackedPaths) -> list[Link] | None:
    """The steps of a program as links, each reading the one before; `None` where it is something else."""
    if len(program.boundary[0]) != 1:
        return None
    links, reads = [], 0
    for place, stage in enumerate(program.stages, 1 + len(program.mixed)):
        if len(stage.layers) != 1 or stage.reads != (reads,):
            return None
        reads = place
        [layer] = stage.layers
        if not isinstance(layer, Slots) or layer.shell.affine is None:
            return None
        name, activation = layer.shell.affine
        modules = None if stage.modules is None else stage.modules.view(-1, 1, 1)
        links.append(Link(layer.stack, name, activation == "relu", bool(layer.parameters), modules, stage.part))
    return links


def forward(links: Sequence[Link], values: Sequence[Tensor]) -> Tensor:
    """The output of a chain, (K, B, o), from the values of its program: the first, (K or 1, B, d), is what it reads."""
    x = values[0]
    for link in links:
        x = link.forward(x, values)
    return x


def backward(links: Sequence[Link], grad: Tensor) -> None:
    """Train a chain, from the gradient of its output."""
    first = next((i for i, link in enumerate(links) if link.trains), len(links))
    below: Tensor | None = grad
    for i in range(len(links) - 1, first - 1, -1):
        assert below is not None
        below = links[i].backward(below, i > first)


__all__ = ["Link", "backward", "chain_of", "forward"]
