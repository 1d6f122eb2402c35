"""Values as a skeleton of bytes and the arrays it points to, so that arrays travel without being copied."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_BY_NUMPY = {torch.bfloat16: torch.uint16}  # types that NumPy lacks travel as their bits


@dataclass(frozen=True, eq=False)
class Packed:
    """A value taken apart.

    Args:
        skeleton: all of it but the numbers in its tensors and arrays.
        arrays: these, each contiguous, in the order in which the skeleton names them.

    Example:
        >>> packed = pack({"x": torch.arange(3.0), "name": "a"})
        >>> len(packed.arrays), unpack(packed)["x"]
        (1, tensor([0., 1., 2.]))
    """

    skeleton: bytes
    arrays: tuple[np.ndarray, ...]

    @property
    def nbytes(self) -> int:
        """All bytes that must travel."""
        return len(self.skeleton) + sum(array.nbytes for array in self.arrays)


def pack(value: Any) -> Packed:
    """Take a value apart; its tensors, which must be on the processor, are not copied where they are contiguous.

    Raises:
        pickle.PicklingError, AttributeError, TypeError: a part of it cannot travel, such as a lambda.
    """
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(value)
    return Packed(file.getvalue(), tuple(packer.arrays))


def unpack(packed: Packed, tensors: list[Tensor] | None = None) -> Any:
    """The value that `pack` took apart. Its tensors stand on the packed arrays: nothing may write to them.

    Args:
        packed: what `pack` gave.
        tensors: takes these tensors, for those who watch whether something does.
    """
    return _Unpacker(io.BytesIO(packed.skeleton), packed.arrays, tensors).load()


def as_tensor(array: np.ndarray) -> Tensor:
    """The array as a tensor on the same memory, also where that is read-only, which torch cannot say of a tensor."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(array)


def as_array(tensor: Tensor) -> np.ndarray:
    """The tensor as a contiguous array, on the same memory where it is contiguous."""
    plain = tensor.detach().contiguous()
    return (plain.view(_BY_NUMPY[plain.dtype]) if plain.dtype in _BY_NUMPY else plain).numpy()


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.arrays: list[np.ndarray] = []

    def persistent_id(self, obj: Any) -> Any:
        """Where an array is kept, and what stands on it; `None` for all that belongs to the skeleton."""
        if type(obj) is Tensor:
            self.arrays.append(as_array(obj))
            return len(self.arrays) - 1, str(obj.dtype).removeprefix("torch.")
        if type(obj) is np.ndarray and not obj.dtype.hasobject:
            self.arrays.append(np.ascontiguousarray(obj))
            return len(self.arrays) - 1, ""
        return None


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, arrays: Sequence[np.ndarray], tensors: list[Tensor] | None) -> None:
        super().__init__(file)
        self._arrays = arrays
        self._tensors = [] if tensors is None else tensors

    def persistent_load(self, pid: Any) -> Any:
        """The array, or a tensor on it."""
        place, kind = pid
        if not kind:
            return self._arrays[place]
        tensor, dtype = as_tensor(self._arrays[place]), getattr(torch, kind)
        self._tensors.append(tensor if tensor.dtype == dtype else tensor.view(dtype))
        return self._tensors[-1]


__all__ = ["Packed", "as_array", "as_tensor", "pack", "unpack"]
