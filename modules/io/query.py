"""The query family: one learned question to the tokens for each output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import whole
from ..context import Context
from ..flops import nominal, product
from ..module import Module, one_port
from ..ports import Port, Tokens, Vector, split


class Query(Module):
    """`y[o] = w[o] . sum_i softmax_i(q[o] . K n(x[i]) / sqrt(d)) V n(x[i]) + b[o]`, `n` the layer norm.

    Each output attends to the tokens by a query of its own, which knows nothing of the others: outputs can be added
    without a change to those there are.

    Args:
        ports: one `Tokens`; padded places get no attention.
        outputs: how many numbers, each with its query.
        dim: of queries, keys and values; that of the tokens when not given.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("query", {"outputs": 3}), [Tokens(None, 8)]).output
        Vector(dim=3)
    """

    family = "query"
    reference = "output queries: Jaegle et al. 2022, Perceiver IO (2107.14795), section 3.2"

    def __init__(self, ports: tuple[Port, ...], *, outputs: int, dim: int | None = None) -> None:
        super().__init__()
        port = one_port(self.family, ports, Tokens)
        dim = whole("dim", port.dim if dim is None else dim)
        self.output = Vector(whole("outputs", outputs))
        self.norm = nn.LayerNorm(port.dim)
        self.queries = nn.Parameter(torch.empty(outputs, dim))
        self.key_value = nn.Linear(port.dim, 2 * dim)
        self.weight = nn.Parameter(torch.empty(outputs, dim))
        self.bias = nn.Parameter(torch.empty(outputs))
        places = nominal(port.length)
        self._flops = product(places, port.dim, 2 * dim) + 2 * product(outputs, dim, places)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw queries of unit scale and weights of variance 1/fan-in; set biases to zero."""
        self.norm.reset_parameters()
        dim = self.queries.shape[1]
        nn.init.normal_(self.queries, generator=generator)
        nn.init.normal_(self.key_value.weight, std=self.key_value.in_features**-0.5, generator=generator)
        nn.init.normal_(self.weight, std=dim**-0.5, generator=generator)
        nn.init.zeros_(self.key_value.bias)
        nn.init.zeros_(self.bias)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, length, d) to (B, outputs)."""
        x, mask = split(inputs[0])
        key, value = self.key_value(self.norm(x)).chunk(2, dim=-1)
        queries = self.queries.expand(x.shape[0], 1, -1, -1)
        allowed = None if mask is None else mask[:, None, None, :]
        # One head, said as an axis: exporters know no other form.
        read = F.scaled_dot_product_attention(queries, key[:, None], value[:, None], attn_mask=allowed)
        return (read[:, 0] * self.weight).sum(-1) + self.bias

    def flops(self) -> int:
        """Keys and values, and attention."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """As many outputs as a token has numbers."""
        return {"outputs": ports[0].dim} if len(ports) == 1 and isinstance(ports[0], Tokens) else None
