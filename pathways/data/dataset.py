"""Any PyTorch map-style dataset of `(x, y)` as a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pathways.digests import length_axis
from pathways.errors import DataError
from pathways.modules import Masked, Port, Value
from pathways.task import Affine, Split, Target, Task, Values

from .arrays import as_tensor, class_targets, pixel_transform, to_port, value_targets
from .places import place_targets
from .split import split_pool


class MapStyle(Protocol):
    """What a map-style dataset has: a length, and samples by number."""

    def __len__(self) -> int:
        """How many samples."""

    def __getitem__(self, index: int, /) -> Any:
        """The pair `(x, y)` of that number."""


def from_dataset(
    train: MapStyle,
    test: MapStyle | None = None,
    *,
    name: str,
    port: Port | Mapping[str, Port] | None = None,
    values: bool = False,
    places: str | None = None,
    class_names: Sequence[str] | None = None,
    transform: Affine | Mapping[str, Affine] | None = None,
    metric: str = "",
    seed: int = 0,
    validation: float = 0.2,
    test_share: float = 0.2,
    allow_duplicates: bool = False,
) -> Task:
    """One task from PyTorch map-style datasets, read once into memory.

    `x` is a tensor, an array, a Pillow image, or a mapping of several inputs by name. Augmentation belongs
    into training, not into the dataset: a random transform would be drawn here once and for all.

    Args:
        train: the samples for training and validation, and for test where there is no `test`.
        test: the test samples.
        name: of the task.
        port: what `x` is, or what each input is; inferred from the samples where it is `None`. A port of
            variable length pads the samples and masks the padding.
        values: the targets are numbers to predict rather than classes.
        places: the targets stand at places of a sample: `sequences`, a class at each, or `spans`; see
            `pathways.data.places`. Shorter sequences are padded.
        class_names: labels of the classes, which targets then number from 0.
        transform: how stored values become inputs; by default uint8 images are scaled to 0..1.
        metric: see `Task`.
        seed: draws validation.
        validation: its share of what is not test.
        test_share: the share of test, where there is no `test`.
        allow_duplicates: accept equal samples in two splits instead of keeping them together.

    Raises:
        DataError: a dataset is empty, samples have different shapes, or a port cannot be inferred.

    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> dataset = TensorDataset(torch.arange(40.0)[:, None], torch.arange(40) % 2)
    >>> from_dataset(dataset, name="parity").inputs["x"]
    Vector(dim=1)
    """
    columns = {
        which: _columns(name, which, data)
        for which, data in (("train", train), ("test", test))
        if data is not None
    }
    inputs = list(columns["train"][0])
    declared = dict(port) if isinstance(port, Mapping) else dict.fromkeys(inputs, port)
    ports: dict[str, Port] = {}
    stored: dict[str, dict[str, Value]] = {which: {} for which in columns}
    for key in inputs:
        for which, (samples, _) in columns.items():
            stored[which][key], ports[key] = _stack(
                name, key, samples[key], ports.get(key, declared.get(key))
            )
    targets = {which: y for which, (_, y) in columns.items()}
    target: Target
    if places is None:
        labels, target = _labels(name, targets, values, class_names)
    else:
        labels, target = place_targets(name, places, targets, class_names, values)
    parts = {which: Split(stored[which], labels[which]) for which in columns}
    splits, note = split_pool(
        name, ports, target, parts["train"], parts.get("test"),
        seed=seed, validation=validation, test=test_share, allow_duplicates=allow_duplicates,
    )  # fmt: skip
    return Task(
        name, ports, target, splits, metric, _transforms(transform, stored["train"], ports),
        source=f"{type(train).__name__}{note}", allow_duplicates=allow_duplicates,
    )  # fmt: skip


def _columns(name: str, which: str, data: MapStyle) -> tuple[dict[str, list[Any]], list[Any]]:
    if len(data) == 0:
        raise DataError(f"`{which}` of task {name!r} must hold samples, found none: check the dataset.")
    samples: dict[str, list[Any]] = {}
    targets = []
    for index in range(len(data)):
        x, y = data[index]
        for key, value in (x if isinstance(x, Mapping) else {"x": x}).items():
            samples.setdefault(key, []).append(_array(value))
        targets.append(y.item() if isinstance(y, (Tensor, np.generic)) and np.size(y) == 1 else y)
    return samples, targets


def _array(value: Any) -> Tensor:
    if hasattr(value, "getbands"):  # a Pillow image: channels last, or no channel axis
        pixels = torch.from_numpy(np.array(value, dtype=np.uint8))
        return pixels[None] if pixels.ndim == 2 else pixels.movedim(2, 0).contiguous()
    return as_tensor(value)


def _stack(name: str, key: str, samples: list[Tensor], port: Port | None) -> tuple[Value, Port]:
    if port is not None and port.variable:
        return _pad(samples, port), port
    shapes = {tuple(sample.shape) for sample in samples}
    if len(shapes) > 1:
        raise DataError(
            f"samples of input {key!r} of task {name!r} must have one shape, found {sorted(shapes)[:3]}: "
            "resize them, or give a port with `length=None`."
        )
    return to_port(name, torch.stack(samples), port)


def _pad(samples: list[Tensor], port: Port) -> Masked:
    axis = length_axis(port) - 1  # of one sample
    lengths = torch.tensor([sample.shape[axis] for sample in samples])
    shape = list(samples[0].shape)
    shape[axis] = int(lengths.max())
    padded = samples[0].new_zeros((len(samples), *shape))
    for row, sample in zip(padded, samples, strict=True):
        row.narrow(axis, 0, sample.shape[axis]).copy_(sample)
    return Masked(padded, torch.arange(shape[axis]) < lengths[:, None])


def _labels(
    name: str, columns: dict[str, list[Any]], values: bool, class_names: Sequence[str] | None
) -> tuple[dict[str, Tensor], Target]:
    if values:
        numbers = {
            which: value_targets(np.stack([np.asarray(y) for y in column]))[0]
            for which, column in columns.items()
        }
        return numbers, Values(int(numbers["train"].shape[1]))
    together, target = class_targets(name, [y for column in columns.values() for y in column], class_names)
    return dict(zip(columns, together.split([len(c) for c in columns.values()]), strict=True)), target


def _transforms(
    given: Affine | Mapping[str, Affine] | None, stored: Mapping[str, Value], ports: Mapping[str, Port]
) -> dict[str, Affine]:
    if isinstance(given, Affine):
        return dict.fromkeys(ports, given)
    if given is not None:
        return dict(given)
    return {
        key: Affine() if isinstance(value, Masked) else pixel_transform(value, ports[key])
        for key, value in stored.items()
    }
