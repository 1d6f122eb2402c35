"""The top-k router: a sparse gate that weights the modules of a step by the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..context import Context
from ..flops import product
from ..module import Module
from ..ports import Port, Vector
from .gating import (
    chances,
    checked_k,
    fitting_gate,
    gate_dim,
    joined,
    normal,
    softmax_of_top,
    squared_variation,
    weight_of,
)


class TopKRouter(Module):
    """The noisy top-k gate: softmax over the `k` highest of `H = x Wg + eps softplus(x Wn)`, zero elsewhere.

    `eps` is standard normal, drawn in training mode from the context's generator; without one there is no
    noise. In training mode it adds the loss `balance * (CV^2(importance) + CV^2(load))` over the batch:
    importance is each expert's sum of weights, load the smooth estimate of how many samples it gets. Load
    needs noise; without it, or with every expert chosen, only importance counts. Both gates start at zero, so
    that all experts start equal. Equal scores go to the expert that stands first.

    Args:
        ports: one or more `Vector`, or `Tokens` of length 1 such as a task's learned code; they are joined.
        experts: how many modules it weights.
        k: how many of them get a weight; at 1 the weight is always 1, and only the load has a gradient.
        balance: weight of the balance loss; 0 is off.

    Raises:
        PortError: another port, or none.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("topk_router", {"experts": 4, "k": 2}), [Vector(10)])
        Facts(output=Vector(dim=4), parameters=80, buffers=0, flops=80)
    """

    family = "topk_router"
    reference = "Shazeer et al. 2017 (1701.06538), equations 3 to 5, section 4 and appendix A"

    def __init__(self, ports: tuple[Port, ...], *, experts: int, k: int, balance: float = 0.01) -> None:
        super().__init__()
        dim = gate_dim(self.family, ports)
        self.experts, self.k, self.balance = experts, checked_k(k, experts), weight_of("balance", balance)
        self.gate = nn.Linear(dim, experts, bias=False)
        self.noise = nn.Linear(dim, experts, bias=False)
        self.output = Vector(experts)
        self.active = k

    def initialise(self, generator: torch.Generator) -> None:
        """Set both gates to zero."""
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.noise.weight)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to weights (B, experts), `k` of each row above zero, that sum to 1."""
        x = joined(inputs)
        clean = self.gate(x)
        noisy, deviation = clean, None
        if self.training and context.generator is not None:
            deviation = F.softplus(self.noise(x))
            noisy = clean + normal(clean, context.generator) * deviation
        weights = softmax_of_top(noisy, self.k)
        if self.training and self.balance > 0:
            loss = squared_variation(weights.sum(0))
            if deviation is not None and self.k < self.experts:
                loss = loss + squared_variation(chances(clean, noisy, deviation, self.k).sum(0))
            context.add_loss("balance", self.balance * loss)
        return weights

    def flops(self) -> int:
        """The gate; noise is drawn in training only."""
        return product(1, self.gate.in_features, self.gate.out_features)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """One of two experts."""
        return fitting_gate(ports)

