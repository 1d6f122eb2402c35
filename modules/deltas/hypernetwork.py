"""A network that makes the change of another network's weights from a code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import whole
from ..context import Context
from ..flops import product
from ..module import Delta, Module, one_port
from ..ports import Port, Vector
from .lora import target_shape
from .sites import Code


class WeightGenerator(Module):
    """A matrix from a code, row by row: `a = W1 z + b1`, one a_i for each row; `row_i = W2 a_i + b2`.

    `W2` and `b2` serve all rows, which is what makes the generator smaller than the matrices it makes. They are zero
    at the start, and so is what they make.

    Args:
        ports: one `Vector`, the code.
        rows: of the matrix.
        columns: of the matrix.
        hidden: numbers in each a_i.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("weight_generator", {"rows": 8, "columns": 6, "hidden": 4}), [Vector(3)]).output
        Vector(dim=48)
    """

    family = "weight_generator"
    reference = "Ha et al. 2017 (1609.09106), section 3.1, equation 2"

    def __init__(self, ports: tuple[Port, ...], *, rows: int, columns: int, hidden: int) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector)
        self.first = nn.Linear(port.dim, whole("rows", rows) * whole("hidden", hidden))
        self.second = nn.Linear(hidden, whole("columns", columns))
        self.output = Vector(rows * columns)
        self._flops = product(1, port.dim, rows * hidden) + product(rows, hidden, columns)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw `W1` with variance 1/fan-in; set the others to zero."""
        nn.init.normal_(self.first.weight, std=self.first.in_features**-0.5, generator=generator)
        for zero in (self.first.bias, self.second.weight, self.second.bias):
            nn.init.zeros_(zero)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, code) to (B, rows * columns)."""
        (z,) = inputs
        return self.second(self.first(z).unflatten(-1, (-1, self.second.in_features))).flatten(1)

    def flops(self) -> int:
        """The two layers."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """By itself, from one vector: as many numbers as it reads."""
        fits = len(ports) == 1 and isinstance(ports[0], Vector)
        return {"rows": ports[0].dim, "columns": 1, "hidden": 4} if fits else None  # type: ignore[attr-defined]


class HyperNetwork(Delta):
    """`target + reshape(generator(z))`: a code `z` of task or layer says how one of the host's weights changes.

    Its neutral condition is what a fresh generator makes of any code: zero. The change is formed once a forward
    pass and can be merged, so that it costs no FLOPs a sample. The first step reaches the generator's second layer;
    from then on the code has a gradient.

    Args:
        host: the module it changes; only the shapes of its parameters are read.
        target: the host's parameter to change, at least two-dimensional.
        code: numbers in `z`.
        hidden: width of the own generator; not used where `generator` is a part.
        parts: `code`, a module that reads nothing and gives `code` numbers, such as `learned_tokens`; `generator`, a
            module from Vector(code) to as many numbers as the target has, zero at the start (`weight_generator`).
            Several layers of one shape, or several tasks, may share either. What is left out is the delta's own.

    Raises:
        ValueError: the host has no such target, a setting is out of range, or a part gives another number of numbers.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> host = (ModuleSpec("linear", {"dim": 16}), (Vector(16),))
        >>> facts(ModuleSpec("hypernetwork", {"code": 2, "hidden": 3}), [], host=host).parameters  # 2 + 144 + 64
        210
    """

    family = "hypernetwork"
    reference = "Ha et al. 2017 (1609.09106), section 3.1"

    def __init__(
        self, host: Module, *, target: str = "linear.weight", code: int = 8, hidden: int = 4,
        parts: Mapping[str, Module] | None = None,
    ) -> None:
        super().__init__()
        shape = target_shape(host, target)
        self.target, self.parts = target, dict(parts or {})
        self.code = Code(code, self.parts)
        self.own: WeightGenerator | None = None
        if "generator" not in self.parts:
            self.own = WeightGenerator((Vector(code),), rows=shape[0], columns=prod(shape[1:]), hidden=hidden)
        made = (self.own or self.parts["generator"]).output
        if made != Vector(prod(shape)):
            raise ValueError(f"`generator` must give {Vector(prod(shape))}, one number a weight, found {made}.")

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the own code and the own generator, which makes zeros."""
        self.code.initialise(generator)
        if self.own is not None:
            self.own.initialise(generator)

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters, `target` changed."""
        made = (self.own or self.parts["generator"])(self.code()[None], context=Context())
        return {**host, self.target: host[self.target] + made.reshape(host[self.target].shape)}

    @classmethod
    def part_ports(cls, ports: tuple[Port, ...], config: Mapping[str, Any]) -> Callable[[str], tuple[Port, ...]]:
        """The generator reads the code, which reads nothing."""
        return lambda name: (Vector(config.get("code", 8)),) if name == "generator" else ()

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """A small generator for the host's first matrix."""
        names = [name for name, parameter in host.named_parameters() if parameter.ndim > 1]
        return {"target": names[0], "code": 4, "hidden": 4} if names else None
