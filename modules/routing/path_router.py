"""The path router: mixes whole paths, and starts with nearly all weight on the first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import number
from ..context import Context
from ..flops import product
from ..module import Module, PortError
from ..ports import Port, Vector


class PathRouter(Module):
    """`sum_p w_p z_p` with `w = softmax(norm(z_0) W + b)`: the scores of n paths, weighted by those of the first.

    `W` starts at zero and `b` so that `w_0` starts at `main` and the others share the rest. Gradients are decoupled:
    each `z_p` gets the gradient of `sum_p z_p`, whatever its weight, so that a path with little weight learns as fast
    as the first; the weights get theirs times `lr_mult`.

    Args:
        ports: two or more `Vector(d)`: the scores of path 0, and what connectors make of the other paths.
        main: the weight with which path 0 starts.
        lr_mult: factor on the router's gradients.

    Raises:
        PortError: fewer than two vectors, or of several dims.
        ValueError: a setting is out of range.

    Example:
        >>> import torch
        >>> from pathways.modules import Context, ModuleSpec, Vector, build
        >>> router = build(ModuleSpec("path_router"), [Vector(2)] * 3, torch.Generator().manual_seed(0))
        >>> first, other = torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2)
        >>> [round(x, 4) for x in router(first, other, other, context=Context())[0].tolist()]
        [0.8, 2.4]
    """

    family = "path_router"
    reference = "Gesmundo 2023 (2302.02721), section 2; code: google-research/muNet/mu4Net2.ipynb, `MultipathRouter`"

    def __init__(self, ports: tuple[Port, ...], *, main: float = 0.8, lr_mult: float = 0.05) -> None:
        super().__init__()
        if len(ports) < 2 or not isinstance(ports[0], Vector) or len(set(ports)) > 1:
            found = ", ".join(map(str, ports))
            raise PortError(f"family `path_router` reads two or more Vectors of one dim, found ({found})")
        if not 0 < number("main", main) < 1:
            raise ValueError(f"`main` must be between 0 and 1, found {main!r}.")
        if not 0 <= number("lr_mult", lr_mult) <= 1:
            raise ValueError(f"`lr_mult` must be from 0 to 1, found {lr_mult!r}.")
        self.main, self.lr_mult = main, lr_mult
        self.norm = nn.LayerNorm(ports[0].dim)
        self.gate = nn.Linear(ports[0].dim, len(ports))
        self.output = ports[0]

    def initialise(self, generator: torch.Generator) -> None:
        """Set the gate's weights to zero and its biases so that path 0 starts at `main`."""
        self.norm.reset_parameters()
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)
        with torch.no_grad():
            self.gate.bias[0] = math.log(self.main / (1 - self.main) * (self.gate.out_features - 1))

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map n times (B, d) to (B, d)."""
        weights = self.weights(inputs[0])
        weights = self.lr_mult * (weights - weights.detach()) + weights.detach()
        stacked = torch.stack(inputs, dim=2)
        mixed = (stacked.detach() * weights[:, None, :]).sum(2)
        total = stacked.sum(2)
        return mixed + (total - total.detach())  # the last is exactly zero, and carries the paths' gradient

    def weights(self, first: Tensor) -> Tensor:
        """The weight of each path, (B, n), from the scores of the first."""
        return self.gate(self.norm(first)).softmax(1)

    def flops(self) -> int:
        """The gate."""
        return product(1, self.gate.in_features, self.gate.out_features)

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """The settings of the paper, for two or more vectors of one dim."""
        return {} if len(ports) > 1 and isinstance(ports[0], Vector) and len(set(ports)) == 1 else None
