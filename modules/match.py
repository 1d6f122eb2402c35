"""The match family: how alike two vectors are, learned by telling those that belong together from all others."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import number
from .context import Context
from .flops import product
from .module import Module, PortError
from .ports import Port, Vector


class Match(Module):
    """`s = exp(t) cos(a, b)`, with a learned `t`; in training it adds the symmetric contrastive loss of the batch.

    `loss = (CE(S, i) + CE(S^T, i)) / 2` with `S_ij = exp(t) cos(a_i, b_j)`: the b of each a is to be found among the
    batch, and the other way round. It is log B where nothing is known and 0 where every pair is found. What it gives
    for a sample depends on that sample alone. `exp(t)` is at most 100.

    Args:
        ports: two `Vector`s of one dim.
        temperature: `exp(-t)` at the start.
        weight: of the loss; 0 is off.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("match"), [Vector(8), Vector(8)])
        Facts(output=Vector(dim=1), parameters=1, buffers=0, flops=48)
    """

    family = "match"
    reference = "Radford et al. 2021, CLIP (2103.00020), section 2.3 and figure 3"

    def __init__(self, ports: tuple[Port, ...], *, temperature: float = 0.07, weight: float = 1.0) -> None:
        super().__init__()
        if len(ports) != 2 or not isinstance(ports[0], Vector) or ports[0] != ports[1]:
            raise PortError(f"family `match` reads two Vectors of one dim, found ({', '.join(map(str, ports))})")
        if not number("temperature", temperature) >= 0.01:
            raise ValueError(f"`temperature` must be at least 0.01, found {temperature!r}.")
        if number("weight", weight) < 0:
            raise ValueError(f"`weight` must be at least 0, found {weight!r}.")
        self.temperature, self.weight = float(temperature), weight
        self.scale = nn.Parameter(torch.empty(()))
        self.output = Vector(1)
        self._dim = ports[0].dim

    def initialise(self, generator: torch.Generator) -> None:
        """Set the temperature; nothing is drawn."""
        nn.init.constant_(self.scale, -log(self.temperature))

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) and (B, d) to (B, 1)."""
        a, b = (F.normalize(value, dim=1) for value in inputs)
        scale = self.scale.clamp(max=log(100.0)).exp()
        if self.training and self.weight > 0:
            scores = scale * a @ b.t()
            own = torch.arange(len(a), device=a.device)
            loss = (F.cross_entropy(scores, own) + F.cross_entropy(scores.t(), own)) / 2
            context.add_loss("contrastive", self.weight * loss)
        return scale * (a * b).sum(1, keepdim=True)

    def flops(self) -> int:
        """The two norms and the product of the two vectors."""
        return 3 * product(1, self._dim, 1)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Nothing to set."""
        return {} if len(ports) == 2 and isinstance(ports[0], Vector) and ports[0] == ports[1] else None
