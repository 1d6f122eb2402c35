"""The linear family: one affine map and an activation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .checks import flag, whole
from .context import Context
from .flops import product, rows
from .module import Module, activation_named, one_port
from .ports import Port, Tokens, Value, Vector, like, split
from .stacked import Stack, affine


class Linear(Module):
    """`activation(x W + b)` on a vector, or on each token; the mask of tokens passes through.

    Args:
        ports: one `Vector(d)` or `Tokens(length, d)`.
        dim: numbers in each output vector.
        activation: `none`, `relu`, `gelu`, `silu` or `tanh`.
        bias: whether `b` is there.

    Raises:
        PortError: another port, or not exactly one.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("linear", {"dim": 20, "activation": "relu"}), [Tokens(7, 16)])
        Facts(output=Tokens(length=7, dim=20), parameters=340, buffers=0, flops=4480)
    """

    family = "linear"
    reference = "Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors"
    stacks = ("cpu", "cuda")

    def __init__(
        self, ports: tuple[Port, ...], *, dim: int, activation: str = "none", bias: bool = True
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector, Tokens)
        whole("dim", dim)
        self.activation = activation_named(activation)
        self.affine = ("linear", activation) if activation in ("none", "relu") else None
        self.linear = nn.Linear(port.dim, dim, bias=flag("bias", bias))
        self.idle_at_zero = activation == "relu"
        self.output = Tokens(port.length, dim) if isinstance(port, Tokens) else Vector(dim)
        self._flops = product(rows(port), port.dim, dim)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, d) to (B, dim), or (B, length, d) to (B, length, dim)."""
        (value,) = inputs
        x, _ = split(value)
        return like(value, self.activation(self.linear(x)))

    def stacked(self, stack: Stack, *inputs: Tensor) -> Tensor:
        """Map (K, B, ..., d) to (K, S, B, ..., dim)."""
        if self.affine:
            return super().stacked(stack, *inputs)
        return self.activation(affine(stack, "linear", inputs[0]))

    def flops(self) -> int:
        """One matrix product, for each token."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A layer that keeps the width."""
        if len(ports) != 1 or not isinstance(ports[0], (Vector, Tokens)):
            return None
        return {"dim": ports[0].dim, "activation": "relu"}
