"""The entropy router: a softmax gate with entropy losses for each modality, so that each uses several experts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import number
from ..context import Context
from ..flops import product
from ..module import Module, PortError
from ..ports import Port, Vector
from .gating import checked_k, entropy, fitting_gate, gate_dim, top_of, weight_of


class EntropyRouter(Module):
    """The `k` highest of `p = softmax(x W)`, as they are, with losses on the entropies of `p`.

    In training mode, for each modality m with rows i in the batch:
    `local mean_i H(p(e|x_i)) + balance max(0, log wanted_m - H(mean_i p(e|x_i)))`. The first makes the gate decided,
    the second spreads a modality over at least `wanted` experts and asks no more of it. Where the losses of load
    balance see only a batch's total, this one keeps a rare modality from ending in one expert.

    Without a second port all rows are of one modality: that of the path or step that they come from. A joint batch
    runs the paths of its tasks in turn, so that modalities that share experts, each in its own path, are told apart.

    Args:
        ports: one `Vector`; and where a batch mixes modalities, `Vector(modalities)`, the share that each row has in
            each; one-hot as a rule.
        experts: how many modules it weights.
        k: how many of them get a weight.
        wanted: the least number of experts of a modality; a list where modalities differ.
        local: weight of the local entropies.
        balance: weight of the global ones.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("entropy_router", {"experts": 8, "k": 1, "wanted": 4}), [Vector(10)])
        Facts(output=Vector(dim=8), parameters=80, buffers=0, flops=160)
    """

    family = "entropy_router"
    reference = "Mustafa et al. 2022 (2206.02770), section 2.2, equations 1 to 3"

    def __init__(
        self, ports: tuple[Port, ...], *, experts: int, k: int = 1, wanted: float | Sequence[float] = 2,
        local: float = 0.04, balance: float = 0.04,
    ) -> None:
        super().__init__()
        if len(ports) not in (1, 2) or (len(ports) == 2 and not isinstance(ports[1], Vector)):
            found = ", ".join(map(str, ports))
            raise PortError(f"family `entropy_router` reads a Vector, and a Vector of modalities, found ({found})")
        dim = gate_dim(self.family, ports[:1])
        modalities = ports[1].dim if len(ports) == 2 else 1  # type: ignore[attr-defined]
        self.k = self.active = checked_k(k, experts)
        each = list(wanted) if isinstance(wanted, Sequence) else [wanted] * modalities
        if len(each) != modalities or any(not 1 <= number("wanted", w) <= experts for w in each):
            rule = f"from 1 to {experts}, for each of {modalities} modalities"
            raise ValueError(f"`wanted` must be a number {rule}, found {wanted!r}.")
        self.thresholds = [math.log(w) for w in each]
        self.local, self.balance = weight_of("local", local), weight_of("balance", balance)
        self.gate = nn.Linear(dim, experts, bias=False)
        self.output = Vector(experts)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw a gate of variance 1/d."""
        nn.init.normal_(self.gate.weight, std=self.gate.in_features**-0.5, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to weights (B, experts), `k` of each row above zero."""
        p = self.gate(inputs[0].flatten(1)).softmax(1)
        if self.training and (self.local or self.balance):
            modality = inputs[1] if len(inputs) == 2 else p.new_ones(len(p), 1)
            context.add_loss("entropy", self._loss(p, modality))
        return top_of(p, self.k)

    def _loss(self, p: Tensor, modality: Tensor) -> Tensor:
        """The loss of rows p (B, experts) of which each has a share (B, modalities) in every modality."""
        modality = modality.clamp_min(0).to(p.dtype)
        count = modality.sum(0)
        shares = modality / count.clamp_min(1e-9)
        local = shares.T @ entropy(p)
        # A modality without rows has no mean: the entropy of nothing has no finite slope.
        spread = entropy((shares.T @ p).clamp_min(1e-9))
        short = torch.stack([(t - h).clamp_min(0) for t, h in zip(self.thresholds, spread, strict=True)])
        return ((self.local * local + self.balance * short) * (count > 0)).sum()

    def flops(self) -> int:
        """The gate; losses are of training."""
        return product(1, self.gate.in_features, self.gate.out_features)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """One of two experts, with one modality."""
        return fitting_gate(ports, wanted=2) if len(ports) == 1 else None
