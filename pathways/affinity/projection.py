"""Random projections of gradients: few numbers that keep inner products, on average exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pathways.errors import ConfigError
from pathways.seeds import torch_generator


@dataclass(frozen=True, eq=False)
class Projection:
    """A random matrix P, (all parameters, dims), made from a seed and the parameters' names.

    `P P'` is the identity on average, so inner products of projected vectors are right on average; their errors are
    about `|x| |y| / sqrt(dims)`. Dense, its entries are ±1/sqrt(dims), at dims products a number. Sparse, each
    parameter goes to one of `dims` sums with a random sign: one addition a number, the same mean, about the same error.

    Args:
        dims: how many numbers remain.
        seed: what it is drawn from, with each parameter's name.
        dense: which of the two.

    Raises:
        ConfigError: `dims` is less than 1.

    Example:
        >>> vectors = {"w": torch.randn(2, 300, generator=torch.Generator().manual_seed(0))}
        >>> Projection(64, seed=0)(vectors).shape
        torch.Size([2, 64])

    Reference: dense, Johnson and Lindenstrauss 1984 with the signs of Achlioptas 2003; sparse, the count sketch of
    Charikar et al. 2002.
    """

    dims: int
    seed: int = 0
    dense: bool = False
    _places: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.dims < 1:
            raise ConfigError(f"`dims` must be at least 1, found {self.dims}.")

    def __call__(self, vectors: Mapping[str, Tensor]) -> Tensor:
        """`X P`: by name the parts (N, *shape) of N vectors, to (N, dims)."""
        parts = [self._project(name, part.flatten(1)) for name, part in vectors.items()]
        return torch.stack(parts).sum(0)

    def back(self, weights: Tensor, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`P w`: weights (dims,) to a tensor for each parameter, of the shapes of `like`."""
        return {name: self._lift(name, weights, part.numel()).reshape(part.shape) for name, part in like.items()}

    def _project(self, name: str, rows: Tensor) -> Tensor:
        if self.dense:
            return rows @ self._signs(name, rows)
        places = self._drawn(name, rows)
        sums = rows.new_zeros(len(rows), 2 * self.dims)
        for row, total in zip(rows, sums, strict=True):  # row by row: four times as fast as all at once
            total.scatter_add_(0, places, row)
        return sums[:, : self.dims] - sums[:, self.dims :]

    def _lift(self, name: str, weights: Tensor, numel: int) -> Tensor:
        like = weights.new_empty(0, numel)
        if self.dense:
            return self._signs(name, like) @ weights
        return torch.cat([weights, -weights])[self._drawn(name, like)]

    def _signs(self, name: str, rows: Tensor) -> Tensor:
        """(n, dims) of ±1/sqrt(dims); drawn anew each time, since it is dims times as large as the parameter."""
        generator = torch_generator("projection", self.seed, name)
        signs = torch.randint(2, (rows.shape[1], self.dims), generator=generator).to(rows.device, rows.dtype)
        return (2 * signs - 1) / self.dims**0.5

    def _drawn(self, name: str, rows: Tensor) -> Tensor:
        """(n,): the sum that each number goes to; those from `dims` on count with the other sign."""
        if name not in self._places:
            generator = torch_generator("projection", self.seed, name)
            self._places[name] = torch.randint(2 * self.dims, (rows.shape[1],), generator=generator).to(rows.device)
        return self._places[name]


__all__ = ["Projection"]
