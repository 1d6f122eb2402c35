"""Learned keys and values that a frozen block of attention reads beside its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import whole
from ..flops import product, rows
from ..module import Delta, Module
from ..ports import Value
from .sites import needs


class Prefix(Delta):
    """`mixed + gate * softmax(query keys^T / sqrt(d)) values`, with a gate for each head that is zero at the start.

    Its neutral condition is `gate` = 0. A prefix inside one softmax with the host's keys has no exact neutral
    condition but length 0, since it takes weight from them; here it has a softmax of its own behind a gate.

    Args:
        host: a block of attention, with the sites `query` and `mixed`.
        length: how many keys and values each head gets.

    Raises:
        ValueError: the host has no such sites, or `length` is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(5, 8),))
        >>> facts(ModuleSpec("prefix", {"length": 3}), [], host=host).parameters  # 24 + 24 + 2
        50
    """

    family = "prefix"
    reference = "Li and Liang 2021 (2101.00190), section 4; gate: Zhang et al. 2023 (2303.16199), section 3.2"

    def __init__(self, host: Module, *, length: int) -> None:
        super().__init__()
        needs(host, "query", "mixed")
        port = host.site_ports["normed"]
        heads, dim = int(host.heads), port.dim  # type: ignore[attr-defined,arg-type]
        self.keys = nn.Parameter(torch.empty(heads, whole("length", length), dim // heads))
        self.values = nn.Parameter(torch.empty(heads, length, dim // heads))
        self.gate = nn.Parameter(torch.empty(heads))
        self._flops = 2 * product(rows(port), dim, length)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw keys and values from a standard normal distribution; set the gates to zero."""
        nn.init.normal_(self.keys, generator=generator)
        nn.init.normal_(self.values, generator=generator)
        nn.init.zeros_(self.gate)

    def inside(self, *condition: Value) -> Mapping[str, Callable[[Any], Any]]:
        """Note the queries (B, heads, length, d), then add what they read of the prefix to what they read else."""
        queries: list[Tensor] = []

        def note(query: Tensor) -> Tensor:
            queries.append(query)
            return query

        def add(mixed: Tensor) -> Tensor:
            scores = queries[-1] @ self.keys.transpose(-1, -2) * self.keys.shape[-1] ** -0.5
            return mixed + self.gate[:, None, None] * (scores.softmax(-1) @ self.values)

        return {"query": note, "mixed": add}

    def flops(self) -> int:
        """Scores and their sum of values, for each query."""
        return self._flops

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """Four keys and values a head, in blocks of attention."""
        return {"length": 4} if {"query", "mixed"} <= set(host.sites) and hasattr(host, "heads") else None
