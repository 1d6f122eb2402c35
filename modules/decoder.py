"""The decoder family: one pre-norm block that attends to itself, then to what an encoder gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .attention import Attention, causal_mask, draw_residual, fitting_heads
from .checks import flag, number, whole
from .context import Context
from .flops import nominal, product
from .module import Module, PortError
from .ports import Port, Tokens, Value, like, split


class Decoder(Module):
    """`h = x + attend(norm(x)); h = h + attend(norm(h), norm(memory)); h + down(gelu(up(norm(h))))`.

    Each of the three parts writes into one residual stream. Padded places, of the tokens and of the memory, get no
    attention; each memory needs one real place.

    Deltas may change, at its sites, the three branches that are added: `self_attended`, `attended` and `transformed`,
    and the `inner` tokens of the feed-forward part.

    Args:
        ports: `Tokens` to transform, and the encoder's `Tokens`; dims may differ.
        heads: attention heads; must divide the dim of the first port.
        ff: width of the feed-forward part, in multiples of the dim.
        causal: whether a token attends only to itself and those before it.
        chained: whether the second attention asks with what the first gave, `y`, and not with `x + y`, so that
            `h = x + y + attend(norm(y), norm(memory))`, as in MultiModel.
        residual_scale: factor on the initial weights that write into the residual stream; at 0 the block starts as
            the identity.

    Raises:
        PortError: not two `Tokens`.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("decoder", {"heads": 4}), [Tokens(4, 16), Tokens(None, 24)]).output
        Tokens(length=4, dim=16)
    """

    family = "decoder"
    reference = (
        "Vaswani et al. 2017 (1706.03762), section 3.1; as MultiModel's attention block: "
        "Kaiser et al. 2017 (1706.05137), section 2.2"
    )
    sites = ("self_attended", "attended", "inner", "transformed")

    def __init__(
        self, ports: tuple[Port, ...], *, heads: int, ff: int = 4, causal: bool = True,
        chained: bool = False, residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        tokens = [port for port in ports if isinstance(port, Tokens)]
        if len(ports) != 2 or len(tokens) != 2:
            raise PortError(f"family `decoder` reads two Tokens, found ({', '.join(map(str, ports))})")
        query, memory = tokens
        dim = query.dim
        if dim % whole("heads", heads):
            raise ValueError(f"`heads` must divide the dim {dim} of the tokens, found {heads}.")
        self.causal, self.residual_scale = flag("causal", causal), number("residual_scale", residual_scale)
        self.chained = flag("chained", chained)
        self.norm_self = nn.LayerNorm(dim)
        self.attend_self = Attention(dim, dim, heads)
        self.norm = nn.LayerNorm(dim)
        self.norm_memory = nn.LayerNorm(memory.dim)
        self.attend = Attention(dim, memory.dim, heads)
        self.norm_ff = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, whole("ff", ff) * dim)
        self.down = nn.Linear(ff * dim, dim)
        self.output = query
        branches = dict.fromkeys(("self_attended", "attended", "transformed"), query)
        self.site_ports = {**branches, "inner": replace(query, dim=ff * dim)}
        rows = nominal(query.length)
        attention = self.attend_self.flops(rows, rows) + self.attend.flops(rows, nominal(memory.length))
        self._flops = attention + 2 * product(rows, dim, ff * dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in, scaled where they write into the residual stream."""
        writers = (self.attend_self.project, self.attend.project, self.down)
        draw_residual(self, writers, self.residual_scale, generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim) and (B, places, memory dim) to (B, length, dim), masked as the first."""
        (x, real), (memory, places) = split(inputs[0]), split(inputs[1])
        allowed = None if real is None else real[:, None, None, :]
        if self.causal:
            allowed = causal_mask(x.shape[1], real, x.device)
        normed = self.norm_self(x)
        own = context.at(self, "self_attended", self.attend_self(normed, normed, allowed))
        x = x + own
        readable = None if places is None else places[:, None, None, :]
        attended = self.attend(self.norm(own if self.chained else x), self.norm_memory(memory), readable)
        x = x + context.at(self, "attended", attended)
        inner = context.at(self, "inner", F.gelu(self.up(self.norm_ff(x))))
        return like(inputs[0], x + context.at(self, "transformed", self.down(inner)))

    def flops(self) -> int:
        """Projections, both attentions and the feed-forward part."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A block that starts as the identity."""
        tokens = [port for port in ports if isinstance(port, Tokens)]
        if len(ports) != 2 or len(tokens) != 2:
            return None
        return {"heads": fitting_heads(tokens[0].dim), "residual_scale": 0.0}
