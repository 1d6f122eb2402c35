"""A block of attention that a condition modulates, and that starts as the identity."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import whole
from .context import Context
from .flops import nominal, product
from .module import Module, PortError
from .ports import Port, Tokens, Value, Vector, like, split


class AdaLN(Module):
    """`h = x + g1 * attend(norm(x) * (1 + s1) + b1)`, then `h + g2 * ff(norm(h) * (1 + s2) + b2)`.

    One linear map of the condition c gives s, b and g of both branches. It is zero at the start: the block is then
    exactly the identity, whatever c is. The norms have no weights of their own; padded tokens get no attention, and
    each sample needs one real token. A new condition (a noise level, a task's code) adds no parameters.

    Args:
        ports: `Tokens` to transform, then the condition: a `Vector`, or `Tokens` of fixed length, end to end.
        heads: attention heads; must divide the dim of the tokens.
        ff: width of the feed-forward part, in multiples of the dim.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, Vector, facts
        >>> facts(ModuleSpec("adaln", {"heads": 2}), [Tokens(5, 8), Vector(3)]).output
        Tokens(length=5, dim=8)
    """

    family = "adaln"
    reference = "Peebles and Xie 2023 (2212.09748), section 3.2 (adaLN-Zero); Reuss et al. 2024 (2412.12953)"

    def __init__(self, ports: tuple[Port, ...], *, heads: int, ff: int = 4) -> None:
        super().__init__()
        if len(ports) != 2 or not isinstance(ports[0], Tokens):
            raise PortError(f"family `adaln` reads Tokens and a condition, found ({', '.join(map(str, ports))})")
        port, dim = ports[0], ports[0].dim
        size = numbers(self.family, ports[1:])
        if dim % whole("heads", heads):
            raise ValueError(f"`heads` must divide the dim {dim} of the tokens, found {heads}.")
        self.heads = heads
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.modulate = nn.Linear(size, 6 * dim)
        self.attention = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.up = nn.Linear(dim, whole("ff", ff) * dim)
        self.down = nn.Linear(ff * dim, dim)
        self.output = port
        rows = nominal(port.length)
        branches = product(rows, dim, 4 * dim) + 2 * product(rows, dim, rows) + 2 * product(rows, dim, ff * dim)
        self._flops = product(1, size, 6 * dim) + branches

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in; set the map of the condition to zero."""
        for layer in (self.attention, self.project, self.up, self.down):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim) and (B, size) to (B, length, dim), masked as the first."""
        value, condition = inputs
        x, mask = split(value)
        s1, b1, g1, s2, b2, g2 = self.modulate(condition.flatten(1))[:, None].chunk(6, -1)
        x = x + g1 * self._attend(self.norm(x) * (1 + s1) + b1, mask)
        return like(value, x + g2 * self.down(F.gelu(self.up(self.norm(x) * (1 + s2) + b2))))

    def _attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.attention(x).chunk(3, -1)
        )
        allowed = None if mask is None else mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return self.project(mixed.transpose(1, 2).flatten(2))

    def flops(self) -> int:
        """The map of the condition, projections, attention and the feed-forward part."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> dict[str, Any] | None:
        """Few heads, for tokens and a condition of fixed size."""
        if len(ports) != 2 or not isinstance(ports[0], Tokens):
            return None
        try:
            numbers(cls.family, ports[1:])
        except PortError:
            return None
        return {"heads": next(heads for heads in (4, 2, 1) if ports[0].dim % heads == 0), "ff": 2}


def numbers(family: str, ports: tuple[Port, ...]) -> int:
    """How many numbers a condition of one vector or tokens of fixed length has; a `PortError` for others."""
    if len(ports) != 1 or not isinstance(ports[0], (Vector, Tokens)) or ports[0].variable:
        found = ", ".join(map(str, ports))
        raise PortError(f"family `{family}` has a Vector or Tokens of fixed length as its condition, found ({found})")
    return prod(size or 0 for size in ports[0].shape)
