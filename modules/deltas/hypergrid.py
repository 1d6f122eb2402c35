"""A grid of gates on one of a frozen module's weights, conditioned on a task's code or on a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import choice, whole
from ..flops import product
from ..flops import rows as row_count
from ..module import Delta, Module, one_port
from ..ports import Port, Value, Vector, split
from .lora import target_shape
from .sites import Code, needs

GATES = {"doubled": 2.0, "paper": 1.0}
KINDS = ("local", "global")


class HyperGrid(Delta):
    """`repeat(c sigmoid((L_row x)(L_column x)^T)) * W` on the second matrix of a block's feed-forward part.

    `repeat` makes of each of the (row_cells, column_cells) numbers a block of cells of W's size. With `gate: doubled`
    c is 2, so that its neutral condition is x = 0 or, as at the start, L = 0: the gate is 1. With `gate: paper` c is
    1, as in the paper, every gate lies in (0, 1), and that condition gives W / 2: no exact neutral condition.

    `x` is a code of the task, then W can be merged and a sample costs nothing, or a `Vector` that the delta reads,
    one for each sample.

    Args:
        host: the module it changes: `transformer`, or with a code any with the parameter `target`.
        ports: one `Vector`, where it reads its condition.
        row_cells: cells along the outputs of W; must divide them.
        column_cells: cells along the inputs of W; must divide them.
        rows: `local` reads x, `global` is a vector learned for the delta alone.
        columns: as `rows`; one of the two must be local.
        gate: `doubled` or `paper`.
        code: numbers in the code, where no port is read.
        target: the host's matrix, with a code.
        parts: `code`, a module that reads nothing and gives `code` numbers.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range, or the host has no such target.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(5, 8),))
        >>> grid = ModuleSpec("hypergrid", {"row_cells": 2, "column_cells": 4, "code": 3})
        >>> facts(grid, [], host=host).parameters  # the code, and (2 + 4) * 3
        21
    """

    family = "hypergrid"
    reference = "Tay et al. 2021 (2007.05891), grid-wise projections, local and global"

    def __init__(
        self, host: Module, ports: tuple[Port, ...] = (), *, row_cells: int, column_cells: int, rows: str = "local",
        columns: str = "local", gate: str = "doubled", code: int = 8, target: str = "down.weight",
        parts: Mapping[str, Module] | None = None,
    ) -> None:
        super().__init__()
        shape = target_shape(host, target)
        for name, cells, side in (("row_cells", row_cells, shape[0]), ("column_cells", column_cells, shape[1])):
            if side % whole(name, cells):
                raise ValueError(f"`{name}` must divide {side} of the target's {shape}, found {cells}.")
        self.local = tuple(choice(n, v, KINDS) == "local" for n, v in (("rows", rows), ("columns", columns)))
        if not any(self.local):
            raise ValueError("`rows` or `columns` must be local, found both global: nothing would read the condition.")
        self.factor, self.target = GATES[choice("gate", gate, list(GATES))], target
        self.code = None if ports else Code(code, parts or {})
        size = one_port(self.family, ports, Vector).dim if ports else code
        self.rows, self.columns = (
            nn.Parameter(torch.empty(cells, size if local else 1))
            for cells, local in zip((row_cells, column_cells), self.local, strict=True)
        )
        self._flops = 0
        if ports:
            needs(host, "inner", "transformed")
            if target != "down.weight":
                raise ValueError(f"`target` must be left out where a condition is read, found {target!r}.")
            self.parts = {"host": host}  # its matrix is read sample by sample; in a plain dict it is no part of ours
            places = row_count(host.output)
            cells = product(1, size, row_cells + column_cells) + product(row_cells, 1, column_cells)
            self._flops = cells + product(places, shape[1], shape[0]) + product(places, column_cells, shape[0])

    @property
    def mergeable(self) -> bool:
        """With a code; gates of samples are in no weight."""
        return self.code is not None

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the own code and the columns; set the rows to zero, so that every gate is in the middle."""
        if self.code is not None:
            self.code.initialise(generator)
        nn.init.zeros_(self.rows)
        nn.init.normal_(self.columns, std=self.columns.shape[1] ** -0.5, generator=generator)

    def cells(self, x: Tensor) -> Tensor:
        """The gates of each cell, (B, row_cells, column_cells), for conditions (B, size)."""
        row, column = (
            x @ weight.T if local else weight.T
            for weight, local in zip((self.rows, self.columns), self.local, strict=True)
        )
        return self.factor * torch.sigmoid(row[:, :, None] * column[:, None, :])

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters, with a code `target` gated."""
        if self.code is None:
            return dict(host)
        weight = host[self.target]
        gates = self.cells(self.code()[None])[0]
        for axis in (0, 1):
            gates = gates.repeat_interleave(weight.shape[axis] // gates.shape[axis], axis)
        return {**host, self.target: gates.reshape(*gates.shape, *[1] * (weight.ndim - 2)) * weight}

    def inside(self, *condition: Value) -> Mapping[str, Callable[[Any], Any]]:
        """With a condition (B, size): what the gates of each sample change of `W inner` is added behind it."""
        if self.code is not None:
            return {}
        change = self.cells(split(condition[0])[0]) - 1.0
        seen: list[Tensor] = []

        def note(inner: Tensor) -> Tensor:
            seen.append(inner)
            return inner

        def add(transformed: Tensor) -> Tensor:
            weight = self.parts["host"].get_parameter(self.target)
            parts = weight.unflatten(1, (change.shape[2], -1))  # (out, column cells, columns of a cell)
            by_cell = torch.einsum("blck,ock->bloc", seen[-1].unflatten(-1, parts.shape[1:]), parts)
            gates = change.repeat_interleave(weight.shape[0] // change.shape[1], 1)
            return transformed + torch.einsum("bloc,boc->blo", by_cell, gates)

        return {"inner": note, "transformed": add}

    def flops(self) -> int:
        """With a condition: its cells, and W once more, one column of cells at a time."""
        return self._flops

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """Up to four cells a side, with a code of its own, on the second matrix of the feed-forward part."""
        if "down.weight" not in dict(host.named_parameters()):
            return None
        rows, columns = host.get_parameter("down.weight").shape[:2]
        cells = [next(c for c in (4, 3, 2, 1) if side % c == 0) for side in (rows, columns)]
        return {"row_cells": cells[0], "column_cells": cells[1]}
