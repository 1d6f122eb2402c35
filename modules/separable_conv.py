"""Depthwise-separable convolutions: one, and a block of them with two residuals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import choice, flag, number, whole
from .context import Context
from .flops import nominal
from .module import Module, PortError, activation_named, one_port
from .ports import Image, Port, Signal, Tokens, Value, like, split

PADDINGS = ("zeros", "ring")


class SeparableConv(Module):
    """`[norm](pointwise(depthwise(activation(x))))`: each channel is convolved alone, then places are mixed alone.

    It keeps the size. Padded places read as zero.

    Args:
        ports: one `Image`, or a `Signal` or `Tokens` along their length; channels are the dim of tokens.
        channels: of the output; `None` is as many as there are.
        kernel: width of the depthwise kernel, odd; along both axes of an image.
        dilation: distance of the kernel's taps.
        activation: what is applied first: `none`, `relu`, `gelu`, `silu` or `tanh`.
        norm: whether the channels of each place are layer-normalised at the end.
        padding: `zeros`, or `ring`: the first place follows the last (fixed sizes, not causal).
        causal: whether a place reads only itself and those before it (signals and tokens).

    Raises:
        PortError: another port, or one too small for `ring`.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> facts(ModuleSpec("separable_conv", {"channels": 16, "kernel": 3}), [Image(8, 14, 14)]).parameters
        216
    """

    family = "separable_conv"
    reference = "Chollet 2017 (1610.02357), section 3; with norm and ReLU: Kaiser et al. 2017 (1706.05137), section 2.1"

    def __init__(
        self, ports: tuple[Port, ...], *, channels: int | None = None, kernel: int = 3, dilation: int = 1,
        activation: str = "none", norm: bool = False, padding: str = "zeros", causal: bool = False,
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Image, Signal, Tokens)
        wide = _width(port) if channels is None else whole("channels", channels)
        self.conv = _ConvStep(port, wide, kernel, dilation, activation, norm, padding, causal)
        self.output = replace(port, **{"dim" if isinstance(port, Tokens) else "channels": wide})
        self._flops = self.conv.flops(port)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map a value to one with as many places; masks pass through."""
        x, mask = _channels_first(self.output, inputs[0])
        return _as_port(self.output, inputs[0], self.conv(x, mask))

    def flops(self) -> int:
        """The depthwise and the pointwise convolution."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A step as in MultiModel's blocks, which keeps the channels."""
        fits = len(ports) == 1 and isinstance(ports[0], (Image, Signal, Tokens))
        return {"activation": "relu", "norm": True} if fits else None


class SeparableBlock(Module):
    """Steps `norm(pointwise(depthwise(relu(.))))`, in pairs: after each pair `x` is added, so that `h = x + s(s(h))`.

    Args:
        ports: one `Image`, `Signal` or `Tokens`; the output has the same port.
        kernels: width of each step's kernel, odd; an even number of steps.
        dilations: distance of the taps of each step's kernel.
        padding: `zeros`, or `ring` (fixed sizes, not causal).
        causal: whether a place reads only itself and those before it (signals and tokens).
        residual_scale: factor on what the second step of each pair writes at first; at 0 the block starts as the
            identity.

    Raises:
        PortError: another port, or one too small for `ring`.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("separable_block", {"causal": True}), [Tokens(None, 8)]).output
        Tokens(length=None, dim=8)
    """

    family = "separable_block"
    reference = "Kaiser et al. 2017 (1706.05137), section 2.1, equations of the convolutional block"

    def __init__(
        self, ports: tuple[Port, ...], *, kernels: Sequence[int] = (3, 3, 15, 15),
        dilations: Sequence[int] = (1, 1, 1, 8), padding: str = "zeros", causal: bool = False,
        residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Image, Signal, Tokens)
        if not kernels or len(kernels) % 2 or len(kernels) != len(dilations):
            raise ValueError(
                f"`kernels` and `dilations` must be two lists of one even length, found {list(kernels)} and "
                f"{list(dilations)}."
            )
        self.residual_scale = number("residual_scale", residual_scale)
        self.steps = nn.ModuleList(
            _ConvStep(port, _width(port), kernel, dilation, "relu", True, padding, causal)
            for kernel, dilation in zip(kernels, dilations, strict=True)
        )
        self.output = port
        self._flops = sum(step.flops(port) for step in self.steps)  # type: ignore[operator]

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all steps; the gain of each second one's norm is `residual_scale`."""
        super().initialise(generator)
        with torch.no_grad():
            for step in self.steps[1::2]:
                step.norm.weight.mul_(self.residual_scale)  # type: ignore[union-attr,operator]

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map a value to one of the same port; masks pass through."""
        x, mask = _channels_first(self.output, inputs[0])
        h = x
        for first, second in zip(self.steps[::2], self.steps[1::2], strict=True):
            h = x + second(first(h, mask), mask)
        return _as_port(self.output, inputs[0], h)

    def flops(self) -> int:
        """The convolutions of all steps."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Four kernels of 3, the later ones dilated, which start as the identity."""
        if len(ports) != 1 or not isinstance(ports[0], (Image, Signal, Tokens)):
            return None
        return {"kernels": [3, 3, 3, 3], "dilations": [1, 1, 2, 4], "residual_scale": 0.0}


