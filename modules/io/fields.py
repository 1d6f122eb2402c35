"""The family of fields: a row of a table, each of whose fields becomes a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import whole
from ..context import Context
from ..module import Module, PortError
from ..ports import Ids, Port, Tokens, Vector

MOST = 256
"""Fields that evolution makes tokens of; more would make attention costly."""


class Fields(Module):
    """`token[f] = x[f] W[f] + b[f]` for each field: a number scales its vector, a category chooses one of its table.

    A field of a vector is a number, or a category that is one-hot in several entries, as tables are read; the
    category that training did not have is all zeros and gives `b[f]`. Categories may also come as ids.

    Args:
        ports: one `Vector`, one `Ids` of fixed length whose places are fields, or both in this order.
        dim: numbers in each token.
        widths: how many entries of the vector each field has, 1 for a number; each entry is a field when not given.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range, or the widths do not add up to the vector's dim.

    Example:
        >>> from pathways.modules import Ids, ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("fields", {"dim": 8, "widths": [1, 3, 1]}), [Vector(5), Ids(2, 10)]).output
        Tokens(length=5, dim=8)
    """

    family = "fields"
    reference = "feature tokenizer: Gorishniy et al. 2021 (2106.11959), section 3.3"

    def __init__(self, ports: tuple[Port, ...], *, dim: int, widths: Sequence[int] | None = None) -> None:
        super().__init__()
        vector, ids = _read(ports)
        entries = 0 if vector is None else vector.dim
        self.widths = [1] * entries if widths is None else [whole("widths", width) for width in widths]
        if sum(self.widths) != entries:
            raise ValueError(f"`widths` must add up to the {entries} entries of the vector, found {self.widths}.")
        places = 0 if ids is None or ids.length is None else ids.length
        self.vocabulary = 0 if ids is None else ids.vocabulary
        self.output = Tokens(len(self.widths) + places, whole("dim", dim))
        self.weight = nn.Parameter(torch.empty(entries, dim)) if entries else None
        self.table = nn.Embedding(places * self.vocabulary, dim) if places else None
        self.bias = nn.Parameter(torch.empty(len(self.widths) + places, dim))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights uniformly within 1/sqrt(dim)."""
        bound = self.bias.shape[1] ** -0.5
        for tensor in self.parameters():
            nn.init.uniform_(tensor, -bound, bound, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, entries) and ids (B, places) to tokens (B, fields, dim)."""
        tokens = [] if self.weight is None else [self._from_numbers(inputs[0], self.weight)]
        if self.table is not None:
            ids = inputs[-1]
            tokens.append(self.table(ids + self.vocabulary * torch.arange(ids.shape[1], device=ids.device)))
        return torch.cat(tokens, 1) + self.bias

    def _from_numbers(self, x: Tensor, weight: Tensor) -> Tensor:
        scaled = x.unsqueeze(-1) * weight
        if len(self.widths) == x.shape[1]:
            return scaled
        return torch.stack([field.sum(1) for field in scaled.split(self.widths, 1)], 1)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A token of 16 numbers for each entry and each place, if there are not too many."""
        try:
            vector, ids = _read(ports)
        except PortError:
            return None
        count = (0 if vector is None else vector.dim) + (0 if ids is None else ids.length or 0)
        return {"dim": 16} if count <= MOST else None


def _read(ports: Sequence[Port]) -> tuple[Vector | None, Ids | None]:
    """The vector and the ids among the ports."""
    vector = ports[0] if ports and isinstance(ports[0], Vector) else None
    rest = list(ports if vector is None else ports[1:])
    ids = rest.pop(0) if rest and isinstance(rest[0], Ids) and rest[0].length is not None else None
    if rest or not ports:
        found = ", ".join(map(str, ports))
        raise PortError(f"family `fields` reads one Vector, one Ids of fixed length or both, found ({found})")
    return vector, ids if isinstance(ids, Ids) else None
