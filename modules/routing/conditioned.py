"""The conditioned router: a gate for what is known of a whole sample, such as its noise level; fusing what it chose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import flag, whole
from ..context import Context
from ..flops import product
from ..module import Module
from ..ports import Port, Vector
from .gating import checked_k, falling, fitting_gate, gate_dim, joined, top_of, uniform, weight_of


class ConditionedRouter(Module):
    """`k` experts by `p = softmax(gate(c))`: drawn from `p` in training, the highest in evaluation; renormalised.

    They are drawn without replacement, from the context's generator; without one the highest are taken. In training
    mode it adds the loss `balance * experts * sum_e f_e mean(p_e)`, where `f_e` is the share of the choices that fell
    on expert `e`; it is `balance` where all are equal. What it reads is a condition, not what the experts read: so the
    experts of a condition can be chosen, fused and kept (`fused`) before any sample comes.

    Args:
        ports: one or more `Vector`, or `Tokens` of length 1: a noise level, a learned code; they are joined.
        experts: how many modules it weights.
        k: how many of them get a weight.
        hidden: numbers in a layer `silu(c U + u)` before the gate, which a plain noise level needs; 0 is none.
        balance: weight of the loss.
        renormalise: whether the weights of those chosen sum to 1; else they are the softmax's own.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("conditioned_router", {"experts": 4, "k": 2}), [Vector(16)])
        Facts(output=Vector(dim=4), parameters=68, buffers=0, flops=128)
    """

    family = "conditioned_router"
    reference = "Reuss et al. 2024 (2412.12953), section 4; the loss: Fedus et al. 2022 (2101.03961), equations 4 to 6"

    def __init__(
        self, ports: tuple[Port, ...], *, experts: int, k: int = 2, hidden: int = 0, balance: float = 0.01,
        renormalise: bool = True,
    ) -> None:
        super().__init__()
        dim = gate_dim(self.family, ports)
        self.k = self.active = checked_k(k, experts)
        self.balance = weight_of("balance", balance)
        self.renormalise = flag("renormalise", renormalise)
        self.inner = nn.Linear(dim, hidden) if whole("hidden", hidden, 0) else None
        self.gate = nn.Linear(hidden or dim, experts)
        self.output = Vector(experts)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw weights of variance 1/fan-in, and the inner biases of variance 1; set the others to zero."""
        for layer in (self.inner, self.gate):
            if layer is not None:
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
        nn.init.zeros_(self.gate.bias)
        if self.inner is not None:
            # A single number is read at many places by layers that bend at different ones.
            nn.init.normal_(self.inner.bias, generator=generator)

    def probabilities(self, *inputs: Any) -> Tensor:
        """The softmax over all experts, (B, experts)."""
        c = joined(inputs)
        return self.gate(c if self.inner is None else F.silu(self.inner(c))).softmax(1)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, c) to weights (B, experts), `k` of each row above zero."""
        p = self.probabilities(*inputs)
        scores = p
        if self.training and context.generator is not None:
            # The k highest of `log p` plus Gumbel noise are k draws from p without replacement.
            scores = p.log() - (-uniform(p, context.generator).log()).log()
        if self.training and self.balance:
            chosen = torch.zeros_like(p).scatter(1, falling(scores)[1][:, : self.k], 1.0 / self.k)
            context.add_loss("balance", self.balance * p.shape[1] * (chosen.mean(0) * p.mean(0)).sum())
        return top_of(p, self.k, scores, renormalise=self.renormalise)

    def flops(self) -> int:
        """The gate, and the layer before it."""
        inner = 0 if self.inner is None else product(1, self.inner.in_features, self.inner.out_features)
        return inner + product(1, self.gate.in_features, self.gate.out_features)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """One of two experts, with a weight that its probability gives it."""
        return fitting_gate(ports, renormalise=False)
