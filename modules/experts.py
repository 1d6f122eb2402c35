"""Experts: many small networks of one shape, and how rows run through those that a gate has chosen for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .context import Context
from .flops import product
from .module import Module, activation_named
from .ports import Port, Vector


def mixed(rows: Tensor, weights: Tensor, run: Mapping[int, Callable[[Tensor], Tensor]], dim: int) -> Tensor:
    """`sum_e w_e E_e(x)` for each row, expert by expert; an expert sees only the rows that have a weight for it.

    In programs that are traced each expert sees all rows: how many it would get is not known there.

    Args:
        rows: (n, d).
        weights: (n, experts), zero for all experts but those that were chosen.
        run: the experts by number; those that are not there give nothing.
        dim: numbers in what they give.

    Returns:
        (n, dim).
    """
    if torch.compiler.is_compiling():
        outputs = [weights[:, e, None] * expert(rows) for e, expert in run.items()]
        return torch.stack(outputs).sum(0) if outputs else rows.new_zeros(len(rows), dim)
    total = rows.new_zeros(len(rows), dim)
    for e, expert in run.items():
        chosen = weights[:, e].detach().ne(0).nonzero().flatten()
        if len(chosen):
            output = weights[chosen, e, None] * expert(rows[chosen])
            total = total.index_add(0, chosen, output.to(total.dtype))
    return total


class Experts(nn.Module):
    """`count` networks `down(activation(up(x)))` of one shape, their weights stacked.

    Args:
        count: how many.
        inputs, hidden, outputs: numbers in what one reads, holds and gives.
        activation: see `linear`.
    """

    def __init__(self, count: int, inputs: int, hidden: int, outputs: int, activation: str = "gelu") -> None:
        super().__init__()
        self.count, self.kind, self.activation = count, activation, activation_named(activation)
        self.up = nn.Parameter(torch.empty(count, hidden, inputs))
        self.down = nn.Parameter(torch.empty(count, outputs, hidden))
        # Biases have one axis, so that weight decay leaves them out.
        self.up_bias = nn.Parameter(torch.empty(count * hidden))
        self.down_bias = nn.Parameter(torch.empty(count * outputs))

    def initialise(self, generator: torch.Generator, scale: float = 1.0) -> None:
        """Draw weights of variance 1/fan-in, `down` times `scale`; set biases to zero."""
        for weight in (self.up, self.down):
            nn.init.normal_(weight, std=weight.shape[2] ** -0.5, generator=generator)
        with torch.no_grad():
            self.down.mul_(scale)
        nn.init.zeros_(self.up_bias)
        nn.init.zeros_(self.down_bias)

    def biases(self) -> tuple[Tensor, Tensor]:
        """Those of `up` (count, hidden) and of `down` (count, outputs)."""
        return self.up_bias.view(self.count, -1), self.down_bias.view(self.count, -1)

    def one(self, e: int) -> Callable[[Tensor], Tensor]:
        """Expert `e`, from (n, inputs) to (n, outputs)."""
        before, after = self.biases()
        return lambda x: F.linear(self.activation(F.linear(x, self.up[e], before[e])), self.down[e], after[e])

    def run(self) -> dict[int, Callable[[Tensor], Tensor]]:
        """All of them by number, as `mixed` reads them."""
        return {e: self.one(e) for e in range(self.count)}

    def flops(self) -> int:
        """One expert, one row."""
        return product(1, self.up.shape[2], self.up.shape[1]) + product(1, self.up.shape[1], self.down.shape[1])


def expert_parts(parts: Mapping[str, Any], reads: Port, dim: int | None = None) -> dict[int, Module]:
    """The parts named `expert0`, `expert1` and on, by number.

    Raises:
        ValueError: their names are not such, or they do not all give vectors of one dim.
    """
    found: dict[int, Module] = {}
    for name in sorted(name for name in parts if name != "router"):
        number = name.removeprefix("expert")
        if not name.startswith("expert") or not number.isdecimal():
            raise ValueError(f"`parts` must be named `router`, `expert0`, `expert1` and on, found {name!r}.")
        found[int(number)] = parts[name]
    outputs = {str(module.output) for module in found.values()}
    wanted = next(iter(found.values())).output if found else reads
    if len(outputs) > 1 or not isinstance(wanted, Vector) or (dim is not None and wanted.dim != dim):
        rule = "a Vector of one dim" if dim is None else f"{Vector(dim)}"
        raise ValueError(f"`parts`: experts that read {reads} must all give {rule}, found {sorted(outputs)}.")
    return dict(sorted(found.items()))


def run_of(parts: Mapping[int, Module], context: Context) -> dict[int, Callable[[Tensor], Tensor]]:
    """Expert parts as `mixed` reads them."""
    return {e: partial(expert, context=context) for e, expert in parts.items()}
