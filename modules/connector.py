"""The connector family: an affine map that starts as nothing, from one path's features into another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .checks import flag, whole
from .context import Context
from .flops import product, rows
from .module import Module, PortError, one_port
from .ports import Port, Tokens, Value, Vector, like, split


class Connector(Module):
    """`x W + b` on a vector, or on each token, with `W` and `b` zero at the start; `x + x W + b` where residual.

    What it is added to is then unchanged at the start, whatever it reads; a residual connector is the identity.

    Args:
        ports: one `Vector(d)` or `Tokens(length, d)`.
        dim: numbers in each output vector.
        residual: whether the input is added.

    Raises:
        PortError: another port, or not exactly one; a residual connector whose input has another dim.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("connector", {"dim": 3}), [Vector(8)])
        Facts(output=Vector(dim=3), parameters=27, buffers=0, flops=48)
    """

    family = "connector"
    reference = "Gesmundo 2023 (2302.02721), section 2; code: google-research/muNet/mu4Net2.ipynb, `Connector`"

    def __init__(self, ports: tuple[Port, ...], *, dim: int, residual: bool = False) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector, Tokens)
        if flag("residual", residual) and port.dim != whole("dim", dim):
            raise PortError(f"family `connector` with `residual` reads vectors of its `dim` {dim}, found {port}")
        self.residual = residual
        self.affine = None if residual else ("linear", "none")
        self.stacks = () if residual else ("cpu", "cuda")
        self.linear = nn.Linear(port.dim, whole("dim", dim))
        self.output = Tokens(port.length, dim) if isinstance(port, Tokens) else Vector(dim)
        self._flops = product(rows(port), port.dim, dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Set both weights to zero."""
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, d) to (B, dim), or (B, length, d) to (B, length, dim)."""
        (value,) = inputs
        x, _ = split(value)
        mapped: Tensor = self.linear(x)
        return like(value, x + mapped if self.residual else mapped)

    def flops(self) -> int:
        """One matrix product, for each token."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A residual connector, which starts as the identity."""
        fits = len(ports) == 1 and isinstance(ports[0], (Vector, Tokens))
        return {"dim": ports[0].dim, "residual": True} if fits else None  # type: ignore[attr-defined]
