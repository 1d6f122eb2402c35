"""Expert memory: a task's own read-out of shared experts, kept from layer to layer and offered as one more expert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import whole
from ..context import Context
from ..experts import Experts, expert_parts, mixed, run_of
from ..flops import product, rows
from ..module import Module, PortError
from ..ports import Masked, Port, Tokens, Value, Vector, split


class ExpertMemory(Module):
    """`M' = M + W y`, `y = sum_e g_e E_e(x) + g_M M`: what a task makes of a shared feature, layer after layer.

    Experts take a backbone's feature x apart; the gates put it together again for one task. They are
    `g = softmax([mean x; mean M] G)` for each sample, over the experts and the memory M, which flows from step to step:
    the output is the memory of the next layer, and the last one is what the task's head reads. In a first layer the
    memory is the feature itself. Tasks share experts by parts of one name (`expert0`, `expert1` and on), each task
    with a memory step of its own. `W` starts at zero, so that a memory starts as it came.

    Args:
        ports: `Vector(d)` or `Tokens(length, d)`, the feature; and the memory, of the same port, but in a first layer.
        experts: how many experts of its own; left out where they are parts.
        hidden: numbers inside each expert of its own; d where not given.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range, or does not go with the parts.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("expert_memory", {"experts": 3}), [Tokens(4, 8), Tokens(4, 8)]).output
        Tokens(length=4, dim=8)
    """

    family = "expert_memory"
    reference = "Ye and Xu 2023 (2307.15324), sections 3.2 to 3.4"

    def __init__(
        self, ports: tuple[Port, ...], *, experts: int | None = None, hidden: int | None = None,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if len(ports) not in (1, 2) or not isinstance(ports[0], (Vector, Tokens)) or len(set(ports)) > 1:
            found = ", ".join(map(str, ports))
            raise PortError(f"family `expert_memory` reads Vector or Tokens, and a memory alike, found ({found})")
        port = ports[0]
        dim = port.dim
        self.parts = expert_parts(parts or {}, Vector(dim), dim)
        if self.parts and (experts is not None or hidden is not None):
            raise ValueError("`experts` and `hidden` must be left out where experts are parts, found them: drop them.")
        if self.parts and sorted(self.parts) != list(range(len(self.parts))):
            raise ValueError(f"`parts` must be named `expert0`, `expert1` and on, found numbers {sorted(self.parts)}.")
        count = len(self.parts) or whole("experts", experts)
        width = whole("hidden", dim if hidden is None else hidden)
        self.experts = None if self.parts else Experts(count, dim, width, dim)
        self.gate = nn.Linear(len(ports) * dim, count + 1)
        self.update = nn.Linear(dim, dim)
        self.output = port
        one = sum(part.flops() for part in self.parts.values())
        if self.experts is not None:
            one = count * self.experts.flops()
        gate = product(1, self.gate.in_features, self.gate.out_features)
        self._flops = rows(port) * (one + product(1, dim, dim)) + gate

    def initialise(self, generator: torch.Generator) -> None:
        """Draw experts and gates of variance 1/fan-in; what is written to the memory starts at zero."""
        if self.experts is not None:
            self.experts.initialise(generator)
        nn.init.normal_(self.gate.weight, std=self.gate.in_features**-0.5, generator=generator)
        nn.init.zeros_(self.gate.bias)
        nn.init.zeros_(self.update.weight)
        nn.init.zeros_(self.update.bias)

    def gates(self, *inputs: Any) -> Tensor:
        """The weights of the experts and, last, of the memory (B, experts + 1); each row sums to 1."""
        return self.gate(torch.cat([_mean(value) for value in inputs], 1)).softmax(1)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, d) or (B, length, d), and a memory of that shape, to the next memory."""
        x, mask = split(inputs[0])
        weights = self.gates(*inputs)
        each = weights if x.ndim == 2 else weights[:, None].expand(-1, x.shape[1], -1).flatten(0, 1)
        run = self.experts.run() if self.experts is not None else run_of(self.parts, context)
        y = mixed(x.flatten(0, -2), each, run, x.shape[-1]).reshape(x.shape)
        memory, _ = split(inputs[-1])
        share = weights[:, -1].reshape(-1, *[1] * (x.ndim - 1))
        y = memory + self.update(y + share * memory)
        return y if mask is None else Masked(y, mask)

    def flops(self) -> int:
        """All experts, the gates and the update of the memory."""
        return self._flops

    @classmethod
    def part_ports(cls, ports: tuple[Port, ...], config: Mapping[str, Any]) -> Callable[[str], tuple[Port, ...]]:
        """Experts read one vector."""
        return lambda name: (Vector(ports[0].dim),)  # type: ignore[attr-defined]

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Two experts; what stands last of the ports passes through unchanged at the start."""
        fits = len(ports) in (1, 2) and isinstance(ports[0], (Vector, Tokens)) and len(set(ports)) == 1
        return {"experts": 2} if fits else None


def _mean(value: Value) -> Tensor:
    """(B, d): a vector, or the mean of real tokens."""
    x, mask = split(value)
    if x.ndim == 2:
        return x
    if mask is None:
        return x.mean(1)
    return x.masked_fill(~mask[..., None], 0.0).sum(1) / mask.sum(1, keepdim=True)
