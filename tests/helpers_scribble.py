"""A foreign module family that breaks the rule that frozen modules do not change."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pathways.modules import Context, Module, Port
from pathways.modules.module import one_port


class Scribble(Module):
    """A linear map that writes to its own weights when it is used, whatever it is told: in place, or past torch."""

    family = "scribble"

    def __init__(self, ports: tuple[Port, ...], *, way: str) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)
        self.way = way
        self.scale = torch.nn.Parameter(torch.empty(self.output.shape[0]))

    def initialise(self, generator: torch.Generator) -> None:
        """All ones."""
        torch.nn.init.ones_(self.scale)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Scale, and change the scale."""
        output: Tensor = inputs[0] * self.scale
        if not self.scale.requires_grad and self.way != "nothing":
            (self.scale if self.way == "torch" else self.scale.data).mul_(0.5)
        return output
