"""The positions family: where a token stands, added to what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .checks import choice, whole
from .context import Context
from .flops import nominal, product
from .module import Module, PortError, one_port
from .ports import Port, Tokens, Value, like, split

KINDS = ("sinusoidal", "learned", "fourier")


class Positions(Module):
    """`x + position`, from the place of a token in its sequence or in a grid.

    | kind | position of place p | weights |
    |---|---|---|
    | `sinusoidal` | `sin(p / 10000^(i/n))`, `cos(...)` for i < n, the dim shared evenly among the axes | none |
    | `learned` | a vector for each place | length x dim |
    | `fourier` | `W [sin(pi f p), cos(pi f p), p]`, p from -1 to 1 along each axis | W, starts at 0 |

    The frequencies f stand at equal distances from 1 to half the size of the axis. To add `W features` is what a
    linear map does that reads tokens and features joined, as the Perceiver joins them.

    Args:
        ports: one `Tokens`; a mask passes through, places are counted from the first, real or not.
        kind: `sinusoidal`, `learned` or `fourier`.
        grid: sizes of the axes along which the tokens lie, rows first, such as [14, 14] for patches; `None`: one axis.
        length: for tokens of variable length: how many positions are learned, and where `fourier` has p = 1.
        bands: frequencies of `fourier` along each axis.

    Raises:
        PortError: another port, or a grid of another length.
        ValueError: a setting is out of range; a value is longer than the positions that are learned.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("positions", {"kind": "learned"}), [Tokens(9, 16)]).parameters
        144
    """

    family = "positions"
    reference = (
        "sinusoidal: Vaswani et al. 2017 (1706.03762), section 3.5; learned: Gehring et al. 2017 (1705.03122), "
        "section 3.1; Fourier: Jaegle et al. 2021 (2103.03206), section 3.2"
    )

    def __init__(
        self, ports: tuple[Port, ...], *, kind: str = "sinusoidal", grid: Sequence[int] | None = None,
        length: int | None = None, bands: int = 8,
    ) -> None:
        super().__init__()
        port: Tokens = one_port(self.family, ports, Tokens)
        self.kind = choice("kind", kind, KINDS)
        if port.length is not None and length is not None:
            raise ValueError(f"`length` must be left out where the length is fixed, found {length!r} for {port}.")
        if port.length is None and (length is None) != (kind == "sinusoidal"):
            rule = "left out of `sinusoidal`" if kind == "sinusoidal" else f"given for `{kind}`"
            raise ValueError(f"`length` must be {rule}, where the length is variable, found {length!r}.")
        self.length = port.length if length is None else whole("length", length)
        self.grid = None if grid is None else tuple(whole("grid", size) for size in grid)
        if self.grid is not None and math.prod(self.grid) != port.length:
            raise PortError(f"family `positions` with `grid` {list(self.grid)} reads that many tokens, found {port}")
        axes = len(self.grid or (0,))
        if kind == "sinusoidal" and port.dim < 2 * axes:
            raise PortError(f"family `positions` needs a sine and a cosine for each axis, found {port} for {axes}")
        self.bands = whole("bands", bands)
        self.table = nn.Parameter(torch.empty(self.length or 0, port.dim)) if kind == "learned" else None
        features = axes * (2 * bands + 1)
        self.project = nn.Linear(features, port.dim, bias=False) if kind == "fourier" else None
        self.output = port
        # The positions are the same for all samples, but each sample is charged for them.
        self._flops = product(nominal(port.length), features, port.dim) if kind == "fourier" else 0

    def initialise(self, generator: torch.Generator) -> None:
        """Draw learned positions at a standard deviation of 0.02; set the weights of Fourier features to zero."""
        if self.table is not None:
            nn.init.normal_(self.table, std=0.02, generator=generator)
        if self.project is not None:
            nn.init.zeros_(self.project.weight)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim) to the same."""
        (value,) = inputs
        x, _ = split(value)
        length = x.shape[1]
        if self.table is not None:
            if length > len(self.table):
                raise ValueError(
                    f"`length` must be at least the greatest length, found {len(self.table)} for a length of "
                    f"{length}: cut the input or train with more positions."
                )
            return like(value, x + self.table[:length])
        places = self._places(length, x)
        if self.project is None:
            return like(value, x + _waves(places, x.shape[2]))
        return like(value, x + self.project(self._fourier(places)))

    def _places(self, length: int, x: Tensor) -> list[Tensor]:
        """The coordinate of each place along each axis, (length,) each."""
        places = torch.arange(length, device=x.device)
        if self.grid is None:
            return [places.to(x.dtype)]
        found = []
        for size in reversed(self.grid):
            found.append((places % size).to(x.dtype))
            places = places // size
        return found[::-1]

    def _fourier(self, places: list[Tensor]) -> Tensor:
        features = []
        for size, place in zip(self.grid or (self.length or 1,), places, strict=True):
            p = 2 * place / max(1, size - 1) - 1
            f = torch.linspace(1, max(1.0, size / 2), self.bands, device=p.device, dtype=p.dtype)
            angle = math.pi * p[:, None] * f
            features += [angle.sin(), angle.cos(), p[:, None]]
        return torch.cat(features, 1)

    def flops(self) -> int:
        """The product with the Fourier features."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Fourier positions, which start as the identity."""
        if len(ports) != 1 or not isinstance(ports[0], Tokens):
            return None
        return {"kind": "fourier"} if ports[0].length else {"kind": "fourier", "length": 64}


def _waves(places: list[Tensor], dim: int) -> Tensor:
    """Sines and cosines of falling frequency for each axis, (length, dim); numbers that are left over are zero."""
    each = dim // len(places) // 2
    waves = []
    for place in places:
        power = torch.arange(each, device=place.device, dtype=place.dtype) / each
        angle = place[:, None] * torch.exp(-math.log(10000.0) * power)
        waves += [angle.sin(), angle.cos()]
    joined = torch.cat(waves, 1)
    return nn.functional.pad(joined, (0, dim - joined.shape[1]))


__all__ = ["Positions"]
