"""The head for sequences: scores of classes at each place."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..checks import whole
from ..context import Context
from ..flops import nominal, product
from ..module import Module, one_port
from ..ports import Port, Tokens, Value, like, split


class SequenceHead(Module):
    """Scores of `classes` classes (before the softmax) for each token, all by the same weights.

    Args:
        ports: one `Tokens`; a mask passes through.
        classes: how many.

    Raises:
        PortError: another port.
        ValueError: `classes` is not a whole number of at least 1.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("sequence", {"classes": 3}), [Tokens(None, 4)]).output
        Tokens(length=None, dim=3)
    """

    family = "sequence"
    reference = "token classification: Devlin et al. 2019 (1810.04805), section 5.3"
    head = True

    def __init__(self, ports: tuple[Port, ...], *, classes: int) -> None:
        super().__init__()
        port = one_port(self.family, ports, Tokens)
        self.output = Tokens(port.length, whole("classes", classes))
        self.scores = nn.Linear(port.dim, classes)
        self._flops = product(nominal(port.length), port.dim, classes)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights at a standard deviation of 1/sqrt(d); set the biases to zero."""
        nn.init.normal_(self.scores.weight, std=self.scores.in_features**-0.5, generator=generator)
        nn.init.zeros_(self.scores.bias)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, d) to scores (B, length, classes)."""
        (value,) = inputs
        return like(value, self.scores(split(value)[0]))

    def flops(self) -> int:
        """One matrix product."""
        return self._flops
