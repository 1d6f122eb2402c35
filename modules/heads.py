"""The heads: linear read-outs that end a path."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .checks import whole
from .context import Context
from .flops import product
from .module import Module, one_port
from .ports import Port, Vector


def _draw(linear: nn.Linear, generator: torch.Generator) -> None:
    """Weights of variance 1/d, so that the outputs of unit features start at unit scale; zero biases."""
    nn.init.normal_(linear.weight, std=linear.in_features**-0.5, generator=generator)
    nn.init.zeros_(linear.bias)


class Classifier(Module):
    """Scores of `classes` classes (before the softmax) from a vector. Pool or flatten anything else first.

    Args:
        ports: one `Vector`.
        classes: how many.

    Raises:
        PortError: another port.
        ValueError: `classes` is not a whole number of at least 1.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("classifier", {"classes": 3}), [Vector(4)]).parameters
        15
    """

    family = "classifier"
    reference = "logistic regression: Bishop 2006, Pattern recognition and machine learning, section 4.3.4"
    head = True
    stacks = ("cpu", "cuda")
    affine = ("linear", "none")

    def __init__(self, ports: tuple[Port, ...], *, classes: int) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector)
        self.output = Vector(whole("classes", classes))
        self.linear = nn.Linear(port.dim, classes)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights at a standard deviation of 1/sqrt(d); set the biases to zero."""
        _draw(self.linear, generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to scores (B, classes)."""
        return self.linear(inputs[0])

    def flops(self) -> int:
        """One matrix product."""
        return product(1, self.linear.in_features, self.linear.out_features)


class Regressor(Module):
    """`values` numbers from a vector. Pool or flatten anything else first.

    Args:
        ports: one `Vector`.
        values: how many.

    Raises:
        PortError: another port.
        ValueError: `values` is not a whole number of at least 1.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("regressor"), [Vector(4)]).output
        Vector(dim=1)
    """

    family = "regressor"
    reference = "linear regression: Bishop 2006, Pattern recognition and machine learning, section 3.1"
    head = True
    stacks = ("cpu", "cuda")
    affine = ("linear", "none")

    def __init__(self, ports: tuple[Port, ...], *, values: int = 1) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector)
        self.output = Vector(whole("values", values))
        self.linear = nn.Linear(port.dim, values)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights at a standard deviation of 1/sqrt(d); set the biases to zero."""
        _draw(self.linear, generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to (B, values)."""
        return self.linear(inputs[0])

    def flops(self) -> int:
        """One matrix product."""
        return product(1, self.linear.in_features, self.linear.out_features)
