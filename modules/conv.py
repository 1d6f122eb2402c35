"""The convolution family: convolution, normalisation, an optional skip, activation and max-pooling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import choice, flag, whole
from .context import Context
from .group_norm import GroupNorm
from .module import Module, PortError, activation_named, one_port
from .ports import Image, Port
from .stacked import Stack

NORMS = ("none", "batch", "group", "layer")


class Conv(Module):
    """`pool(activation(norm(conv(x)) [+ skip(x)]))`, padded so that stride 1 keeps height and width.

    The skip is the identity, or a strided 1x1 convolution where the shapes differ. The convolution has a bias
    only without norm. With batch norm, a training batch of one value a channel (one sample of one pixel) has
    no variance and is normalised by the running statistics.

    Args:
        ports: one `Image(channels, height, width)`.
        channels: output channels.
        kernel: odd height and width of the kernel; padding is `kernel // 2`.
        stride: of the convolution.
        norm: `none`, `batch`, `group` (in `groups` groups) or `layer` (all channels and pixels of a sample).
        groups: of group norm; must divide `channels`.
        activation: `none`, `relu`, `gelu`, `silu` or `tanh`.
        residual: whether the input is added before the activation.
        pool: max-pooling factor after the activation, 1 is off.
        ceil: whether a rest that the pooling factor leaves at the border is pooled too, or dropped.

    Raises:
        PortError: another port, an image too small to be pooled, or a norm over a single value.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> facts(ModuleSpec("conv", {"channels": 8, "pool": 2}), [Image(1, 28, 28)]).output
        Image(channels=8, height=14, width=14)
    """

    family = "conv"
    reference = (
        "LeCun et al. 1998, Gradient-based learning; skip: He et al. 2016 (1512.03385), section 3.2; "
        "norms: Ioffe and Szegedy 2015 (1502.03167), Wu and He 2018 (1803.08494)"
    )
    stacks = ("cuda",)  # grouped convolutions gain nothing on a CPU: 0.8 to 1.5 of one by one

    def __init__(
        self, ports: tuple[Port, ...], *, channels: int, kernel: int = 3, stride: int = 1, norm: str = "none",
        groups: int = 8, activation: str = "relu", residual: bool = False, pool: int = 1,
        ceil: bool = False,
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Image)
        whole("channels", channels)
        if whole("kernel", kernel) % 2 == 0:
            raise ValueError(f"`kernel` must be odd, found {kernel}: use {kernel - 1} or {kernel + 1}.")
        choice("norm", norm, NORMS)
        height, width = ((size - 1) // whole("stride", stride) + 1 for size in (port.height, port.width))
        self.pool = whole("pool", pool)
        if min(height, width) < pool:
            raise PortError(f"family `conv` pools by {pool}, but {port} gives maps of {height} x {width}")
        self.ceil = flag("ceil", ceil)
        rest = pool - 1 if ceil else 0
        self.output = Image(channels, (height + rest) // pool, (width + rest) // pool)
        self.activation = activation_named(activation)
        # Maxima pass through monotone functions, which then have fewer values to work on.
        self._pool_first = activation in ("none", "relu", "tanh")
        self.conv = nn.Conv2d(port.channels, channels, kernel, stride, kernel // 2, bias=norm == "none")
        self.norm = _norm(norm, channels, groups, height * width)
        self.residual = flag("residual", residual)
        self.skip: nn.Module | None = None
        if residual and (port.channels != channels or stride != 1):
            self.skip = nn.Conv2d(port.channels, channels, 1, stride, bias=False)
        kernels = port.channels * kernel**2 + (0 if self.skip is None else port.channels)
        self._flops = 2 * channels * height * width * kernels

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, channels, height, width) to the image of the output port."""
        (x,) = inputs
        y = self._normalised(self.conv(x))
        if self.residual:
            y = y + (x if self.skip is None else self.skip(x))
        y = self._activated(y)
        if y.requires_grad and not y.is_contiguous() and y.is_contiguous(memory_format=torch.channels_last):
            y.register_hook(_channels_last)
        return y

    def stacked(self, stack: Stack, *inputs: Tensor) -> Tensor:
        """Map (K, B, channels, height, width) to (K, S, B, ...) by grouped convolutions."""
        (x,) = inputs
        k, s = stack.candidates, stack.slots
        y = self._stacked_norm(stack, _grouped(stack, "conv", x, self.conv))
        if self.residual:
            y = y + (x[:, None] if self.skip is None else _grouped(stack, "skip", x, self.skip))
        return self._activated(y.expand(k, s, *y.shape[2:]).flatten(0, 2)).unflatten(0, (k, s, -1))

    def _activated(self, y: Tensor) -> Tensor:
        if self.pool == 1:
            return self.activation(y)
        if self._pool_first:
            return self.activation(F.max_pool2d(y, self.pool, ceil_mode=self.ceil))
        return F.max_pool2d(self.activation(y), self.pool, ceil_mode=self.ceil)

    def _stacked_norm(self, stack: Stack, y: Tensor) -> Tensor:
        """The norm of (K, S, B, channels, height, width), each module with its own gain and shift."""
        if self.norm is None:
            return y
        k, s, b, c = y.shape[:4]
        if isinstance(self.norm, nn.GroupNorm):
            normed = F.group_norm(y.flatten(0, 2), self.norm.num_groups, eps=self.norm.eps).view_as(y)
            gain, shift = (stack[f"norm.{name}"].view(k, s, 1, c, 1, 1) for name in ("weight", "bias"))
            return normed * gain + shift
        # Batch norm: every module's channels are channels of one.
        assert isinstance(self.norm, nn.BatchNorm2d)
        wide = y.permute(2, 0, 1, 3, 4, 5).flatten(1, 3)
        mean, variance, weight, bias = (
            stack[f"norm.{name}"].flatten() for name in ("running_mean", "running_var", "weight", "bias")
        )
        training = self.training and b * wide.shape[2] * wide.shape[3] > 1
        if training:
            stack["norm.num_batches_tracked"].add_(1)
        momentum = self.norm.momentum or 0.0
        normed = F.batch_norm(wide, mean, variance, weight, bias, training, momentum, self.norm.eps)
        return normed.unflatten(1, (k, s, c)).permute(1, 2, 0, 3, 4, 5)

    def _normalised(self, y: Tensor) -> Tensor:
        norm = self.norm
        if norm is None:
            return y
        if isinstance(norm, nn.BatchNorm2d) and self.training and y.numel() == y.shape[1]:
            return F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        return norm(y)

    def flops(self) -> int:
        """The convolution and the projection of the skip."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A convolution beside the identity, from an image to one of the same port."""
        if len(ports) != 1 or not isinstance(ports[0], Image):
            return None
        return {"channels": ports[0].channels, "residual": True}


