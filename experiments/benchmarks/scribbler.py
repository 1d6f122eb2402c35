"""A module family that breaks the rule that frozen weights do not change: a benchmark shows that it is found."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pathways.modules import Context, Module, Port
from pathways.modules.module import one_port


class Scribbler(Module):
    """Scales its input by a weight each, and changes that weight past torch's count of writes.

    Args:
        ports: the one that it reads.
    """

    family = "scribbler"

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)
        self.scale = torch.nn.Parameter(torch.empty(self.output.shape[-1] or 0))

    def initialise(self, generator: torch.Generator) -> None:
        """All ones."""
        torch.nn.init.ones_(self.scale)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Scale, and halve the weights once they are frozen."""
        output: Tensor = inputs[0] * self.scale
        if not self.scale.requires_grad:
            self.scale.data.mul_(0.5)
        return output


__all__ = ["Scribbler"]
