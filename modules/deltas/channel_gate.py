"""Gates on the channels that a frozen module reads, one for each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..channel_attention import along, channels_of, pooling
from ..checks import whole
from ..context import Context
from ..flops import product
from ..module import Delta, Module, initialise_layer
from ..ports import Port, Value, Vector, like, split


class ChannelGate(Delta):
    """The host reads `x * g` with `g = 2 sigmoid(W gelu(P pool(x)))`: a task chooses its channels.

    Its neutral condition is W = 0, as at the start, where every gate is 1; in the paper gates lie below 1, which no
    weight of theirs reaches. `P` as a part is shared by the tasks that look at one value.

    Args:
        host: the module whose input is gated.
        hidden: numbers that P makes.
        index: which of the host's inputs, such as 1 for what cross-attention reads.
        channels: of that input; needed where `squeeze` is a part.
        parts: `squeeze`, the P of several tasks: a module from Vector(channels) to Vector(hidden), such as `linear`.

    Raises:
        ValueError: the host has no such input, or one without channels, or a setting is out of range.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> host = (ModuleSpec("conv", {"channels": 4}), (Image(6, 8, 8),))
        >>> facts(ModuleSpec("channel_gate", {"hidden": 2}), [], host=host).parameters  # P 14, W 18
        32
    """

    family = "channel_gate"
    reference = "Chen et al. 2025, M3Net (2503.18100), task-oriented channel scaling"

    def __init__(
        self, host: Module, *, hidden: int, index: int = 0, channels: int | None = None,
        parts: Mapping[str, Module] | None = None,
    ) -> None:
        super().__init__()
        port, size = gated(host, index)
        if channels not in ((size,) if "squeeze" in (parts or {}) else (size, None)):
            raise ValueError(f"`channels` must be the {size} of the host's input, found {channels}.")
        self.port, self.index, self.pool = port, index, pooling(port)
        self.parts = dict(parts or {})
        self.own = None if "squeeze" in self.parts else nn.Linear(size, whole("hidden", hidden))
        if self.own is None and (made := self.parts["squeeze"].output) != Vector(hidden):
            raise ValueError(f"`squeeze` must give {Vector(hidden)}, found {made}.")
        self.choose = nn.Linear(hidden, size)
        shared = 0 if self.own is not None else self.parts["squeeze"].flops()
        self._flops = (1 if self.own is None else 2) * product(1, size, hidden) + shared

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the own P; set W to zero."""
        if self.own is not None:
            initialise_layer(self.own, generator)
        nn.init.zeros_(self.choose.weight)
        nn.init.zeros_(self.choose.bias)

    def gates(self, value: Value) -> Tensor:
        """The gates (B, channels), each in (0, 2)."""
        x = value if self.pool is None else self.pool(value, context=Context())
        squeezed = self.parts["squeeze"](x, context=Context()) if self.own is None else self.own(x)
        return 2 * torch.sigmoid(self.choose(F.gelu(squeezed)))

    def around(self, call: Callable[..., Value], *inputs: Value, context: Context, **condition: Any) -> Value:
        """Gate what goes in."""
        value = inputs[self.index]
        changed = like(value, split(value)[0] * along(self.port, self.gates(value)))
        return call(*inputs[: self.index], changed, *inputs[self.index + 1 :], context=context)

    def flops(self) -> int:
        """P and W."""
        return self._flops

    @classmethod
    def part_ports(cls, ports: tuple[Port, ...], config: Mapping[str, Any]) -> Callable[[str], tuple[Port, ...]]:
        """P reads one number a channel."""
        return lambda name: (Vector(config.get("channels", 1)),)

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """A quarter of the channels of the host's first input."""
        size = channels_of(host.inputs[0]) if host.inputs else None
        return None if size is None else {"hidden": max(1, size // 4)}


def gated(host: Module, index: int) -> tuple[Port, int]:
    """The port of the host's input `index` and its channels; a `ValueError` where there is none."""
    if whole("index", index, 0) >= len(host.inputs):
        raise ValueError(f"`index` must be below {len(host.inputs)}, the number of inputs of the host, found {index}.")
    size = channels_of(host.inputs[index])
    if size is None:
        raise ValueError(f"`index` must be of one with channels, found {index}, which is {host.inputs[index]}.")
    return host.inputs[index], size
