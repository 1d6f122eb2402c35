"""The convolutional stem: residual blocks of separable convolutions that make an image smaller and deeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import choice, flag, whole
from ..context import Context
from ..group_norm import GroupNorm
from ..module import Module, PortError, one_port
from ..ports import Image, Port, Tokens


class ConvStem(Module):
    """For each width: `x <- pool(sep(relu(sep(relu(x))))) + project(x)`, after one convolution of the image.

    `sep` is a convolution of each channel by itself, one across channels, and a norm; `pool` takes maxima of 3x3 at
    every second pixel, and `project` is a 1x1 convolution at the same pixels. So each block halves height and width.

    Args:
        ports: one `Image(channels, height, width)`.
        widths: channels behind each block.
        kernel: odd height and width of the kernels.
        separable: whether `sep` is so factored, or one dense convolution.
        form: `image` gives the map, `tokens` its pixels as tokens, row by row.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> facts(ModuleSpec("conv_stem", {"widths": [8, 16]}), [Image(1, 28, 28)]).output
        Image(channels=16, height=7, width=7)
    """

    family = "conv_stem"
    reference = "entry flow: Chollet 2017, Xception (1610.02357), figure 5; as an input net: 1706.05137, section 2.5.2"

    def __init__(
        self, ports: tuple[Port, ...], *, widths: Sequence[int], kernel: int = 3, separable: bool = True,
        form: str = "image",
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Image)
        if not isinstance(widths, (list, tuple)) or not widths:
            raise ValueError(f"`widths` must list the channels behind each block, found {widths!r}.")
        if whole("kernel", kernel) % 2 == 0:
            raise ValueError(f"`kernel` must be odd, found {kernel}: use {kernel - 1} or {kernel + 1}.")
        self.tokens = choice("form", form, ("image", "tokens")) == "tokens"
        height, width, channels = port.height, port.width, whole("widths", widths[0])
        if height * width < 2:
            raise PortError(f"family `conv_stem` reads images of several pixels, found {port}")
        self.first = nn.Conv2d(port.channels, channels, kernel, padding=kernel // 2)
        self._flops = 2 * height * width * channels * port.channels * kernel**2
        self.blocks = nn.ModuleList()
        for after in widths:
            block = _Block(channels, whole("widths", after), kernel, flag("separable", separable))
            self._flops += block.flops(height, width)
            self.blocks.append(block)
            height, width, channels = (height + 1) // 2, (width + 1) // 2, after
        self.output = Tokens(height * width, channels) if self.tokens else Image(channels, height, width)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, channels, height, width) to the smaller map, or to (B, pixels, channels)."""
        x = self.first(inputs[0])
        for block in self.blocks:
            x = block(x)
        return x.flatten(2).transpose(1, 2) if self.tokens else x

    def flops(self) -> int:
        """All convolutions."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A block of 16 channels and one of 32."""
        fits = len(ports) == 1 and isinstance(ports[0], Image) and ports[0].height * ports[0].width > 1
        return {"widths": [16, 32]} if fits else None


class _Block(nn.Module):
    """One block; the norm is over all channels and pixels of a sample, so samples do not see one another."""

    def __init__(self, before: int, after: int, kernel: int, separable: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_layer(before, after, kernel, separable), nn.ReLU(), *_layer(after, after, kernel, separable)
        )
        self.project = nn.Conv2d(before, after, 1, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.main(F.relu(x)), 3, 2, 1) + self.project(x)

    def flops(self, height: int, width: int) -> int:
        layers = [layer for layer in self.main if isinstance(layer, nn.Conv2d)]
        smaller = ((height + 1) // 2) * ((width + 1) // 2)
        return 2 * (height * width * sum(map(_weights, layers)) + smaller * _weights(self.project))


def _weights(conv: nn.Conv2d) -> int:
    return conv.weight.numel()


def _layer(before: int, after: int, kernel: int, separable: bool) -> list[nn.Module]:
    norm = GroupNorm(1, after)
    if not separable:
        return [nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False), norm]
    depthwise = nn.Conv2d(before, before, kernel, padding=kernel // 2, groups=before, bias=False)
    return [depthwise, nn.Conv2d(before, after, 1, bias=False), norm]


__all__ = ["ConvStem"]
