"""The transformer family: one pre-norm block of self-attention or cross-attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .attention import fitting_heads
from .checks import flag, number, whole
from .context import Context
from .flops import nominal, product
from .module import Module, PortError
from .ports import Port, Tokens, Value, like, split


class Transformer(Module):
    """`h = x + attend(norm(x), norm(memory)); h + down(gelu(up(norm(h))))`.

    With one input, tokens attend to one another (the memory is `x` under the same norm); with two, the first
    attends to the second. Padded places of the memory get no attention; each sample needs one real place.

    Deltas may change, at its sites: the `normed` tokens that attention reads; per head (B, heads, length, dim / heads)
    each `query` and what it reads (`mixed`); the `logits` (B, heads, length, places), which are formed only then; what
    is `attended` and `transformed`, the two branches that are added to `x`; the `normed_ff` tokens and the `inner`
    ones of the feed-forward part.

    Args:
        ports: `Tokens` to transform, and `Tokens` to read, if others; dims may differ.
        heads: attention heads; must divide the dim of the first port.
        ff: width of the feed-forward part, in multiples of the dim.
        causal: whether a token attends only to itself and those before it (self-attention only).
        residual_scale: factor on the initial weights that write into the residual stream; at 0 the block
            starts as the identity.
        parallel: whether attention and the feed-forward part read the same `x`, and both are added to it; the
            parameters are those of the serial form.

    Raises:
        PortError: not one or two `Tokens`.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("transformer", {"heads": 4}), [Tokens(4, 16), Tokens(None, 24)]).output
        Tokens(length=4, dim=16)
    """

    family = "transformer"
    reference = (
        "Vaswani et al. 2017 (1706.03762), section 3; pre-norm: Xiong et al. 2020 (2002.04745); "
        "parallel: Chowdhery et al. 2022 (2204.02311), section 2"
    )
    sites = ("normed", "query", "logits", "mixed", "attended", "normed_ff", "inner", "transformed")

    def __init__(
        self, ports: tuple[Port, ...], *, heads: int, ff: int = 4, causal: bool = False,
        residual_scale: float = 1.0, parallel: bool = False,
    ) -> None:
        super().__init__()
        tokens = [port for port in ports if isinstance(port, Tokens)]
        if len(ports) not in (1, 2) or len(tokens) != len(ports):
            found = ", ".join(map(str, ports))
            raise PortError(f"family `transformer` reads one or two Tokens, found ({found})")
        query, memory = tokens[0], tokens[-1]
        dim = query.dim
        if dim % whole("heads", heads):
            raise ValueError(f"`heads` must divide the dim {dim} of the tokens, found {heads}.")
        self.cross = len(ports) == 2
        if flag("causal", causal) and self.cross:
            raise ValueError("`causal` must be false where a second input is read, found true.")
        self.causal, self.heads, self.residual_scale = causal, heads, number("residual_scale", residual_scale)
        self.parallel = flag("parallel", parallel)
        self.norm = nn.LayerNorm(dim)
        self.norm_memory = nn.LayerNorm(memory.dim) if self.cross else None
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(memory.dim, 2 * dim)
        self.project = nn.Linear(dim, dim)
        self.norm_ff = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, whole("ff", ff) * dim)
        self.down = nn.Linear(ff * dim, dim)
        self.output = query
        self.site_ports = {site: query for site in ("normed", "attended", "normed_ff", "transformed")}
        self.site_ports["inner"] = replace(query, dim=ff * dim)
        rows, places = nominal(query.length), nominal(memory.length)
        projections = 2 * product(rows, dim, dim) + product(places, memory.dim, 2 * dim)
        self._flops = projections + 2 * product(rows, dim, places) + 2 * product(rows, dim, ff * dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in, scaled where they write into the residual stream."""
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                scale = self.residual_scale if layer in (self.project, self.down) else 1.0
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
                with torch.no_grad():
                    layer.weight.mul_(scale)
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.LayerNorm):
                layer.reset_parameters()

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim) and (B, places, memory dim) to (B, length, dim), masked as the first."""
        value = inputs[0]
        x, _ = split(value)
        normed = context.at(self, "normed", self.norm(x))
        memory, mask = split(inputs[-1])
        memory = normed if self.norm_memory is None else self.norm_memory(memory)
        attended = x + context.at(self, "attended", self._attend(normed, memory, mask, context))
        fed = x if self.parallel else attended
        inner = F.gelu(self.up(context.at(self, "normed_ff", self.norm_ff(fed))))
        return like(value, attended + context.at(self, "transformed", self.down(context.at(self, "inner", inner))))

    def _attend(self, x: Tensor, memory: Tensor, mask: Tensor | None, context: Context) -> Tensor:
        query = context.at(self, "query", self._per_head(self.query(x)))
        key, value = (self._per_head(part) for part in self.key_value(memory).chunk(2, dim=-1))
        allowed = None if mask is None else mask[:, None, None, :]
        causal = self.causal
        if causal and allowed is not None:
            # Each place may attend to itself: padding before the first real token would become NaN.
            square = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
            allowed = (allowed & square.tril()) | torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
            causal = False
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=allowed, is_causal=causal)
        if "logits" in context.changes.get(id(self), ()):
            y = y + self._shift(query, key, allowed, causal, context) @ value
        return self.project(context.at(self, "mixed", y).transpose(1, 2).flatten(2))

    def _shift(self, query: Tensor, key: Tensor, allowed: Tensor | None, causal: bool, context: Context) -> Tensor:
        """What deltas at `logits` add to the weights of attention: exactly zero where they change nothing.

        The fused kernels do not round as a softmax of logits does, so that this alone could not be exact.
        """
        logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if causal:
            allowed = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device).tril()
        if allowed is not None:
            logits = logits.masked_fill(~allowed, float("-inf"))
        return context.at(self, "logits", logits).softmax(-1) - logits.softmax(-1)

    def _per_head(self, x: Tensor) -> Tensor:
        """(B, length, dim) to (B, heads, length, dim / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def flops(self) -> int:
        """Projections, attention and the feed-forward part."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A block that starts as the identity."""
        tokens = [port for port in ports if isinstance(port, Tokens)]
        if len(ports) not in (1, 2) or len(tokens) != len(ports):
            return None
        return {"heads": fitting_heads(tokens[0].dim), "residual_scale": 0.0}
