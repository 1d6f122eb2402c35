"""The family of task tokens: the hidden state of one token, for the head of its task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..context import Context
from ..module import Module, PortError, one_port
from ..ports import Port, Tokens, Vector, split


class TaskToken(Module):
    """`norm(x[place])`: what a head reads of a trunk is one token, so its gradient reaches the trunk only there.

    Args:
        ports: one `Tokens`.
        place: of the token; from the end where negative, which needs a fixed length.

    Raises:
        PortError: another port, or there is no such place.
        ValueError: `place` is not a whole number.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("task_token", {"place": -1}), [Tokens(9, 16)]).output
        Vector(dim=16)
    """

    family = "task_token"
    reference = "Yan et al. 2024, Task preference optimization (2412.19326)"

    def __init__(self, ports: tuple[Port, ...], *, place: int = 0) -> None:
        super().__init__()
        port = one_port(self.family, ports, Tokens)
        if type(place) is not int:
            raise ValueError(f"`place` must be a whole number, found {place!r}.")
        if not (-port.length <= place < port.length if port.length is not None else place >= 0):
            raise PortError(f"family `task_token` reads a token that is there, found place {place} of {port}")
        self.place = place
        self.output = Vector(port.dim)
        self.norm = nn.LayerNorm(port.dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Set the norm's gain to one and its shift to zero."""
        self.norm.reset_parameters()

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, length, d) to (B, d)."""
        return self.norm(split(inputs[0])[0][:, self.place])

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """The first token."""
        return {"place": 0} if len(ports) == 1 and isinstance(ports[0], Tokens) else None
