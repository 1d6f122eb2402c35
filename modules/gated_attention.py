"""Gated attention: a cache in time decides how much is read of a cache in space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .checks import whole
from .context import Context
from .cross_attention import attend, divisor, draw, tokens_of
from .flops import nominal, product
from .module import Module, PortError
from .ports import Port, Tokens, Value, like, split


class GatedAttention(Module):
    """`h = x + attend(x, temporal)`, then `h + attend'(h, spatial)`: what was read in time gates what is read in space.

    The weight of a place in space is its own, times the weight that the step in time to which it belongs got (the mean
    over heads): what was not looked at in time is not looked at in space. Then a feed-forward part.

    Args:
        ports: `Tokens` that ask, the temporal cache, and the spatial cache, both `Tokens` of one dim.
        heads: attention heads; must divide the dim.
        places: how many places in space belong to each of the first steps in time; steps behind these have none.

    Raises:
        PortError: other ports, or a spatial cache of another length than `places` add up to.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> spec = ModuleSpec("gated_attention", {"heads": 2, "places": [9]})
        >>> facts(spec, [Tokens(4, 8), Tokens(6, 8), Tokens(9, 8)]).output
        Tokens(length=4, dim=8)
    """

    family = "gated_attention"
    reference = "Pramanik et al. 2019, OmniNet (1907.07804), section 3.2"

    def __init__(self, ports: tuple[Port, ...], *, heads: int, places: Sequence[int]) -> None:
        super().__init__()
        query, temporal, spatial = tokens_of(self.family, ports, 3)
        dim = query.dim
        if temporal.dim != dim or spatial.dim != dim:
            raise PortError(f"family `gated_attention` reads Tokens of one dim, found ({', '.join(map(str, ports))})")
        self.places = [whole("places", count) for count in places]
        short = temporal.length is not None and len(self.places) > temporal.length
        if not self.places or sum(self.places) != spatial.length or short:
            raise PortError(
                f"`places` of family `gated_attention` must add up to the spatial cache and be no more than the "
                f"temporal one is long, found {self.places} for {spatial} and {temporal}"
            )
        self.steps = [step for step, count in enumerate(self.places) for _ in range(count)]
        self.heads = divisor(heads, dim)
        self.norm, self.norm_space, self.norm_ff = (nn.LayerNorm(dim) for _ in range(3))
        self.query, self.query_space = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.key_value, self.key_value_space = nn.Linear(dim, 2 * dim), nn.Linear(dim, 2 * dim)
        self.project, self.project_space = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.output = query
        rows, steps, seen = nominal(query.length), nominal(temporal.length), spatial.length or 0
        own = 4 * product(rows, dim, dim) + 2 * product(rows, dim, 2 * dim)
        self._flops = own + product(steps + seen, dim, 2 * dim) + 2 * product(rows, dim, steps + seen)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in; biases are zero."""
        draw(self, generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim), (B, steps, dim) and (B, places, dim) to (B, length, dim), masked as the first."""
        (x, _), (temporal, mask), (spatial, seen) = map(split, inputs)
        key, value = self.key_value(temporal).chunk(2, -1)
        read, weights = attend(self.query(self.norm(x)), key, value, mask, self.heads)
        x = x + self.project(read)
        gate = weights.mean(1)[..., torch.tensor(self.steps, device=x.device)]
        key, value = self.key_value_space(spatial).chunk(2, -1)
        read, _ = attend(self.query_space(self.norm_space(x)), key, value, seen, self.heads, gate[:, None])
        x = x + self.project_space(read)
        return like(inputs[0], x + self.down(F.gelu(self.up(self.norm_ff(x)))))

    def flops(self) -> int:
        """Projections, both attentions and the feed-forward part."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """All places in space belong to the first step in time."""
        if len(ports) != 3 or not all(isinstance(port, Tokens) and port.dim == ports[0].dim for port in ports):  # type: ignore[attr-defined]
            return None
        length = ports[2].length  # type: ignore[attr-defined]
        return None if length is None else {"heads": gcd(ports[0].dim, 4), "places": [length]}  # type: ignore[attr-defined]