class _ConvStep(nn.Module):
    """One step on (B, channels, places) or (B, channels, height, width)."""

    def __init__(
        self, port: Image | Signal | Tokens, wide: int, kernel: int, dilation: int, activation: str, norm: bool,
        padding: str, causal: bool,
    ) -> None:
        super().__init__()
        if whole("kernel", kernel) % 2 == 0:
            raise ValueError(f"`kernel` must be odd, found {kernel}: use {kernel - 1} or {kernel + 1}.")
        image = isinstance(port, Image)
        if flag("causal", causal) and (image or padding == "ring"):
            raise ValueError("`causal` must be false for images and with `padding` ring, found true.")
        reach = whole("dilation", dilation) * (kernel - 1)
        self.mode = "circular" if choice("padding", padding, PADDINGS) == "ring" else "constant"
        if padding == "ring" and (port.variable or reach // 2 > min(_places(port))):
            raise PortError(f"`padding` ring needs fixed sizes of at least {reach // 2} places, found {port}")
        sides = [reach, 0] if causal else [reach // 2, reach // 2]
        self.sides = sides * (2 if image else 1)
        self.activation = activation_named(activation)
        conv = nn.Conv2d if image else nn.Conv1d
        narrow = _width(port)
        self.depthwise = conv(narrow, narrow, kernel, dilation=dilation, groups=narrow, bias=False)
        self.pointwise = conv(narrow, wide, 1)
        self.norm = nn.LayerNorm(wide) if flag("norm", norm) else None

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = self.activation(x)
        if mask is not None:
            x = x.masked_fill(~mask[:, None], 0.0)
        y = self.pointwise(self.depthwise(F.pad(x, self.sides, mode=self.mode)))
        return y if self.norm is None else self.norm(y.movedim(1, -1)).movedim(-1, 1)

    def flops(self, port: Port) -> int:
        """A product for each tap of each channel, and one for each pair of channels, at each place."""
        places = 1
        for size in _places(port):
            places *= size
        taps = self.depthwise.weight[0].numel() + self.pointwise.out_channels
        return 2 * places * self.depthwise.in_channels * taps


def _width(port: Image | Signal | Tokens) -> int:
    """How many numbers stand at each place."""
    return port.dim if isinstance(port, Tokens) else port.channels


def _places(port: Port) -> tuple[int, ...]:
    """How many places there are along each axis."""
    return (port.height, port.width) if isinstance(port, Image) else (nominal(port.length),)  # type: ignore[attr-defined]


def _channels_first(port: Port, value: Value) -> tuple[Tensor, Tensor | None]:
    x, mask = split(value)
    return (x.transpose(1, 2) if isinstance(port, Tokens) else x), mask


def _as_port(port: Port, value: Value, x: Tensor) -> Value:
    return like(value, x.transpose(1, 2) if isinstance(port, Tokens) else x)
