"""Adaptive layer norm inside a frozen block: a condition scales, shifts and gates what its branches read and add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..adaln import numbers
from ..checks import whole
from ..flops import product
from ..module import Delta, Module
from ..ports import Port, Value, split
from .sites import Code, needs

BRANCHES = (("normed", "attended"), ("normed_ff", "transformed"))


class Modulation(Delta):
    """`x + (1 + g) * f(norm(x) * (1 + s) + b)` for each branch `f`; one linear map of the condition gives s, b and g.

    The map is zero at the start, its neutral condition: the host's output. (`adaln` has `g` without the 1, so that a
    new block starts as the identity. A frozen block would lose what it knows, so that here it starts as it is.)
    A new condition is a new value, and adds no parameters.

    Args:
        host: a block with the sites `normed`, `attended`, `normed_ff` and `transformed`.
        ports: the condition: one `Vector`, or `Tokens` of fixed length, end to end, such as a noise level or a code.
        code: numbers in a learned code of its own, where no condition is read.

    Raises:
        PortError: another condition.
        ValueError: the host has no such sites, or `code` is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, Vector, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(6, 8),))
        >>> facts(ModuleSpec("modulation"), [Vector(3)], host=host).parameters  # (3 + 1) * 6 * 8
        192
    """

    family = "modulation"
    reference = "Peebles and Xie 2023 (2212.09748), section 3.2; film: Perez et al. 2018 (1709.07871)"

    def __init__(self, host: Module, ports: tuple[Port, ...] = (), *, code: int = 8) -> None:
        super().__init__()
        needs(host, *(site for branch in BRANCHES for site in branch))
        self.code = None if ports else Code(whole("code", code), {})
        self.width = host.site_ports["normed"].dim  # type: ignore[attr-defined]
        self.linear = nn.Linear(numbers(self.family, ports) if ports else code, 6 * self.width)
        self._flops = product(1, self.linear.in_features, self.linear.out_features) if ports else 0

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the own code; set the map to zero."""
        if self.code is not None:
            self.code.initialise(generator)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def inside(self, *condition: Value) -> Mapping[str, Callable[[Any], Any]]:
        """Scale and shift what each branch reads; gate what it adds."""
        c = self.code()[None] if self.code is not None else split(condition[0])[0].flatten(1)
        given = self.linear(c)[:, None].unflatten(-1, (6, self.width)).unbind(-2)  # (B, 1, width) each
        changes: dict[str, Callable[[Any], Any]] = {}
        for (before, after), (scale, shift, gate) in zip(BRANCHES, (given[:3], given[3:]), strict=True):
            changes[before] = _modulating(scale, shift)
            changes[after] = _modulating(gate, None)
        return changes

    def flops(self) -> int:
        """The linear map of a condition that is read."""
        return self._flops

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """With a code of its own, in blocks of attention."""
        return {"code": 4} if {site for branch in BRANCHES for site in branch} <= set(host.sites) else None


def _modulating(scale: Tensor, shift: Tensor | None) -> Callable[[Tensor], Tensor]:
    return lambda x: x * (1 + scale) + (0 if shift is None else shift)
