"""The dilated convolution family: a stack whose reach doubles with each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import flag, number, whole
from .context import Context
from .flops import nominal, product
from .module import Module, initialise_layer, one_port
from .ports import Port, Signal, Tokens, Value, like, split


class DilatedConv(Module):
    """`depth` residual layers `x + up(relu(norm(conv(relu(norm(down(relu(norm(x))))))))`; layer i has dilation 2^i.

    A place reads `1 + (kernel - 1) * (2^depth - 1)` places, those up to itself if causal. Padded places read as zero.

    Args:
        ports: one `Tokens` or `Signal`; the output has the same port.
        depth: layers.
        kernel: taps of each layer's convolution; odd unless causal.
        hidden: channels inside a layer; `None` is half of those outside.
        causal: whether a place reads only itself and those before it.
        residual_scale: factor on the initial weights that write into the residual stream; at 0 the stack starts as
            the identity.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("dilated_conv", {"depth": 3}), [Tokens(None, 8)]).output
        Tokens(length=None, dim=8)
    """

    family = "dilated_conv"
    reference = "Kalchbrenner et al. 2016, ByteNet (1610.10099), section 3: dilation, residual blocks"

    def __init__(
        self, ports: tuple[Port, ...], *, depth: int = 4, kernel: int = 3, hidden: int | None = None,
        causal: bool = True, residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Tokens, Signal)
        dim = port.dim if isinstance(port, Tokens) else port.channels
        inner = max(1, dim // 2) if hidden is None else whole("hidden", hidden)
        if whole("kernel", kernel) % 2 == 0 and not flag("causal", causal):
            raise ValueError(f"`kernel` must be odd where it is not causal, found {kernel}.")
        self.residual_scale = number("residual_scale", residual_scale)
        self.layers = nn.ModuleList(
            _Layer(dim, inner, kernel, 2**i, causal) for i in range(whole("depth", depth))
        )
        self.output = port
        self._flops = depth * product(nominal(port.length), inner, 2 * dim + kernel * inner)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all layers; what writes into the residual stream is scaled."""
        for layer in self.layers:
            initialise_layer(layer, generator)
            with torch.no_grad():
                layer.up.weight.mul_(self.residual_scale)  # type: ignore[union-attr,operator]

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map a value to one of the same port; masks pass through."""
        (value,) = inputs
        x, mask = split(value)
        x = x if isinstance(self.output, Tokens) else x.transpose(1, 2)
        for layer in self.layers:
            x = x + layer(x, mask)
        return like(value, x if isinstance(self.output, Tokens) else x.transpose(1, 2))

    def flops(self) -> int:
        """The three convolutions of all layers."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Three layers that look both ways and start as the identity."""
        if len(ports) != 1 or not isinstance(ports[0], (Tokens, Signal)):
            return None
        return {"depth": 3, "causal": False, "residual_scale": 0.0}


class _Layer(nn.Module):
    """One residual branch on (B, length, dim)."""

    def __init__(self, dim: int, inner: int, kernel: int, dilation: int, causal: bool) -> None:
        super().__init__()
        self.norm_down, self.down = nn.LayerNorm(dim), nn.Linear(dim, inner)
        self.norm_conv, self.conv = nn.LayerNorm(inner), nn.Conv1d(inner, inner, kernel, dilation=dilation)
        self.norm_up, self.up = nn.LayerNorm(inner), nn.Linear(inner, dim)
        reach = dilation * (kernel - 1)
        self.sides = (reach, 0) if causal else (reach // 2, reach // 2)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y = F.relu(self.norm_conv(self.down(F.relu(self.norm_down(x)))))
        if mask is not None:
            y = y.masked_fill(~mask[..., None], 0.0)
        y = self.conv(F.pad(y.transpose(1, 2), self.sides)).transpose(1, 2)
        return self.up(F.relu(self.norm_up(y)))
