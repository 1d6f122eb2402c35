"""The residual convolution family: two convolutions beside the identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import choice, number, whole
from .context import Context
from .group_norm import GroupNorm
from .module import Module, PortError, activation_named, one_port
from .ports import Image, Port
from .separable_conv import PADDINGS


class ResidualConv(Module):
    """`skip(x) + conv(activation(norm(conv(activation(norm(x))))))`: nothing stands between the skips of two blocks.

    The skip is the identity, or a strided 1x1 convolution where the shapes differ. Norms are group norms, so that
    the samples of a batch, which may be of several tasks, do not see each other.

    Args:
        ports: one `Image(channels, height, width)`.
        channels: of the output; `None` is as many as there are.
        kernel: odd height and width of both kernels.
        stride: of the first convolution.
        groups: of both norms; 0 is no norm.
        activation: `none`, `relu`, `gelu`, `silu` or `tanh`.
        padding: `zeros`, or `ring`: the first row follows the last, and so do columns.
        residual_scale: factor on the initial weights of the second convolution; at 0, where the shapes agree, the
            block starts as the identity.

    Raises:
        PortError: another port, a norm over a single value, or an image too small for `ring`.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> facts(ModuleSpec("residual_conv", {"channels": 16, "stride": 2}), [Image(8, 14, 14)]).output
        Image(channels=16, height=7, width=7)
    """

    family = "residual_conv"
    reference = "He et al. 2016 (1512.03385), section 3; with norms first: He et al. 2016 (1603.05027), section 4"

    def __init__(
        self, ports: tuple[Port, ...], *, channels: int | None = None, kernel: int = 3, stride: int = 1,
        groups: int = 1, activation: str = "relu", padding: str = "zeros", residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        port: Image = one_port(self.family, ports, Image)
        wide = port.channels if channels is None else whole("channels", channels)
        if whole("kernel", kernel) % 2 == 0:
            raise ValueError(f"`kernel` must be odd, found {kernel}: use {kernel - 1} or {kernel + 1}.")
        height, width = ((size - 1) // whole("stride", stride) + 1 for size in (port.height, port.width))
        self.side = kernel // 2
        self.mode = "circular" if choice("padding", padding, PADDINGS) == "ring" else "constant"
        if padding == "ring" and self.side > min(height, width):
            raise PortError(f"`padding` ring needs images of at least {self.side} rows and columns, found {port}")
        self.activation = activation_named(activation)
        self.residual_scale = number("residual_scale", residual_scale)
        self.norm1 = _norm(groups, port.channels, port.height * port.width)
        self.conv1 = nn.Conv2d(port.channels, wide, kernel, stride, bias=groups == 0)
        self.norm2 = _norm(groups, wide, height * width)
        self.conv2 = nn.Conv2d(wide, wide, kernel)
        self.skip = None
        if wide != port.channels or stride != 1:
            self.skip = nn.Conv2d(port.channels, wide, 1, stride, bias=False)
        self.output = Image(wide, height, width)
        taps = (port.channels + wide) * kernel**2 + (0 if self.skip is None else port.channels)
        self._flops = 2 * height * width * wide * taps

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all convolutions, the second at `residual_scale`."""
        super().initialise(generator)
        with torch.no_grad():
            self.conv2.weight.mul_(self.residual_scale)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, channels, height, width) to the image of the output port."""
        (x,) = inputs
        y = self.conv1(self._padded(self.activation(x if self.norm1 is None else self.norm1(x))))
        y = self.conv2(self._padded(self.activation(y if self.norm2 is None else self.norm2(y))))
        return y + (x if self.skip is None else self.skip(x))

    def _padded(self, x: Tensor) -> Tensor:
        return F.pad(x, (self.side,) * 4, mode=self.mode) if self.side else x

    def flops(self) -> int:
        """Both convolutions and the projection of the skip."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A block that starts as the identity."""
        if len(ports) != 1 or not isinstance(ports[0], Image):
            return None
        single = ports[0].channels * ports[0].height * ports[0].width == 1
        return {"residual_scale": 0.0, **({"groups": 0} if single else {})}


def _norm(groups: int, channels: int, pixels: int) -> nn.Module | None:
    if whole("groups", groups, low=0) == 0:
        return None
    if channels % groups:
        raise ValueError(f"`groups` must divide the channels before each norm, found {groups} for {channels}.")
    if channels // groups * pixels == 1:
        raise PortError("family `residual_conv` cannot normalise one value: set `groups` to 0")
    return GroupNorm(groups, channels)
