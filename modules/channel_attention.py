"""Channels of one value weighted by several modalities, through one attention that they share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import whole
from .context import Context
from .flops import product
from .glue import Pool
from .module import Module, PortError, initialise_layer
from .ports import Image, Port, Signal, Tokens, Value, Vector, like, split


class ChannelAttention(Module):
    """`x * mean_m a(m)` with `a(m) = 2 sigmoid(up relu(down pool(m)))`, one number for each channel.

    One `a` serves all modalities. `up` is zero at the start: every factor is 1 and the module exactly the identity.

    Args:
        ports: what is weighted, then one value for each modality; `Vector`, `Tokens`, `Image` or `Signal`, of equal
            channels. With one port it weights itself.
        hidden: width between `down` and `up`.

    Raises:
        PortError: another port, or other channels.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> fused, lidar, camera = Image(8, 4, 4), Image(8, 4, 4), Image(8, 6, 6)
        >>> facts(ModuleSpec("channel_attention", {"hidden": 2}), [fused, lidar, camera]).output
        Image(channels=8, height=4, width=4)
    """

    family = "channel_attention"
    reference = "M3Net (2503.18100), modality-adaptive integration; for one value: Hu et al. 2018 (1709.01507)"

    def __init__(self, ports: tuple[Port, ...], *, hidden: int) -> None:
        super().__init__()
        sizes = {channels_of(port) for port in ports}
        size = next(iter(sizes), None)
        if len(sizes) != 1 or size is None:
            found = ", ".join(map(str, ports))
            raise PortError(f"family `channel_attention` reads values of equal channels, found ({found})")
        modalities = ports[1:] or ports
        self.pools = [pooling(port) for port in modalities]
        self.down = nn.Linear(size, whole("hidden", hidden))
        self.up = nn.Linear(hidden, size)
        self.output = ports[0]
        self._flops = 2 * len(modalities) * product(1, size, hidden)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw `down`; set `up` to zero."""
        initialise_layer(self.down, generator)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map a value, and one for each modality, to one of the first port."""
        factors: list[Tensor] = []
        for pool, value in zip(self.pools, inputs[1:] or inputs, strict=True):
            pooled = value if pool is None else pool(value, context=context)
            factors.append(2 * torch.sigmoid(self.up(F.relu(self.down(pooled)))))
        # Ones add up to their number: at the start the mean is 1 to the bit.
        return like(inputs[0], split(inputs[0])[0] * along(self.output, sum(factors[1:], factors[0]) / len(factors)))

    def flops(self) -> int:
        """The two layers, for each modality."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> dict[str, Any] | None:
        """A quarter of the channels, where all ports have as many."""
        sizes = {channels_of(port) for port in ports}
        size = next(iter(sizes), None)
        return {"hidden": max(1, size // 4)} if len(sizes) == 1 and size is not None else None


def channels_of(port: Port) -> int | None:
    """How many channels (of tokens and vectors: numbers) a value of `port` has; `None` for ids and others."""
    if isinstance(port, (Vector, Tokens)):
        return port.dim
    return port.channels if isinstance(port, (Image, Signal)) else None


def pooling(port: Port) -> Pool | None:
    """What makes one number a channel; `None` for vectors."""
    return None if isinstance(port, Vector) else Pool((port,))


def along(port: Port, factor: Tensor) -> Tensor:
    """Factors (B, channels) in a shape that multiplies a value of `port`."""
    if isinstance(port, Tokens):
        return factor[:, None]
    return factor.reshape(*factor.shape, *[1] * (len(port.shape) - 1))
