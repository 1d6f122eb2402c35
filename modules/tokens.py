"""The family of learned tokens: a source of values that reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .checks import whole
from .context import Context
from .module import Module, PortError
from .ports import Port, Tokens


class LearnedTokens(Module):
    """`length` learned vectors: queries of cross-attention, bottleneck or class tokens, a task embedding.

    Args:
        ports: none.
        length: how many tokens.
        dim: numbers in each.

    Raises:
        PortError: it is given an input.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, facts
        >>> facts(ModuleSpec("learned_tokens", {"length": 4, "dim": 16}), [])
        Facts(output=Tokens(length=4, dim=16), parameters=64, buffers=0, flops=0)
    """

    family = "learned_tokens"
    reference = (
        "queries: Jaegle et al. 2021 (2103.03206), section 3; "
        "bottleneck tokens: Nagrani et al. 2021 (2107.00135), section 3.2"
    )

    def __init__(self, ports: tuple[Port, ...], *, length: int, dim: int) -> None:
        super().__init__()
        if ports:
            raise PortError(f"family `learned_tokens` reads nothing, found ({', '.join(map(str, ports))})")
        self.output = Tokens(whole("length", length), whole("dim", dim))
        self.tokens = nn.Parameter(torch.empty(length, dim))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all tokens from a normal distribution of standard deviation 0.02."""
        nn.init.normal_(self.tokens, std=0.02, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """The tokens, as one sample (1, length, dim)."""
        return self.tokens.unsqueeze(0)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """Four tokens, for a step that reads nothing."""
        return None if ports else {"length": 4, "dim": 32}
