"""Glue: a weightless module that adds values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .context import Context
from .module import Module, PortError
from .ports import Masked, Port, Tokens, Value, split


class Add(Module):
    """The sum of values: a skip, or a task's code added to every token.

    A place of a variable length is real where it is in every input of variable length.

    Args:
        ports: one or more of one port; or `Tokens` of one dim, of which those of length 1 are added to every place
            of the others.

    Raises:
        PortError: no port, ids, or ports that differ otherwise.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("add"), [Tokens(None, 16), Tokens(1, 16)]).output
        Tokens(length=None, dim=16)
    """

    family = "add"
    reference = "codes: Lample and Conneau 2019 (1901.07291), language embeddings; skips: He et al. 2016 (1512.03385)"
    stacks = ("cpu", "cuda")

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        output = _sum(ports)
        if output is None:
            found = ", ".join(map(str, ports))
            raise PortError(f"family `add` reads values of one port, or Tokens of one length or 1, found ({found})")
        self.output = output

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, ...) each to their sum, in their order."""
        tensors, masks = zip(*map(split, inputs), strict=True)
        total, mask = tensors[0], None
        for tensor in tensors[1:]:
            total = total + tensor
        for own in (own for own in masks if own is not None):
            mask = own if mask is None else mask & own
        return total if mask is None else Masked(total, mask)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> dict[str, Any] | None:
        """It has no settings."""
        return None if _sum(ports) is None else {}


def _sum(ports: tuple[Port, ...]) -> Port | None:
    """The port of the sum; `None` where there is none."""
    if not ports or any(port.integer for port in ports):
        return None
    if all(port == ports[0] for port in ports):
        return ports[0]
    tokens = [port for port in ports if isinstance(port, Tokens)]
    lengths = {port.length for port in tokens if port.length != 1}
    if len(tokens) < len(ports) or len({port.dim for port in tokens}) > 1 or len(lengths) > 1:
        return None
    return replace(tokens[0], length=lengths.pop())
