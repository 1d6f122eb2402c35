"""The family of tags: what a sample is tagged with, as learned tokens in front of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..context import Context
from ..module import Module, PortError
from ..ports import Ids, Masked, Port, Tokens, Value, split


class Tags(Module):
    """`[V[tag_1], ..., V[tag_n], x_1, ..., x_length]`: a learned token for each of a sample's tags, then its tokens.

    A tag is one vector wherever it occurs, so that combinations that were never seen together are made of what was.

    Args:
        ports: `Tokens`, and `Ids` with a sample's tags in an order that has a meaning (task, language, ...).

    Raises:
        PortError: other ports.

    Example:
        >>> from pathways.modules import Ids, ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("tags"), [Tokens(9, 16), Ids(3, 20)]).output
        Tokens(length=12, dim=16)
    """

    family = "tags"
    reference = "hierarchical tags: Chu et al. 2023, Qwen-Audio (2311.07919)"

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        tokens, tags = _read(ports)
        known = tokens.length is not None and tags.length is not None
        self.output = Tokens((tokens.length or 0) + (tags.length or 0) if known else None, tokens.dim)
        self.table = nn.Embedding(tags.vocabulary, tokens.dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the table from a normal distribution of standard deviation 0.02."""
        nn.init.normal_(self.table.weight, std=0.02, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map tokens (B, length, dim) and tags (B, n) to tokens (B, n + length, dim)."""
        (x, mask), (ids, other) = (split(value) for value in inputs)
        joined = torch.cat([self.table(ids), x], 1)
        if mask is None and other is None:
            return joined
        return Masked(joined, torch.cat([_real(ids, other), _real(x, mask)], 1))

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Nothing is to be configured."""
        try:
            _read(ports)
        except PortError:
            return None
        return {}


def _read(ports: tuple[Port, ...]) -> tuple[Tokens, Ids]:
    if len(ports) == 2 and isinstance(ports[0], Tokens) and isinstance(ports[1], Ids):
        return ports[0], ports[1]
    raise PortError(f"family `tags` reads Tokens and Ids, found ({', '.join(map(str, ports))})")


def _real(value: Tensor, mask: Tensor | None) -> Tensor:
    return torch.ones(value.shape[:2], dtype=torch.bool, device=value.device) if mask is None else mask
