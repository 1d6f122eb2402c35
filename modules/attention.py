"""What blocks with attention share: the layer, and how many heads fit."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .flops import product


class Attention(nn.Module):
    """Multi-head attention of one sequence to another: `project(softmax(Q K^T / sqrt(d)) V)`.

    Args:
        dim: of the tokens that ask, and of the output; `heads` divides it.
        memory_dim: of the tokens that are read.
        heads: attention heads.
    """

    def __init__(self, dim: int, memory_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(memory_dim, 2 * dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, x: Tensor, memory: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Map (B, length, dim) and (B, places, memory dim) to (B, length, dim).

        `allowed`, broadcast to (B, heads, length, places), is true where a place may be read.
        """
        query = self._per_head(self.query(x))
        key, value = (self._per_head(part) for part in self.key_value(memory).chunk(2, dim=-1))
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return self.project(y.transpose(1, 2).flatten(2))

    def _per_head(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def flops(self, rows: int, places: int) -> int:
        """The projections and the two products of attention."""
        dim, memory = self.query.in_features, self.key_value.in_features
        projections = 2 * product(rows, dim, dim) + product(places, memory, 2 * dim)
        return projections + 2 * product(rows, dim, places)


def causal_mask(length: int, mask: Tensor | None, device: torch.device) -> Tensor:
    """Which places each place of one sequence may read: itself, and the real ones before it.

    Args:
        length: of the sequence.
        mask: (B, length), true where a place is real; `None` where all are.
        device: where the result is to be.

    Returns:
        (1 or B, 1, length, length).
    """
    before = torch.ones(length, length, dtype=torch.bool, device=device).tril()
    if mask is None:
        return before[None, None]
    # Each place may read itself: padding before the first real one would become NaN.
    itself = torch.eye(length, dtype=torch.bool, device=device)
    return (mask[:, None, None, :] & before) | itself


def draw_residual(layers: nn.Module, scaled: tuple[nn.Module, ...], scale: float, generator: torch.Generator) -> None:
    """Draw the linear layers inside `layers` with variance 1/fan-in; those that write to the residual stream scaled.

    Biases are zero and norms neutral.
    """
    for layer in layers.modules():
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            if layer in scaled:
                with torch.no_grad():
                    layer.weight.mul_(scale)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.LayerNorm):
            layer.reset_parameters()


def fitting_heads(dim: int) -> int:
    """The most heads, up to four, that divide `dim`.

    >>> fitting_heads(32), fitting_heads(6), fitting_heads(7)
    (4, 3, 1)
    """
    return next(heads for heads in (4, 3, 2, 1) if dim % heads == 0)
