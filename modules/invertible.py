"""The family of invertible adapters: additive coupling of two halves, whose inverse is exact algebra."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import whole
from .context import Context
from .flops import product, rows
from .module import Module, PortError, initialise_layer, one_port
from .ports import Port, Tokens, Value, Vector, like, split


class Invertible(Module):
    """`y1 = x1 + F(x2); y2 = x2 + G(y1)`, with F and G zero at the start: it then is exactly the identity.

    F and G are `up relu(down)`. It stands behind an embedding, to fit it to a language; `inverse` undoes it in front
    of an output that is tied to that embedding.

    Args:
        ports: one `Vector` or `Tokens` of at least two numbers; the output has the same port.
        hidden: width of F and of G.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("invertible", {"hidden": 2}), [Vector(6)])
        Facts(output=Vector(dim=6), parameters=34, buffers=0, flops=48)
    """

    family = "invertible"
    reference = "Pfeiffer et al. 2020 (2005.00052), invertible adapters; coupling: Dinh et al. 2015 (1410.8516)"

    def __init__(self, ports: tuple[Port, ...], *, hidden: int) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector, Tokens)
        if port.dim < 2:
            raise PortError(f"family `invertible` couples two halves, found {port}")
        self.sizes = [port.dim // 2, port.dim - port.dim // 2]
        first, second = self.sizes
        self.down_f = nn.Linear(second, whole("hidden", hidden))
        self.up_f = nn.Linear(hidden, first)
        self.down_g = nn.Linear(first, hidden)
        self.up_g = nn.Linear(hidden, second)
        self.output = port
        self._flops = 2 * product(rows(port), port.dim, hidden)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw both `down`; set both `up` to zero."""
        for down, up in ((self.down_f, self.up_f), (self.down_g, self.up_g)):
            initialise_layer(down, generator)
            nn.init.zeros_(up.weight)
            nn.init.zeros_(up.bias)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map a value to one of the same port; masks pass through."""
        (value,) = inputs
        first, second = split(value)[0].split(self.sizes, -1)
        first = first + self._f(second)
        return like(value, torch.cat([first, second + self._g(first)], -1))

    def inverse(self, value: Value) -> Value:
        """The value that `forward` maps to `value`."""
        first, second = split(value)[0].split(self.sizes, -1)
        second = second - self._g(first)
        return like(value, torch.cat([first - self._f(second), second], -1))

    def _f(self, x: Tensor) -> Tensor:
        return self.up_f(F.relu(self.down_f(x)))

    def _g(self, x: Tensor) -> Tensor:
        return self.up_g(F.relu(self.down_g(x)))

    def flops(self) -> int:
        """The products of both halves."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> dict[str, Any] | None:
        """A quarter of the dim, for vectors and tokens of two numbers and more."""
        if len(ports) != 1 or not isinstance(ports[0], (Vector, Tokens)) or ports[0].dim < 2:
            return None
        return {"hidden": max(1, ports[0].dim // 4)}
