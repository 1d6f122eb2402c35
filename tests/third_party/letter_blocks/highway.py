"""A family that is not built in: a highway layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pathways.modules import Context, Module, Port, PortError, Vector


class Highway(Module):
    """`x + sigmoid(x G + g) (relu(x W + b) - x)`: each number is carried on or replaced.

    Args:
        ports: one `Vector`.
        carry: the initial bias of the gate, below zero to carry most.
    """

    family = "highway"
    reference = "Srivastava, Greff and Schmidhuber 2015 (1505.00387)"

    def __init__(self, ports: tuple[Port, ...], *, carry: float = -2.0) -> None:
        super().__init__()
        if len(ports) != 1 or not isinstance(ports[0], Vector):
            raise PortError(f"family `highway` reads one Vector, found ({', '.join(map(str, ports))})")
        self.output = ports[0]
        self.carry = float(carry)
        self.change, self.gate = nn.Linear(ports[0].dim, ports[0].dim), nn.Linear(ports[0].dim, ports[0].dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights; the gate begins nearly closed."""
        super().initialise(generator)
        nn.init.constant_(self.gate.bias, self.carry)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to (B, d)."""
        (x,) = inputs
        return x + torch.sigmoid(self.gate(x)) * (torch.relu(self.change(x)) - x)

    def flops(self) -> int:
        """Two matrix products."""
        return 4 * self.change.in_features**2

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """As it is, behind any vector."""
        return {} if len(ports) == 1 and isinstance(ports[0], Vector) else None
