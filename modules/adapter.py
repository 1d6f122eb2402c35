"""The adapter family: a residual bottleneck that starts as the identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .checks import flag, whole
from .context import Context
from .flops import product, rows
from .group_norm import GroupNorm
from .module import Module, PortError, activation_named, initialise_layer, one_port
from .ports import Image, Port, Tokens, Value, Vector, like, split
from .stacked import Stack, affine, layer_norm


class Adapter(Module):
    """`x + up(activation(down(norm(x))))`, with `up` zero at the start: it then is exactly the identity.

    Args:
        ports: one `Vector`, `Tokens` or `Image`; the output has the same port.
        dim: width of the bottleneck (channels for images).
        activation: `none`, `relu`, `gelu`, `silu` or `tanh`.
        norm: whether the input is layer-normalised first; `None`: on for vectors and tokens, off for images.
        kernel: of `down`, for images: 1 or 3; `up` is always 1x1.

    Raises:
        PortError: another port, or a norm over a single value.
        ValueError: a setting is out of range, or `kernel` is set where there is no image.

    Example:
        >>> import torch
        >>> from pathways.modules import Context, ModuleSpec, Vector, build
        >>> adapter = build(ModuleSpec("adapter", {"dim": 2}), [Vector(5)], torch.Generator().manual_seed(0))
        >>> x = torch.arange(5.0).reshape(1, 5)
        >>> torch.equal(adapter(x, context=Context()), x)
        True
    """

    family = "adapter"
    reference = "Houlsby et al. 2019 (1902.00751), section 2.1; for images: Rebuffi et al. 2018 (1803.10082)"

    def __init__(
        self, ports: tuple[Port, ...], *, dim: int, activation: str = "relu", norm: bool | None = None,
        kernel: int = 1,
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector, Tokens, Image)
        whole("dim", dim)
        image = isinstance(port, Image)
        if kernel not in ((1, 3) if image else (1,)):
            rule = "1 or 3" if image else "1 where no image is read"
            raise ValueError(f"`kernel` must be {rule}, found {kernel!r}.")
        normed = not image if norm is None else flag("norm", norm)
        self.activation = activation_named(activation)
        self.norm: nn.Module = nn.Identity()
        self.down: nn.Module
        self.up: nn.Module
        if image:
            if normed and port.channels * port.height * port.width == 1:
                raise PortError(f"family `adapter` cannot normalise the one value of {port}: turn `norm` off")
            self.norm = GroupNorm(1, port.channels) if normed else self.norm
            self.down = nn.Conv2d(port.channels, dim, kernel, padding=kernel // 2)
            self.up = nn.Conv2d(dim, port.channels, 1)
            self._flops = product(port.height * port.width, port.channels, dim) * (kernel**2 + 1)
        else:
            self.norm = nn.LayerNorm(port.dim) if normed else self.norm
            self.down = nn.Linear(port.dim, dim)
            self.up = nn.Linear(dim, port.dim)
            self._flops = 2 * product(rows(port), port.dim, dim)
        self.output = port
        self.stacks = () if image else ("cpu", "cuda")

    def initialise(self, generator: torch.Generator) -> None:
        """Draw `down`; set `up` to zero."""
        initialise_layer(self.norm, generator)
        initialise_layer(self.down, generator)
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map a value to one of the same port; masks pass through."""
        (value,) = inputs
        x, _ = split(value)
        return like(value, x + self.up(self.activation(self.down(self.norm(x)))))

    def stacked(self, stack: Stack, *inputs: Tensor) -> Tensor:
        """Map (K, B, ..., d) to (K, S, B, ..., d): vectors and tokens."""
        (x,) = inputs
        k, s = stack.candidates, stack.slots
        each = stack.each()
        normed = layer_norm(stack, "norm", x) if isinstance(self.norm, nn.LayerNorm) else x[:, None]
        inner = self.activation(affine(each, "down", normed.expand(k, s, *x.shape[1:]).flatten(0, 1)))
        return x[:, None] + affine(each, "up", inner.squeeze(1)).squeeze(1).unflatten(0, (k, s))

    def flops(self) -> int:
        """The two products."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A bottleneck of a quarter of the width, and 64 at most."""
        if len(ports) != 1 or not isinstance(ports[0], (Vector, Tokens, Image)):
            return None
        width = ports[0].channels if isinstance(ports[0], Image) else ports[0].dim
        return {"dim": min(64, max(1, width // 4))}
