"""Blanking: a value that says nothing, where a path must do without an input."""

from __future__ import annotations

from typing import Any

import torch

from .context import Context
from .module import Module, one_port
from .ports import Port, Value, like, split


class Blank(Module):
    """The value with every number zero; a mask stays. It shows what a path knows without one of its inputs.

    Args:
        ports: one port of floats or ids.

    Raises:
        PortError: not exactly one port.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> facts(ModuleSpec("blank"), [Image(1, 28, 28)])
        Facts(output=Image(channels=1, height=28, width=28), parameters=0, buffers=0, flops=0)
    """

    family = "blank"
    stacks = ("cpu", "cuda")

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        self.output = one_port(self.family, ports)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> dict[str, Any] | None:
        """It reads any one port."""
        return {} if len(ports) == 1 else None

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Zeros in the shape of the value."""
        (value,) = inputs
        return like(value, torch.zeros_like(split(value)[0]))
