"""A champion ready to be used: from stored inputs to scores, assembled once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from pathways.modules import Masked, Value
from pathways.modules.ports import split

from .assemble import PathModule
from .manifest import TaskRecord
from .task import Affine, Values
from .trainer.stored import size

if TYPE_CHECKING:
    from .system import System

READY_BYTES = 256 << 20
"""How much of assembled champions a system keeps in memory."""


class Fixed:
    """An affine transform whose numbers are tensors already; it gives the same bits.

    Args:
        affine: the transform.
        axes: of the values it will be given, the batch axis included.
    """

    def __init__(self, affine: Affine, axes: int) -> None:
        self.neutral = affine.neutral
        self.scale, self.shift = affine.numbers(axes)

    def __call__(self, x: Tensor) -> Tensor:
        """Apply to a batch (B, ...)."""
        x = x.float()
        return x if self.neutral else x * self.scale + self.shift


class Ready:
    """A champion from stored inputs to scores, or to values in the units of the source.

    Args:
        record: the champion's record.
        model: its path, assembled, in evaluation mode.
    """

    def __init__(self, record: TaskRecord, model: PathModule) -> None:
        self.model = model
        self._transforms = {
            name: Fixed(record.transform[name], 1 + len(port.shape))
            for name, port in record.inputs.items() if not port.integer
        }
        self._restore = Fixed(record.target.restore, 2) if isinstance(record.target, Values) else None
        self._wanted = (model.path.output,)

    def __call__(self, stored: Mapping[str, Value]) -> Tensor:
        """Transform the inputs and run the path: (batch, classes) scores, (batch, values) or (batch, length, n)."""
        (outputs,) = self.model.compute(self.transformed(stored), self._wanted).values()
        return self.restored(outputs)

    def transformed(self, stored: Mapping[str, Value]) -> dict[str, Value]:
        """What the path reads, from stored inputs."""
        return {name: self._transformed(name, value) for name, value in stored.items()}

    def restored(self, outputs: Value) -> Tensor:
        """What is given, from what the path gives; of a sequence without its mask, which is that of the input."""
        tensor, _ = split(outputs)
        return tensor if self._restore is None else self._restore(tensor)

    def _transformed(self, name: str, value: Value) -> Value:
        transform = self._transforms.get(name)
        if transform is None:
            return value
        return Masked(transform(value.value), value.mask) if isinstance(value, Masked) else transform(value)


def ready(system: System, record: TaskRecord) -> Ready:
    """The champion of a record, assembled when it is first used.

    It is kept by what decides its outputs, so that a task learned anew, by this or another process, is never
    answered with what was there before.

    Raises:
        BlobError: one of its blobs is missing or damaged.
    """
    found: Ready | None = system.used.get(record.use)
    if found is None:
        found = Ready(record, system.module(record.name))
        system.used.put(record.use, found, sum(map(size, found.model.state_dict().values())))
    return found


__all__ = ["Fixed", "Ready", "ready"]
