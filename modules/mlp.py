"""The mlp family: two layers, plain or as the feed-forward part of a transformer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from .checks import flag, number, whole
from .context import Context
from .flops import product, rows
from .module import Module, activation_named, one_port
from .ports import Port, Tokens, Value, Vector, like, split
from .stacked import Stack, affine, layer_norm


class MLP(Module):
    """`[x +] down(activation(up([norm](x))))` on a vector, or on each token; the usual expert of a mixture.

    Deltas may change what stands between the layers, at its site `inner`.

    Args:
        ports: one `Vector` or `Tokens`; a mask passes through.
        hidden: width of the inner layer.
        dim: width of the output; `None` is that of the input.
        activation: `none`, `relu`, `gelu`, `silu` or `tanh`.
        norm: whether the input is layer-normalised.
        residual: whether the input is added.
        residual_scale: factor on the initial weights of `down`; at 0, with `residual`, it starts as the identity.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range, or `residual` with another `dim`.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("mlp", {"hidden": 8, "dim": 3}), [Vector(5)])
        Facts(output=Vector(dim=3), parameters=75, buffers=0, flops=128)
    """

    family = "mlp"
    reference = (
        "Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors; "
        "as a residual part: Vaswani et al. 2017 (1706.03762), section 3.3"
    )
    stacks = ("cpu", "cuda")
    sites = ("inner",)

    def __init__(
        self, ports: tuple[Port, ...], *, hidden: int, dim: int | None = None, activation: str = "gelu",
        norm: bool = False, residual: bool = False, residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector, Tokens)
        width = port.dim if dim is None else whole("dim", dim)
        self.residual = flag("residual", residual)
        if residual and width != port.dim:
            raise ValueError(f"`dim` must be that of the input, {port.dim}, where it is added, found {width}.")
        self.residual_scale = number("residual_scale", residual_scale)
        self.activation = activation_named(activation)
        self.norm = nn.LayerNorm(port.dim) if flag("norm", norm) else None
        self.up = nn.Linear(port.dim, whole("hidden", hidden))
        self.down = nn.Linear(hidden, width)
        self.output = replace(port, dim=width)
        self.site_ports = {"inner": replace(port, dim=hidden)}
        self._flops = product(rows(port), port.dim, hidden) + product(rows(port), hidden, width)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw both layers, the second at `residual_scale`."""
        super().initialise(generator)
        with torch.no_grad():
            self.down.weight.mul_(self.residual_scale)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, d) to (B, dim), or (B, length, d) to (B, length, dim)."""
        (value,) = inputs
        x, _ = split(value)
        inner = self.activation(self.up(x if self.norm is None else self.norm(x)))
        y = self.down(context.at(self, "inner", inner))
        return like(value, x + y if self.residual else y)

    def stacked(self, stack: Stack, *inputs: Tensor) -> Tensor:
        """Map (K, B, ..., d) to (K, S, B, ..., dim)."""
        (x,) = inputs
        k, s = stack.candidates, stack.slots
        if self.norm is None:
            inner = self.activation(affine(stack, "up", x)).flatten(0, 1)
        else:
            normed = layer_norm(stack, "norm", x).expand(k, s, *x.shape[1:])
            inner = self.activation(affine(stack.each(), "up", normed.flatten(0, 1)).squeeze(1))
        y = affine(stack.each(), "down", inner).squeeze(1).unflatten(0, (k, s))
        return x[:, None] + y if self.residual else y

    def flops(self) -> int:
        """The two products."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """The feed-forward part of a transformer, which starts as the identity."""
        if len(ports) != 1 or not isinstance(ports[0], (Vector, Tokens)):
            return None
        return {"hidden": 2 * ports[0].dim, "norm": True, "residual": True, "residual_scale": 0.0}
