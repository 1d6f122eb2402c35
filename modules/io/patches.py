"""The family of patches: an image cut into squares, each of which becomes a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import flag, whole
from ..context import Context
from ..flops import product
from ..module import Module, one_port
from ..ports import Image, Port, Tokens


class Patches(Module):
    """`token[i] = W patch[i] + b + position[i]`: the image's patches, row by row, as tokens.

    There are (height / p) (width / p) of them. What distinguishes a place is its position alone, so patches that
    change places together with their positions give the same tokens in other places.

    Args:
        ports: one `Image(channels, height, width)`.
        size: height and width of a patch, or the pair of both; must divide the image's.
        dim: numbers in each token.
        positions: whether each place has a learned position.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import Image, ModuleSpec, facts
        >>> facts(ModuleSpec("patches", {"size": 7, "dim": 32}), [Image(1, 28, 28)]).output
        Tokens(length=16, dim=32)
    """

    family = "patches"
    reference = "Dosovitskiy et al. 2021 (2010.11929), section 3.1, equation 1"

    def __init__(
        self, ports: tuple[Port, ...], *, size: int | Sequence[int], dim: int, positions: bool = True
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Image)
        sides = list(size) if isinstance(size, (list, tuple)) else [size, size]
        if len(sides) != 2:
            raise ValueError(f"`size` must be a whole number or a pair of them, found {size!r}.")
        self.height, self.width = (whole("size", side) for side in sides)
        if port.height % self.height or port.width % self.width:
            raise ValueError(f"`size` must divide height and width of {port}, found {size!r}.")
        self.rows, self.columns = port.height // self.height, port.width // self.width
        self.output = Tokens(self.rows * self.columns, whole("dim", dim))
        self.linear = nn.Linear(port.channels * self.height * self.width, dim)
        shape = (self.rows * self.columns, dim)
        self.position = nn.Parameter(torch.empty(shape)) if flag("positions", positions) else None

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in, and positions of standard deviation 0.02."""
        nn.init.normal_(self.linear.weight, std=self.linear.in_features**-0.5, generator=generator)
        nn.init.zeros_(self.linear.bias)
        if self.position is not None:
            nn.init.normal_(self.position, std=0.02, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, channels, height, width) to (B, patches, dim)."""
        tokens = self.linear(self.cut(inputs[0]))
        return tokens if self.position is None else tokens + self.position

    def cut(self, image: Tensor) -> Tensor:
        """The patches (B, patches, channels * p * p) of an image, before they are mapped."""
        grid = image.unflatten(3, (self.columns, self.width)).unflatten(2, (self.rows, self.height))
        return grid.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def flops(self) -> int:
        """One matrix product."""
        return product(self.rows * self.columns, self.linear.in_features, self.linear.out_features)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Square patches, about 16 of them."""
        if len(ports) != 1 or not isinstance(ports[0], Image):
            return None
        height, width = ports[0].height, ports[0].width
        sides = [side for side in range(1, gcd(height, width) + 1) if not (height % side or width % side)]
        return {"size": min(sides, key=lambda side: abs(height * width / side**2 - 16)), "dim": 32}
