"""Glue along the length of tokens: a length that is said to vary, and a shift by one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .context import Context
from .module import Module, PortError, one_port
from .ports import Masked, Port, Tokens, Value, like, split


class AnyLength(Module):
    """Tokens of a fixed length as tokens of a variable one, all of them real; a variable length stays as it is.

    What reads them can be one module wherever such tokens come from, however many there are.

    Args:
        ports: one `Tokens`.

    Raises:
        PortError: another port.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("any_length"), [Tokens(9, 16)]).output
        Tokens(length=None, dim=16)
    """

    family = "any_length"
    reference = "masks of padded places: Vaswani et al. 2017 (1706.03762), section 3.2.3"

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        self.output = Tokens(None, one_port(self.family, ports, Tokens).dim)

    def forward(self, *inputs: Any, context: Context) -> Masked:
        """Give (B, length, dim) its mask, where it has none."""
        x, mask = split(inputs[0])
        return Masked(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Nothing to set."""
        return {} if len(ports) == 1 and isinstance(ports[0], Tokens) else None


class ShiftRight(Module):
    """`y[i] = x[i - 1]`, and `y[0]` is the start: what a decoder reads, so that no place sees what it is to give.

    The first real place, and any that follows a padded one, gets the start. The last token is dropped.

    Args:
        ports: `Tokens`; and, where they begin with something, such as a task's token, `Tokens` of length 1 and the
            same dim. Without it the start is zero.

    Raises:
        PortError: other ports.

    Example:
        >>> import torch
        >>> from pathways.modules import Context, ModuleSpec, Tokens, build
        >>> shift = build(ModuleSpec("shift_right"), [Tokens(3, 1)], torch.Generator())
        >>> shift(torch.tensor([[[1.0], [2.0], [3.0]]]), context=Context()).flatten().tolist()
        [0.0, 1.0, 2.0]
    """

    family = "shift_right"
    reference = "Vaswani et al. 2017 (1706.03762), section 3.1; Kaiser et al. 2017 (1706.05137), section 2.4"

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        fits = len(ports) in (1, 2) and all(isinstance(port, Tokens) for port in ports)
        if not fits or (len(ports) == 2 and ports[1] != Tokens(1, ports[0].dim)):  # type: ignore[attr-defined]
            found = ", ".join(map(str, ports))
            raise PortError(f"family `shift_right` reads Tokens, and Tokens of length 1 and its dim, found ({found})")
        self.output = ports[0]

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim), and (B, 1, dim), to (B, length, dim), masked as the first."""
        x, mask = split(inputs[0])
        start: Tensor = split(inputs[1])[0] if len(inputs) == 2 else torch.zeros_like(x[:, :1])
        before = x[:, :-1]
        if mask is not None:
            before = torch.where(mask[:, :-1, None], before, start)
        return like(inputs[0], torch.cat([torch.zeros_like(x[:, :1]) + start, before], 1))

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Nothing to set."""
        return {} if len(ports) == 1 and isinstance(ports[0], Tokens) else None
