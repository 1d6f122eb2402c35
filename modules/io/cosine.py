"""The cosine family: how alike a vector is to each of a few learned ones, whatever their lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import number, whole
from ..context import Context
from ..flops import product
from ..module import Module, one_port
from ..ports import Port, Vector


class Cosine(Module):
    """`y[c] = scale x . w[c] / (|x| |w[c]|)`: between `-scale` and `scale`, so that scores of several heads compare.

    Args:
        ports: one `Vector`.
        classes: how many vectors.
        scale: of the scores.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("cosine", {"classes": 3}), [Vector(8)]).parameters
        24
    """

    family = "cosine"
    reference = "cosine classifier: Gidaris and Komodakis 2018 (1804.09458), section 3.2; 2103.00020, figure 3"

    def __init__(self, ports: tuple[Port, ...], *, classes: int, scale: float = 16.0) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector)
        self.scale = number("scale", scale)
        if self.scale <= 0:
            raise ValueError(f"`scale` must be above 0, found {scale}.")
        self.output = Vector(whole("classes", classes))
        self.weight = nn.Parameter(torch.empty(classes, port.dim))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw directions evenly."""
        nn.init.normal_(self.weight, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, d) to (B, classes)."""
        return self.scale * F.normalize(inputs[0], dim=1) @ F.normalize(self.weight, dim=1).T

    def flops(self) -> int:
        """One matrix product."""
        return product(1, self.weight.shape[1], self.weight.shape[0])

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """As many vectors as the input has numbers, scores of the size of a unit vector's numbers."""
        if len(ports) != 1 or not isinstance(ports[0], Vector):
            return None
        return {"classes": ports[0].dim, "scale": float(ports[0].dim ** 0.5)}
