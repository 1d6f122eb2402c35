"""The head for spans: where in a sequence a part begins and ends."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..context import Context
from ..flops import nominal, product
from ..module import Module, one_port
from ..ports import Port, Tokens, Value, like, split

NEVER = -1e4
"""The score of a padded place: its probability is exactly 0, and half precision can hold it."""


class Span(Module):
    """`start[i] = s . x[i] + a, end[i] = e . x[i] + b`: scores of beginning and of ending at each place.

    A softmax runs over places. The span is the pair with the highest sum whose end is not before its start, which
    `pathways.measure.best_spans` finds.

    Args:
        ports: one `Tokens`; padded places are never chosen.

    Raises:
        PortError: another port.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("span"), [Tokens(None, 4)]).output
        Tokens(length=None, dim=2)
    """

    family = "span"
    reference = "Devlin et al. 2019 (1810.04805), section 4.2; Seo et al. 2017 (1611.01603), section 2.6"
    head = True

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        port = one_port(self.family, ports, Tokens)
        self.output = Tokens(port.length, 2)
        self.scores = nn.Linear(port.dim, 2)
        self._flops = product(nominal(port.length), port.dim, 2)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights at a standard deviation of 1/sqrt(d); set the biases to zero."""
        nn.init.normal_(self.scores.weight, std=self.scores.in_features**-0.5, generator=generator)
        nn.init.zeros_(self.scores.bias)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, d) to scores (B, length, 2)."""
        (value,) = inputs
        x, mask = split(value)
        scores = self.scores(x)
        return scores if mask is None else like(value, scores.masked_fill(~mask[:, :, None], NEVER))

    def flops(self) -> int:
        """One matrix product."""
        return self._flops
