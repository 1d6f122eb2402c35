"""A task's data as trainers use it: transformed, augmented, and pushed through a path's frozen prefix, once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pathways.assemble import PathModule
from pathways.candidate import Augment
from pathways.errors import ConfigError
from pathways.modules import Context, Image, Masked, Value, content_hash
from pathways.seeds import torch_generator
from pathways.task import Split, Task

from .augment import views_of
from .keys import samples_key
from .stored import Held, Stored, gathered, stored_input

EVALUATION_BATCH = 1024
IMAGE_BATCH = 256
"""The same for images on a CPU: feature maps of more leave the processor's caches, a third slower."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Values ready for a model, and their targets.

    Args:
        values: by input or step name, (views * N, ...): as a model reads them, or `Stored` to be read so by `rows`.
        targets: (N, ...), of one view.
        views: how many versions of each sample `values` holds, view by view.
        key: the content hash of the values, for caches.
    """

    values: Mapping[str, Held]
    targets: Tensor
    views: int
    key: str

    def __len__(self) -> int:
        return int(self.targets.shape[0])


def prepare(task: Task, split: str, augment: Augment | None = None) -> Samples:
    """A split of a task as it is held, its augmented views made.

    Bytes are transformed when a batch is read; all other values, and views, which lie between pixels, here.

    Raises:
        ConfigError: augmentation where no input is an image.
    """
    data: Split = task.splits[split]
    values = {name: _held(task, name, value) for name, value in data.inputs.items()}
    views = 1
    if augment is not None:
        check_images(task)
    if augment is not None and augment.views:
        images = [name for name, port in task.inputs.items() if isinstance(port, Image)]
        views = augment.views
        for name, value in values.items():
            if name in images:
                generator = torch_generator("views", task.fingerprint, split, name, content_hash(vars(augment)))
                values[name] = views_of(gathered(value, slice(None)), augment, generator)  # type: ignore[arg-type]
            else:
                values[name] = _repeated(value, views)
    return Samples(values, data.targets, views, samples_key(task.fingerprint, split, augment))


def placed(held: Held, device: str) -> Held:
    """The value on that device; itself where it is there."""
    if isinstance(held, Masked):
        return Masked(held.value.to(device), held.mask.to(device))
    if isinstance(held, Stored):
        return replace(held, tensor=held.tensor.to(device))
    return held.to(device)


def moved(samples: Samples, device: str) -> Samples:
    """The samples on that device."""
    values = {name: placed(value, device) for name, value in samples.values.items()}
    return replace(samples, values=values, targets=samples.targets.to(device))


def check_images(task: Task) -> None:
    """Raise a `ConfigError` where a task has no image that augmentation could change."""
    if not any(isinstance(port, Image) for port in task.inputs.values()):
        raise ConfigError(
            f"`augment` changes images, task {task.name!r} has none among its inputs {list(task.inputs)}: leave it out."
        )


def _held(task: Task, name: str, value: Value) -> Held:
    if task.inputs[name].integer:
        return value
    affine = task.transform[name]
    return Masked(affine(value.value), value.mask) if isinstance(value, Masked) else stored_input(value, affine)


def _repeated(held: Held, times: int) -> Held:
    if isinstance(held, Masked):
        return Masked(torch.cat([held.value] * times), torch.cat([held.mask] * times))
    if isinstance(held, Stored):
        return replace(held, tensor=torch.cat([held.tensor] * times))
    return torch.cat([held] * times)


def rows(values: Mapping[str, Held], index: Tensor | slice) -> dict[str, Value]:
    """The values of the samples at `index`, as modules read them."""
    return {name: gathered(held, index) for name, held in values.items()}


def count(values: Mapping[str, Held]) -> int:
    """How many samples the values hold."""
    held = next(iter(values.values()))
    return len(held.value if isinstance(held, Masked) else held)


def evaluation_batch(values: Mapping[str, Held]) -> int:
    """How many samples pass at once where nothing is trained.

    >>> evaluation_batch({"x": torch.zeros(3, 8)}), evaluation_batch({"image": torch.zeros(3, 1, 28, 28)})
    (1024, 256)
    """
    tensors = [held.tensor if isinstance(held, Stored) else held for held in values.values()]
    images = any(isinstance(t, Tensor) and t.ndim == 4 and t.device.type == "cpu" for t in tensors)
    return IMAGE_BATCH if images else EVALUATION_BATCH


@torch.no_grad()
def through(model: PathModule, values: Mapping[str, Held], wanted: tuple[str, ...]) -> dict[str, Value]:
    """The values of steps `wanted` for all samples, in evaluation mode, in large batches."""
    training = model.training
    model.eval()
    chunks: list[dict[str, Value]] = []
    size_of_batch = evaluation_batch(values)
    for start in range(0, count(values), size_of_batch):
        batch = rows(values, slice(start, start + size_of_batch))
        passed = {name: batch[name] for name in wanted if name in batch}
        computed = tuple(name for name in wanted if name not in batch)
        chunks.append({**passed, **(model.compute(batch, computed, Context()) if computed else {})})
    model.train(training)
    return {name: _joined([chunk[name] for chunk in chunks]) for name in wanted}


def _joined(values: list[Value]) -> Value:
    if isinstance(values[0], Masked):
        return Masked(torch.cat([v.value for v in values]), torch.cat([v.mask for v in values]))  # type: ignore[union-attr]
    return torch.cat(values)  # type: ignore[arg-type]


class Recent:
    """The most recently used of what was computed, up to a number of bytes. Values are immutable by agreement."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> Any:
        """What is held under `key`, or `None`."""
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key][0]

    def put(self, key: str, value: Any, bytes: int) -> None:
        """Hold a value, and drop what was used least recently where there is too much."""
        self._bytes += bytes - self._held.pop(key, (None, 0))[1]
        self._held[key] = (value, bytes)
        while len(self._held) > 1 and self._bytes > self.limit:
            self._bytes -= self._held.popitem(last=False)[1][1]

    def drop(self, key: str) -> None:
        """Drop what is held under `key`, if anything is."""
        self._bytes -= self._held.pop(key, (None, 0))[1]

    def clear(self) -> None:
        """Drop all of it."""
        self._held.clear()
        self._bytes = 0

    def __contains__(self, key: str) -> bool:
        return key in self._held
