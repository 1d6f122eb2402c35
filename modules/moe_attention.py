"""The mixture of attention heads: each token attends through the few heads that a gate chooses for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import flag, whole
from .context import Context
from .flops import nominal, product
from .module import Module, one_port
from .ports import Masked, Port, Tokens, Value, Vector, split
from .routing.gating import falling
from .routing.noisy_topk import TopKRouter


class MoEAttention(Module):
    """`y = sum_e G_e(x) attend(x Q_e, K, V) O_e`: heads are experts; `x + y(norm(x))` where residual.

    All heads read the same keys `x K` and values `x V`; each has a query and an output projection of its own, which
    run on the tokens that the gate gives to it alone. The gate is that of `moe`: its own noisy top-k gate, or the part
    `router`. Residual, it starts as the identity. Padded places get no attention; each sample needs one real place.

    Args:
        ports: one `Tokens`.
        experts: how many heads there are.
        k: how many of them a token attends through, by a gate of its own; a part `router` says that itself.
        dim: numbers in a head's keys and values; where not given, the tokens' dim.
        balance: weight of its own gate's losses; 0 is off.
        residual: whether it normalises its input and adds to it.

    Raises:
        PortError: not one `Tokens`.
        ValueError: a setting is out of range, or does not go with the part.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("moe_attention", {"experts": 4, "k": 2, "dim": 4}), [Tokens(5, 8)]).parameters
        392
    """

    family = "moe_attention"
    reference = "Zhang et al. 2022 (2210.05144), section 3; in a net of many tasks: Chen et al. 2023 (2212.08066)"

    def __init__(
        self, ports: tuple[Port, ...], *, experts: int, k: int | None = None, dim: int | None = None,
        balance: float = 0.01, residual: bool = False, parts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        port: Tokens = one_port(self.family, ports, Tokens)
        width = port.dim
        head = whole("dim", width if dim is None else dim)
        if parts and set(parts) != {"router"}:
            raise ValueError(f"`parts` must be a `router` alone, found {sorted(parts)}.")
        self.held: dict[str, Module] = dict(parts or {})
        if self.held and k is not None:
            raise ValueError(f"`k` must be left out with a part `router`, which says it, found {k}.")
        gate = {} if self.held else {"experts": whole("experts", experts), "k": whole("k", k), "balance": balance}
        self.own = TopKRouter((Vector(width),), **gate) if gate else None  # type: ignore[arg-type]
        if self.router.output != Vector(whole("experts", experts)):
            raise ValueError(f"`router` must give {Vector(experts)}, one weight a head, found {self.router.output}.")
        self.k = self.router.active or experts
        self.norm = nn.LayerNorm(width) if flag("residual", residual) else None
        self.key_value = nn.Linear(width, 2 * head)
        self.query = nn.Parameter(torch.empty(experts, head, width))
        self.project = nn.Parameter(torch.empty(experts, width, head))
        self.output = port
        places = nominal(port.length)
        heads = 2 * product(places, width, head) + 2 * product(places, head, places)
        shared = product(places, width, 2 * head) + places * self.router.flops()
        self._flops = shared + self.k * heads

    @property
    def router(self) -> Module:
        """The gate."""
        return self.held["router"] if self.own is None else self.own

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in; where residual, set what writes into the stream to zero."""
        for weight in (self.key_value.weight, self.query, self.project):
            nn.init.normal_(weight, std=weight.shape[-1] ** -0.5, generator=generator)
        nn.init.zeros_(self.key_value.bias)
        if self.norm is not None:
            self.norm.reset_parameters()
            nn.init.zeros_(self.project)
        if self.own is not None:
            self.own.initialise(generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, d) to the same, masked as it was."""
        x, mask = split(inputs[0])
        normed = x if self.norm is None else self.norm(x)
        real = None if mask is None or torch.compiler.is_compiling() else mask
        rows = normed.flatten(0, 1) if real is None else normed[real]
        weights = self.router(rows, context=context)
        chosen = falling(weights)[1][:, : self.k]
        queries = self._per_token(rows[:, None].expand(-1, self.k, -1), chosen, self.query)
        attended = self._attend(_placed(queries, x, real), normed, mask)
        attended = attended.flatten(0, 1) if real is None else attended[real]
        outputs = self._per_token(attended, chosen, self.project)
        y = _placed((weights.gather(1, chosen)[..., None] * outputs).sum(1), x, real)
        y = y if self.norm is None else x + y
        return y if mask is None else Masked(y, mask)

    def _attend(self, queries: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of (B, length, k, head) to the keys and values of all tokens."""
        keys, values = self.key_value(memory).chunk(2, dim=-1)
        shape = (-1, self.k, -1, -1)
        allowed = None if mask is None else mask[:, None, None, :]
        return F.scaled_dot_product_attention(
            queries.transpose(1, 2), keys[:, None].expand(*shape), values[:, None].expand(*shape), attn_mask=allowed
        ).transpose(1, 2)

    def _per_token(self, x: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Each of (n, k, inputs) times the weights (experts, outputs, inputs) of its expert, one expert at a time."""
        if torch.compiler.is_compiling():
            return torch.einsum("nki,nkoi->nko", x, weights[chosen])
        result = x.new_zeros(*chosen.shape, weights.shape[1])
        for e in range(len(weights)):
            where = (chosen == e).nonzero(as_tuple=True)
            if len(where[0]):
                result = result.index_put(where, F.linear(x[where], weights[e]).to(result.dtype))
        return result

    def flops(self) -> int:
        """The gate, keys and values, and k heads for each token."""
        return self._flops

    @classmethod
    def part_ports(cls, ports: tuple[Port, ...], config: Mapping[str, Any]) -> Callable[[str], tuple[Port, ...]]:
        """The router reads one token."""
        return lambda name: (Vector(ports[0].dim),)  # type: ignore[attr-defined]

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Two of four heads, residual."""
        fits = len(ports) == 1 and isinstance(ports[0], Tokens)
        return {"experts": 4, "k": 2, "dim": max(1, ports[0].dim // 4), "residual": True} if fits else None  # type: ignore[attr-defined]


def _placed(rows: Tensor, x: Tensor, real: Tensor | None) -> Tensor:
    """Rows (n, ...), one for each real token of x (B, length, d), as (B, length, ...); zero at others."""
    if real is None:
        return rows.unflatten(0, x.shape[:2])
    return rows.new_zeros(*x.shape[:2], *rows.shape[1:]).index_put((real,), rows)
