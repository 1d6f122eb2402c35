"""The mixture of experts: each token, or vector, runs through the few experts that a gate chooses for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .checks import choice, flag, whole
from .context import Context
from .experts import Experts, expert_parts, mixed, run_of
from .flops import rows
from .module import Module, PortError
from .ports import Masked, Port, Tokens, Value, Vector, split
from .routing.gating import gate_dim, joined
from .routing.noisy_topk import TopKRouter

GATES = ("input", "condition", "both")


class MoE(Module):
    """`y = sum_e G_e(x) E_e(x)` on each token or vector `x`; `x + sum_e G_e(n) E_e(n)`, `n = norm(x)`, where residual.

    Each expert runs on the tokens that its weight is not zero for, one expert after another; in programs that are
    traced all run on all. The gate is the noisy top-k gate of `topk_router`, which spreads tokens by its losses, or
    the part `router`: any module that gives one weight an expert. Experts are networks `down(activation(up(x)))` of
    its own, or the parts `expert0`, `expert1` and on; one that is not among them gives nothing. A residual mixture
    with experts of its own starts as the identity. There is no limit to the tokens of an expert, so that samples of a
    batch do not see each other.

    Args:
        ports: `Vector(d)` or `Tokens(length, d)`; and, where the gate reads a condition, a `Vector` or `Tokens` of
            length 1 for each sample: a noise level, a task's code.
        experts: how many the gate weights; with expert parts, by default as many as the last one's number says.
        k: how many run for a token, by a gate of its own; a part `router` says that itself.
        gate: what the gate reads: `input`, the `condition` alone (all tokens of a sample then run through the same
            experts), or `both`; by default the condition, where there is one.
        hidden: numbers inside each expert of its own; d where not given.
        dim: numbers in each output vector; d where not given. Expert parts say it themselves.
        activation: inside its own experts, see `linear`.
        balance: weight of its own gate's losses; 0 is off.
        residual: whether it normalises its input and adds to it.

    Raises:
        PortError: other ports.
        ValueError: a setting is out of range, or does not go with the parts.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> sizes = {"experts": 4, "k": 2, "hidden": 16}
        >>> facts(ModuleSpec("moe", sizes), [Tokens(5, 8)])
        Facts(output=Tokens(length=5, dim=8), parameters=1184, buffers=0, flops=5440)
    """

    family = "moe"
    reference = (
        "Shazeer et al. 2017 (1701.06538), sections 2 to 4; gate on a condition: Reuss et al. 2024 (2412.12953), "
        "section 4; gate on both: Liang et al. 2022 (2210.14793), section 3.2"
    )

    def __init__(
        self, ports: tuple[Port, ...], *, experts: int | None = None, k: int | None = None, gate: str | None = None,
        hidden: int | None = None, dim: int | None = None, activation: str = "gelu", balance: float = 0.01,
        residual: bool = False, parts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        read = gate_ports(ports, gate)
        port = ports[0]
        inputs: int = port.dim  # type: ignore[attr-defined]
        self.gate = choice("gate", gate or ("condition" if len(ports) == 2 else "input"), GATES)
        parts = dict(parts or {})
        self.parts = expert_parts(parts, Vector(inputs))
        if self.parts and (hidden is not None or dim is not None):
            raise ValueError("`hidden` and `dim` must be left out where experts are parts, found them: drop them.")
        count = max(self.parts) + 1 if self.parts and experts is None else whole("experts", experts)
        if self.parts and max(self.parts) >= count:
            raise ValueError(f"`experts` must be above the number of each expert part, found {count}.")
        self.experts = None if self.parts else Experts(
            count, inputs, whole("hidden", inputs if hidden is None else hidden),
            whole("dim", inputs if dim is None else dim), activation,
        )
        self.dim = next(iter(self.parts.values())).output.dim if self.parts else dim or inputs  # type: ignore[attr-defined]
        if flag("residual", residual) and self.dim != inputs:
            raise ValueError(f"`residual` must be false where the experts give another dim, found {self.dim}.")
        self.norm = nn.LayerNorm(inputs) if residual else None
        self.held: dict[str, Module] = {name: module for name, module in parts.items() if name == "router"}
        self.own = None if self.held else TopKRouter(read, experts=count, k=whole("k", k), balance=balance)
        if self.held and k is not None:
            raise ValueError(f"`k` must be left out with a part `router`, which says it, found {k}.")
        if self.router.output != Vector(count):
            raise ValueError(f"`router` must give {Vector(count)}, one weight an expert, found {self.router.output}.")
        self.output = Tokens(port.length, self.dim) if isinstance(port, Tokens) else Vector(self.dim)
        self._rows = rows(port)

    @property
    def router(self) -> Module:
        """The gate."""
        return self.held["router"] if self.own is None else self.own

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the experts, their last layer zero where residual; set its own gate to zero."""
        if self.norm is not None:
            self.norm.reset_parameters()
        if self.experts is not None:
            self.experts.initialise(generator, 1.0 if self.norm is None else 0.0)
        if self.own is not None:
            self.own.initialise(generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, d) to (B, dim), or (B, length, d) to (B, length, dim), masked as it was."""
        x, mask = split(inputs[0])
        flat, weights, real = self._gated(inputs, context)
        run = self.experts.run() if self.experts is not None else run_of(self.parts, context)
        y = mixed(flat, weights, run, self.dim)
        if real is not None:
            y = y.new_zeros(*x.shape[:2], self.dim).masked_scatter(real[..., None], y)
        y = y.reshape(*x.shape[:-1], self.dim)
        y = y if self.norm is None else x + y
        return y if mask is None else Masked(y, mask)

    def weights(self, *inputs: Any, context: Context) -> Tensor:
        """The weights of all experts, (n, experts), for each vector or each real token of the batch, in order."""
        return self._gated(inputs, context)[1]

    def _gated(self, inputs: tuple[Any, ...], context: Context) -> tuple[Tensor, Tensor, Tensor | None]:
        """What the experts read (n, d), their weights (n, experts), and which tokens these are, if not all."""
        x, mask = split(inputs[0])
        x = x if self.norm is None else self.norm(x)
        real = None if mask is None or torch.compiler.is_compiling() else mask

        def each(value: Tensor) -> Tensor:
            """A value for each sample (B, c) as one for each row."""
            value = value.expand(x.shape[0], -1)
            if x.ndim == 2:
                return value
            value = value[:, None].expand(-1, x.shape[1], -1)
            return value.flatten(0, 1) if real is None else value[real]

        flat = x.flatten(0, -2) if real is None else x[real]
        if self.gate == "condition":
            return flat, each(self.router(joined(inputs[1:]), context=context)), real
        read = (flat,) if self.gate == "input" else (flat, each(joined(inputs[1:])))
        return flat, self.router(*read, context=context), real

    def active_share(self) -> float:
        """The share of its parameters that a token runs through, parts included."""
        router = self.router
        active = router.active or router.output.dim  # type: ignore[attr-defined]
        if self.experts is None:
            sizes = sorted((sum(p.numel() for p in part.parameters()) for part in self.parts.values()), reverse=True)
        else:
            sizes = [sum(p.numel() for p in self.experts.parameters()) // self.experts.count] * self.experts.count
        shared = sum(p.numel() for module in (self.norm, router) if module for p in module.parameters())
        return (shared + sum(sizes[:active])) / (shared + sum(sizes))

    def flops(self) -> int:
        """The gate, and as many experts as run for a token, the dearest of the parts."""
        router = self.router
        active = router.output.dim if router.active is None else router.active  # type: ignore[attr-defined]
        dearest = sorted((part.flops() for part in self.parts.values()), reverse=True)[:active]
        spent = sum(dearest) if self.experts is None else active * self.experts.flops()
        return self._rows * spent + (1 if self.gate == "condition" else self._rows) * router.flops()

    @classmethod
    def part_ports(cls, ports: tuple[Port, ...], config: Mapping[str, Any]) -> Callable[[str], tuple[Port, ...]]:
        """Experts read one vector, the router what `gate` says."""
        read = gate_ports(ports, config.get("gate"))
        return lambda name: read if name == "router" else (Vector(ports[0].dim),)  # type: ignore[attr-defined]

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Two of four experts, residual; with a second port the gate reads both."""
        try:
            gate_ports(ports, None)
        except PortError:
            return None
        both = {"gate": "both"} if len(ports) == 2 else {}
        return {"experts": 4, "k": 2, "residual": True, **both}


def gate_ports(ports: tuple[Port, ...], gate: str | None) -> tuple[Port, ...]:
    """What the gate of a mixture reads, given the mixture's ports; a `PortError` says what does not fit."""
    found = ", ".join(map(str, ports))
    if len(ports) not in (1, 2) or not isinstance(ports[0], (Vector, Tokens)):
        raise PortError(f"family `moe` reads Vector or Tokens, and a condition if one is given, found ({found})")
    if gate is not None and (gate == "input") != (len(ports) == 1):
        count = 1 if gate == "input" else 2
        raise PortError(f"family `moe` with the gate {gate!r} reads {count} ports, found ({found})")
    row = Vector(ports[0].dim)
    if len(ports) == 1:
        return (row,)
    condition = Vector(gate_dim("moe", ports[1:]))
    return (row, condition) if gate == "both" else (condition,)
