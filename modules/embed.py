"""The embedding family: from ids to tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .checks import whole
from .context import Context
from .module import Module, one_port
from .ports import Ids, Port, Tokens, Value, like, split


class Embed(Module):
    """`token[id] + position[place]`: a learned vector for each id, and one for each place.

    Args:
        ports: one `Ids(length, vocabulary)`; a mask passes through.
        dim: numbers in each token.
        positions: how many places have a learned position; 0 is off. `None` is `length` where that is fixed,
            and off where it is variable: give the greatest length there.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range, or there are fewer positions than places.

    Example:
        >>> from pathways.modules import Ids, ModuleSpec, facts
        >>> facts(ModuleSpec("embed", {"dim": 8}), [Ids(5, 100)]).parameters
        840
    """

    family = "embed"
    reference = (
        "Bengio et al. 2003, A neural probabilistic language model; "
        "positions: Gehring et al. 2017 (1705.03122), section 3.1"
    )

    def __init__(self, ports: tuple[Port, ...], *, dim: int, positions: int | None = None) -> None:
        super().__init__()
        port = one_port(self.family, ports, Ids)
        places = whole("positions", (port.length or 0) if positions is None else positions, low=0)
        if port.length is not None and 0 < places < port.length:
            raise ValueError(f"`positions` must be 0 or at least the length {port.length}, found {places}.")
        self.output = Tokens(port.length, whole("dim", dim))
        self.token = _table(port.vocabulary, dim)
        self.position = _table(places, dim) if places else None

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map ids (B, length) to tokens (B, length, dim)."""
        (value,) = inputs
        ids, _ = split(value)
        tokens = self.token(ids)
        if self.position is None:
            return like(value, tokens)
        length = ids.shape[1]
        places = self.position.num_embeddings
        if length > places:
            raise ValueError(
                f"`positions` must be at least the greatest length, found {places} for a length of {length}: "
                f"cut the input or train with more positions."
            )
        return like(value, tokens + self.position(torch.arange(length, device=ids.device)))

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Tokens of 32 numbers, with positions where the length is fixed."""
        return {"dim": 32} if len(ports) == 1 and isinstance(ports[0], Ids) else None


def _table(rows: int, dim: int) -> nn.Embedding:
    # Weights are drawn later, from the module's seed; torch's own first draw loads a second's worth of code for it.
    return nn.Embedding.from_pretrained(torch.empty(rows, dim), freeze=False)
