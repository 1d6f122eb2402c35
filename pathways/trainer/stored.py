"""Values of many samples as they are held in memory, from which batches are gathered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import overload

import torch
from torch import Tensor

from pathways.modules import Masked, Value
from pathways.task import Affine

_NEUTRAL = Affine()


@dataclass(frozen=True, eq=False)
class Stored:
    """Samples in fewer bytes, or in a better order of memory, than modules read them; an index gives what is read.

    uint8 takes a quarter of the memory of float32 and is made into it batch by batch, to the same bits as all at
    once. Images of several channels are held with their channels last, as convolutions are fastest with: a batch is
    gathered from whole rows of memory and viewed with its channels first.

    Args:
        tensor: (N, ...) uint8 or float32, contiguous.
        affine: what makes inputs of uint8 values.
        channels_last: whether `tensor` is (N, height, width, channels), to be read as (B, channels, height, width).

    Example:
        >>> stored = Stored(torch.tensor([[0, 5], [1, 2]], dtype=torch.uint8), Affine(2.0, 1.0))
        >>> len(stored), stored[torch.tensor([1])]
        (2, tensor([[3., 5.]]))
    """

    tensor: Tensor
    affine: Affine = _NEUTRAL
    channels_last: bool = False

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """The samples at `index`, float32 (B, ...)."""
        x = self.tensor[index] if isinstance(index, slice) else self.tensor.index_select(0, index)
        if self.channels_last:
            x = x.permute(0, 3, 1, 2)
        if x.dtype == torch.float32:
            return x
        x = x.float()  # a copy, which may be changed in place: a second array of a large batch costs more than the sums
        if self.affine.neutral:
            return x
        scale, shift = self._numbers
        x.mul_(scale)
        return x if shift is None else x.add_(shift)

    @cached_property
    def _numbers(self) -> tuple[float | Tensor, float | Tensor | None]:
        """Scale and shift; no shift where adding it would change no bit."""
        scale, shift = self.affine.numbers(self.tensor.ndim, self.tensor.device)
        # Of a scale below 0 zeros come out negative, and adding 0 makes them positive.
        plain = isinstance(scale, float) and isinstance(shift, float) and scale > 0 and shift == 0
        return scale, None if plain else shift

    @property
    def nbytes(self) -> int:
        """The bytes that are held."""
        return self.tensor.nbytes


Held = Tensor | Masked | Stored
"""What trainers hold of one input or step: a value as modules read it, or one that is made so batch by batch."""


def stored_input(tensor: Tensor, affine: Affine) -> Tensor | Stored:
    """An input's values, uint8 as they are and others transformed."""
    return Stored(tensor.contiguous(), affine) if tensor.dtype == torch.uint8 else affine(tensor)


def stored_activations(value: Value) -> Held:
    """Activations as they are best held: images of several channels with their channels last."""
    if isinstance(value, Masked) or value.ndim != 4 or value.shape[1] == 1 or value.dtype != torch.float32:
        return value
    return Stored(value.permute(0, 2, 3, 1).contiguous(), channels_last=True)


@overload
def gathered(held: Tensor | Stored, index: Tensor | slice) -> Tensor: ...


@overload
def gathered(held: Held, index: Tensor | slice) -> Value: ...


def gathered(held: Held, index: Tensor | slice) -> Value:
    """The samples at `index` as modules read them, (B, ...)."""
    if isinstance(held, Masked):
        return Masked(held.value[index], held.mask[index])
    if isinstance(index, slice) or isinstance(held, Stored):
        return held[index]
    return held.index_select(0, index)  # some times as fast as `held[index]`


def size(held: Held) -> int:
    """The bytes that a value takes."""
    return sum(part.nbytes for part in held) if isinstance(held, Masked) else held.nbytes


__all__ = ["Held", "Stored", "gathered", "size", "stored_activations", "stored_input"]
