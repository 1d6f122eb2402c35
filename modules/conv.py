"""The convolution family: convolution, normalisation, an optional skip, activation and max-pooling."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .checks import choice, flag, whole
from .context import Context
from .module import Module, PortError, activation_named, one_port
from .ports import Image, Port

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
        if self.pool == 1:
            return self.activation(y)
        if self._pool_first:
            return self.activation(F.max_pool2d(y, self.pool, ceil_mode=self.ceil))
        return F.max_pool2d(self.activation(y), self.pool, ceil_mode=self.ceil)

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
    return nn.GroupNorm(groups, channels)
