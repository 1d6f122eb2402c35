"""The mu-law family: numbers of any size as discrete tokens, finer where they are small."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import number, whole
from ..context import Context
from ..module import Module, one_port
from ..ports import Port, Tokens, Vector

MU, LARGEST, BINS = 100.0, 256.0, 1024
"""Gato's settings, section 2.1."""


class MuLaw(Module):
    """`token[i] = E[bin(F(x[i]))] + P[i]` with `F(x) = sgn(x) log(mu |x| + 1) / log(M mu + 1)`, cut to [-1, 1].

    The interval [-1, 1] has `bins` equal bins. All numbers share one table `E`; `P` says which number it is. No
    gradient goes to the numbers.

    Args:
        ports: one `Vector`.
        dim: numbers in each token.
        mu: how much finer small numbers are.
        largest: M, the size that is mapped to 1; larger ones are cut.
        bins: how many.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("mu_law", {"dim": 8, "bins": 64}), [Vector(5)])
        Facts(output=Tokens(length=5, dim=8), parameters=552, buffers=0, flops=0)
    """

    family = "mu_law"
    reference = "Reed et al. 2022, Gato (2205.06175), section 2.1 and appendix B"

    def __init__(
        self, ports: tuple[Port, ...], *, dim: int, mu: float = MU, largest: float = LARGEST, bins: int = BINS
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector)
        self.mu, self.largest, self.bins = number("mu", mu), number("largest", largest), whole("bins", bins, low=2)
        for name, value in (("mu", self.mu), ("largest", self.largest)):
            if value <= 0:
                raise ValueError(f"`{name}` must be above 0, found {value}.")
        self.output = Tokens(port.dim, whole("dim", dim))
        self.table = nn.Embedding(bins, dim)
        self.position = nn.Parameter(torch.empty(port.dim, dim))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw table and positions from a normal distribution of standard deviation 0.02."""
        nn.init.normal_(self.table.weight, std=0.02, generator=generator)
        nn.init.normal_(self.position, std=0.02, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to tokens (B, d, dim)."""
        ids = bins_of(inputs[0], self.mu, self.largest, self.bins)
        return self.table(ids) + self.position

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Tokens of 16 numbers in 128 bins."""
        fits = len(ports) == 1 and isinstance(ports[0], Vector) and ports[0].dim <= 256
        return {"dim": 16, "bins": 128} if fits else None


def bins_of(x: Tensor, mu: float = MU, largest: float = LARGEST, bins: int = BINS) -> Tensor:
    """The bin of each number, int64 from 0 to `bins - 1`.

    >>> bins_of(torch.tensor([-256.0, 0.0, 1.0, 1000.0])).tolist()
    [0, 512, 744, 1023]
    """
    squeezed = x.sign() * (mu * x.abs() + 1).log() / math.log(largest * mu + 1)
    return ((squeezed.clamp(-1, 1) + 1) * (bins / 2)).long().clamp(0, bins - 1)


def values_of(ids: Tensor, mu: float = MU, largest: float = LARGEST, bins: int = BINS) -> Tensor:
    """The number in the middle of each bin; what `bins_of` made of it, to within half a bin.

    >>> round(float(values_of(bins_of(torch.tensor(0.5)))), 2)
    0.5
    """
    squeezed = (ids.double() + 0.5) * (2 / bins) - 1
    return (squeezed.sign() * ((squeezed.abs() * math.log(largest * mu + 1)).exp() - 1) / mu).float()
