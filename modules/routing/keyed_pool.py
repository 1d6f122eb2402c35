"""The keyed pool: each sample runs through the module whose key is nearest to a query that nothing trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import whole
from ..context import Context
from ..flops import product
from ..module import Module
from ..ports import Port, Vector
from .gating import fitting_gate, gate_dim, joined, top_of, weight_of


class KeyedPool(Module):
    """All weight to the module whose key has the highest cosine with the query: one key a module, learned by pull.

    In training mode the choice is by `cos(q, key_e) - penalty n_e / sum n`, where `n_e` counts how often module e was
    chosen in training, so that data of a new kind take a module that is free; and the loss
    `-pull mean cos(q, chosen key)` draws keys to their queries. No other gradient reaches the keys, and none the query.

    The query is meant to be the mean token embedding of a frozen net (`Step.gate` names that step): it then is the
    same whatever the modules learn. A key that stands for data that the net was trained on is set by `place`; its
    module is the net's own block, without a delta, and such data pass through it unmodified.

    Args:
        ports: one or more `Vector`; they are joined.
        experts: how many keys, one for each module that it weights.
        pull: weight of the loss that draws keys to queries.
        penalty: how much a module that was always chosen loses of its cosine; 0 is off.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("keyed_pool", {"experts": 30}), [Vector(16)])
        Facts(output=Vector(dim=30), parameters=480, buffers=30, flops=960)
    """

    family = "keyed_pool"
    reference = "Schmied et al. 2023 (2306.14884), section 3.3; counts: Wang et al. 2022 (2112.08654), section 4.3"
    active = 1

    def __init__(
        self, ports: tuple[Port, ...], *, experts: int, pull: float = 0.5, penalty: float = 0.5,
    ) -> None:
        super().__init__()
        dim = gate_dim(self.family, ports)
        self.pull, self.penalty = weight_of("pull", pull), weight_of("penalty", penalty)
        self.keys = nn.Parameter(torch.empty(whole("experts", experts), dim))
        self.counts: Tensor
        self.register_buffer("counts", torch.empty(experts))
        self.output = Vector(experts)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw keys of about unit length; nothing was chosen yet."""
        nn.init.normal_(self.keys, std=self.keys.shape[1] ** -0.5, generator=generator)
        nn.init.zeros_(self.counts)

    @torch.no_grad()
    def place(self, module: int, queries: Tensor) -> None:
        """Set the key of a module to the mean direction of queries (n, d), as if it had been chosen for each."""
        self.keys[module] = F.normalize(F.normalize(queries, dim=1).mean(0), dim=0)
        self.counts[module] += len(queries)

    def similarities(self, query: Tensor) -> Tensor:
        """The cosine of queries (B, d) with all keys, (B, experts)."""
        return F.normalize(query, dim=1) @ F.normalize(self.keys, dim=1).T

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to weights (B, experts): 1 for the module chosen, 0 for others."""
        cosine = self.similarities(joined(inputs).detach())
        if not self.training:
            return top_of(torch.ones_like(cosine), 1, cosine)
        used = self.counts / self.counts.sum().clamp_min(1)
        chosen = top_of(torch.ones_like(cosine), 1, cosine.detach() - self.penalty * used)
        self.counts.add_(chosen.sum(0))
        if self.pull:
            context.add_loss("pull", -self.pull * (chosen * cosine).sum(1).mean())
        return chosen

    def flops(self) -> int:
        """The cosines."""
        return product(1, self.keys.shape[1], self.keys.shape[0])

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Two keys."""
        found = fitting_gate(ports)
        return None if found is None else {"experts": found["experts"]}
