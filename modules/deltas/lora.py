"""LoRA: a low-rank change of one of a frozen module's weights."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import number, whole
from ..module import Delta, Module


class LoRA(Delta):
    """`target + alpha / rank * (up @ down)`, with `up` zero at the start: the host's outputs are unchanged.

    Its neutral condition is `up` = 0. The product is formed once a forward pass and can be merged into the
    weight for good, so that it costs no FLOPs a sample (section 4.1 of the paper).

    Args:
        host: the module it changes; only the shapes of its parameters are read.
        rank: rank of the change, at most that of the target.
        target: the host's parameter to change, at least two-dimensional; a convolution's kernel is taken as a
            matrix (out, in * height * width).
        alpha: scale of the change.

    Raises:
        ValueError: the host has no parameter `target`, it is not a matrix, or a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> host = (ModuleSpec("linear", {"dim": 3}), (Vector(5),))
        >>> facts(ModuleSpec("lora", {"rank": 2}), [], host=host).parameters
        16
    """

    family = "lora"
    reference = "Hu et al. 2022 (2106.09685), section 4.1"

    def __init__(self, host: Module, *, rank: int, target: str = "linear.weight", alpha: float = 1.0) -> None:
        super().__init__()
        shape = target_shape(host, target)
        rows, columns = shape[0], prod(shape[1:])
        greatest = min(rows, columns)
        if whole("rank", rank) > greatest:
            raise ValueError(f"`rank` must be at most {greatest} for the target's {shape}, found {rank}.")
        self.target = target
        self.scale = number("alpha", alpha) / rank
        self.down = nn.Parameter(torch.empty(rank, columns))
        self.up = nn.Parameter(torch.empty(rows, rank))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw `down` from a normal distribution of variance 1/columns; set `up` to zero."""
        nn.init.normal_(self.down, std=self.down.shape[1] ** -0.5, generator=generator)
        nn.init.zeros_(self.up)

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters, `target` changed."""
        weight = host[self.target]
        return {**host, self.target: weight + self.scale * (self.up @ self.down).reshape(weight.shape)}

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """Rank 4, or as much as there is, on the host's queries, else on its first matrix."""
        shapes = {name: tuple(parameter.shape) for name, parameter in host.named_parameters() if parameter.ndim > 1}
        if not shapes:
            return None
        target = next((name for name in ("query.weight", "linear.weight") if name in shapes), next(iter(shapes)))
        rank = min(4, shapes[target][0], prod(shapes[target][1:]))
        return {"rank": rank, "target": target}


def target_shape(host: Module, target: str) -> tuple[int, ...]:
    """The shape of the host's parameter `target`, a matrix or a kernel; a `ValueError` says what there is."""
    shapes = {name: tuple(parameter.shape) for name, parameter in host.named_parameters()}
    if target not in shapes:
        raise ValueError(f"`target` must be a parameter of the host, one of {sorted(shapes)}, found {target!r}.")
    if len(shapes[target]) < 2:
        raise ValueError(
            f"`target` must have two or more dimensions, found {target!r} of shape {shapes[target]}."
        )
    return shapes[target]
