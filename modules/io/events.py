"""The family of events: which unit fired, and when, as one token for each spike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..checks import whole
from ..context import Context
from ..module import Module, PortError
from ..ports import Ids, Masked, Port, Tokens, Value, split


class Events(Module):
    """`token[i] = U[unit[i]] + T[bin[i]]`: a learned vector for the unit and one for its time bin.

    Args:
        ports: two `Ids` of one length: units, and time bins. A place is real where it is in both.
        dim: numbers in each token.

    Raises:
        PortError: other ports, or lengths that differ.
        ValueError: `dim` is not a whole number of at least 1.

    Example:
        >>> from pathways.modules import Ids, ModuleSpec, facts
        >>> facts(ModuleSpec("events", {"dim": 8}), [Ids(None, 50), Ids(None, 20)]).parameters
        560
    """

    family = "events"
    reference = "Antoniades et al. 2023, Neuroformer (2311.00136)"

    def __init__(self, ports: tuple[Port, ...], *, dim: int) -> None:
        super().__init__()
        units, bins = _read(ports)
        self.output = Tokens(units.length, whole("dim", dim))
        self.unit = nn.Embedding(units.vocabulary, dim)
        self.bin = nn.Embedding(bins.vocabulary, dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw both tables from a normal distribution of standard deviation 0.02."""
        for table in (self.unit, self.bin):
            nn.init.normal_(table.weight, std=0.02, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map units and bins (B, length) to tokens (B, length, dim)."""
        (units, mask), (bins, other) = (split(value) for value in inputs)
        tokens = self.unit(units) + self.bin(bins)
        return tokens if mask is None or other is None else Masked(tokens, mask & other)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Tokens of 16 numbers."""
        try:
            _read(ports)
        except PortError:
            return None
        return {"dim": 16}


def _read(ports: tuple[Port, ...]) -> tuple[Ids, Ids]:
    ids = [port for port in ports if isinstance(port, Ids)]
    if len(ports) != 2 or len(ids) != 2 or ids[0].length != ids[1].length:
        raise PortError(f"family `events` reads two Ids of one length, found ({', '.join(map(str, ports))})")
    return ids[0], ids[1]
