"""What a stack reads of a split of its task: for all candidates, each distinct value once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .stored import Stored, gathered


@dataclass(frozen=True, eq=False)
class Bound:
    """One value that a stack reads, for all samples.

    Args:
        tensors: the distinct ones, (views * N, ...) each.
        which: (K,), which of them each candidate reads; `None` where all read the same.
    """

    tensors: tuple[Tensor | Stored, ...]
    which: Tensor | None = None

    def rows(self, index: Tensor | slice) -> Tensor:
        """The samples at `index`: (K, B, ...), or (1, B, ...) where all candidates read the same."""
        if self.which is None:
            return gathered(self.tensors[0], index)[None]
        return torch.stack([gathered(tensor, index) for tensor in self.tensors])[self.which]

    def select(self, kept: Tensor) -> Bound:
        """For the candidates at these places only."""
        return self if self.which is None else replace(self, which=self.which[kept])


@dataclass(frozen=True, eq=False)
class Part:
    """The sums of each candidate's frozen modules in one step, for all samples.

    Args:
        sums: the distinct ones, (U, views * N, ...).
        which: (K,), which of them is each candidate's.
    """

    sums: Tensor
    which: Tensor

    def rows(self, index: Tensor | slice) -> Tensor:
        """The samples at `index`, (K, B, ...)."""
        if isinstance(index, slice):
            return self.sums[:, index][self.which]
        return self.sums[self.which[:, None], index]

    def select(self, kept: Tensor) -> Part:
        """For the candidates at these places only."""
        return replace(self, which=self.which[kept])


@dataclass(frozen=True, eq=False)
class StackSplit:
    """A split of the task as a stack reads it: the boundary's values, its mixed stages' parts, and targets (N, ...)."""

    bounds: tuple[Bound, ...]
    parts: tuple[Part, ...]
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def rows(self) -> int:
        """How many rows each value has: views times samples."""
        return len(self.bounds[0].tensors[0])

    def values(self, index: Tensor | slice) -> list[Tensor]:
        """What the program reads of the samples at `index`."""
        return [*(bound.rows(index) for bound in self.bounds), *(part.rows(index) for part in self.parts)]

    def select(self, kept: Tensor) -> StackSplit:
        """For the candidates at these places only."""
        bounds, parts = tuple(b.select(kept) for b in self.bounds), tuple(p.select(kept) for p in self.parts)
        return replace(self, bounds=bounds, parts=parts)


__all__ = ["Bound", "Part", "StackSplit"]
