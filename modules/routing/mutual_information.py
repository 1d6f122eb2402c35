"""The router of tasks: a softmax gate whose loss ties experts to tasks by their mutual information."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..context import Context
from ..flops import product
from ..module import Module
from ..ports import Port, Vector
from .gating import checked_k, fitting_gate, gate_dim, joined, mutual_information, top_of, weight_of


class MutualRouter(Module):
    """The `k` highest of `p = softmax(x W)`, as they are, with the loss `-weight I(task; expert)` over a joint batch.

    `I = sum_{t,e} p(t,e) log p(t,e) / (p(t) p(e))`, where `p(e|t)` is the mean of `p` over what task t gives to its
    gate, and all tasks count alike. It is high where each task uses few experts and all experts are used. Each task of
    a joint batch runs its own path, with a gate of its own or with one that all share: those with the same `layer`
    belong together. A step that trains one task alone has no such loss.

    Args:
        ports: one or more `Vector`, or `Tokens` of length 1 such as a task's learned code; they are joined.
        experts: how many modules it weights.
        k: how many of them get a weight.
        weight: of the loss; 0 is off.
        layer: which gates' tasks are compared: one name for each layer of experts.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("mutual_router", {"experts": 4, "k": 2}), [Vector(16)])
        Facts(output=Vector(dim=4), parameters=64, buffers=0, flops=128)
    """

    family = "mutual_router"
    reference = "Chen et al. 2023 (2212.08066), section 3.3; heterogeneous training: 2306.17165, section 3"

    def __init__(
        self, ports: tuple[Port, ...], *, experts: int, k: int = 2, weight: float = 5e-4, layer: str = "layer",
    ) -> None:
        super().__init__()
        dim = gate_dim(self.family, ports)
        self.k = self.active = checked_k(k, experts)
        self.weight = weight_of("weight", weight)
        if not isinstance(layer, str) or not layer:
            raise ValueError(f"`layer` must be a name, found {layer!r}.")
        self.layer = layer
        self.gate = nn.Linear(dim, experts, bias=False)
        self.output = Vector(experts)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw a gate of variance 1/d."""
        nn.init.normal_(self.gate.weight, std=self.gate.in_features**-0.5, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to weights (B, experts), `k` of each row above zero."""
        p = self.gate(joined(inputs)).softmax(1)
        if self.training and self.weight:
            context.gather(f"mutual_information/{self.layer}", p.mean(0), partial(_loss, self.weight))
        return top_of(p, self.k)

    def flops(self) -> int:
        """The gate."""
        return product(1, self.gate.in_features, self.gate.out_features)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """One of two experts."""
        return fitting_gate(ports)


def _loss(weight: float, rows: list[Tensor]) -> Tensor:
    """`-weight I`, from p(e|t) of each task."""
    return -weight * mutual_information(torch.stack(rows))