def _channels_last(gradient: Tensor) -> Tensor:
    """The gradient in the memory of the output: kernels that read both are several times slower where they differ."""
    return gradient.contiguous(memory_format=torch.channels_last)


def _grouped(stack: Stack, layer: str, x: Tensor, conv: nn.Module) -> Tensor:
    """The convolutions of all modules as one: (K or 1, B, channels, ...) to (K, S, B, channels, ...)."""
    assert isinstance(conv, nn.Conv2d)
    weight, bias = stack[f"{layer}.weight"], stack.tensors.get(f"{layer}.bias")
    k, s = weight.shape[:2]
    wide = x.transpose(0, 1).flatten(1, 2)
    y = F.conv2d(
        wide, weight.flatten(0, 2), None if bias is None else bias.flatten(), conv.stride, conv.padding,
        groups=x.shape[0],
    )
    return y.unflatten(1, (k, s, -1)).permute(1, 2, 0, 3, 4, 5)


def _norm(norm: str, channels: int, groups: int, pixels: int) -> nn.Module | None:
    if norm == "none":
        return None
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    groups = whole("groups", groups) if norm == "group" else 1
    if channels % groups:
        raise ValueError(f"`groups` must divide `channels`, found {groups} groups for {channels} channels.")
    if channels // groups * pixels == 1:
        raise PortError(f"family `conv` cannot apply `{norm}` norm to one value: use more channels")
    return GroupNorm(groups, channels)
