"""Cross-attention alone, normalised behind the sum."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Any

import torch
from torch import Tensor, nn

from .checks import whole
from .context import Context
from .flops import nominal, product
from .module import Module, PortError
from .ports import Port, Tokens, Value, like, split


class CrossAttention(Module):
    """`norm(x + attend(x, memory))`: tokens look something up in others; there is no feed-forward part.

    Args:
        ports: `Tokens` that ask, and `Tokens` that are read; dims may differ.
        heads: attention heads; must divide the dim of the first port.

    Raises:
        PortError: not two `Tokens`.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("cross_attention", {"heads": 2}), [Tokens(4, 16), Tokens(None, 24)]).output
        Tokens(length=4, dim=16)
    """

    family = "cross_attention"
    reference = "Bakshandaeva et al. 2021, Fusion Brain (2111.10974); Vaswani et al. 2017 (1706.03762)"

    def __init__(self, ports: tuple[Port, ...], *, heads: int) -> None:
        super().__init__()
        query, memory = tokens_of(self.family, ports, 2)
        self.heads = divisor(heads, query.dim)
        self.query = nn.Linear(query.dim, query.dim)
        self.key_value = nn.Linear(memory.dim, 2 * query.dim)
        self.project = nn.Linear(query.dim, query.dim)
        self.norm = nn.LayerNorm(query.dim)
        self.output = query
        rows, places, dim = nominal(query.length), nominal(memory.length), query.dim
        attention = 2 * product(rows, dim, dim) + product(places, memory.dim, 2 * dim)
        self._flops = attention + 2 * product(rows, dim, places)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in; biases are zero."""
        draw(self, generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim) and (B, places, memory dim) to (B, length, dim), masked as the first."""
        (x, _), (memory, mask) = map(split, inputs)
        key, value = self.key_value(memory).chunk(2, -1)
        read, _ = attend(self.query(x), key, value, mask, self.heads)
        return like(inputs[0], self.norm(x + self.project(read)))

    def flops(self) -> int:
        """Projections and attention."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """As many heads as divide the dim, four at most."""
        fits = len(ports) == 2 and all(isinstance(port, Tokens) for port in ports)
        return {"heads": gcd(ports[0].dim, 4)} if fits else None  # type: ignore[attr-defined]


def tokens_of(family: str, ports: tuple[Port, ...], count: int) -> list[Tokens]:
    """So many `Tokens`; a `PortError` says what the family reads."""
    tokens = [port for port in ports if isinstance(port, Tokens)]
    if len(ports) != count or len(tokens) != count:
        number = {2: "two", 3: "three"}[count]
        raise PortError(f"family `{family}` reads {number} Tokens, found ({', '.join(map(str, ports))})")
    return tokens


def divisor(heads: int, dim: int) -> int:
    """`heads`, which divide `dim`."""
    if dim % whole("heads", heads):
        raise ValueError(f"`heads` must divide the dim {dim} of the tokens, found {heads}.")
    return heads


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, heads: int, gate: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`softmax(Q K^T / sqrt(d)) gate V`: what is read (B, length, dim), its weights (B, heads, length, places)."""
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
    weights = scores.softmax(-1)
    weights = weights if gate is None else weights * gate
    return (weights @ value).transpose(1, 2).flatten(2), weights


def draw(module: nn.Module, generator: torch.Generator) -> None:
    """Weights of variance 1/fan-in, zero biases, neutral norms."""
    for layer in module.children():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.LayerNorm):
            layer.reset_parameters()
