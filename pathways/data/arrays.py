"""From arrays of any library to what a `Split` holds: tensors, ports, labels from 0, transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathways.errors import DataError
from pathways.modules import Image, Port, Vector, port_from_json
from pathways.task import Affine, Classes, Values


def as_tensor(array: Any) -> Tensor:
    """A tensor of a type that tasks hold: bool becomes uint8, wide integers int64, wide floats float32.

    >>> as_tensor(np.zeros((2, 3))).dtype
    torch.float32
    """
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()  # numpy has no bfloat16
    array = np.asarray(array)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "biuf":
        raise DataError(f"data must be numbers, found an array of {array.dtype}: convert it first.")
    if kind == "b":
        stored = array.astype(np.uint8)
    elif kind == "f":
        stored = array.astype(np.float32)
    else:
        stored = array if (kind, size) == ("u", 1) else array.astype(np.int64)
    return torch.from_numpy(np.array(stored, copy=True, order="C"))


def as_port(port: Port | Mapping[str, Any]) -> Port:
    """A port, given as one or as plain data such as `{port: image, channels: 1, height: 28, width: 28}`."""
    if isinstance(port, Port):
        return port
    try:
        return port_from_json(port)
    except ValueError as error:
        raise DataError(str(error)) from None


def to_port(name: str, values: Tensor, port: Port | None) -> tuple[Tensor, Port]:
    """The values in the shape of their port, which is inferred where it is `None`.

    Two axes are a `Vector`, four an `Image`, and three an `Image` of one channel where they are uint8. Images
    with their channels last (N, height, width, 1 to 4) are turned to have them first.

    Args:
        name: of the task, for errors.
        values: (N, ...).
        port: what the values are, if it is known.

    Raises:
        DataError: the shape says nothing about the port, or does not fit the one given.
    """
    if values.ndim == 4 and values.shape[3] in (1, 2, 3, 4) and values.shape[1] not in (1, 2, 3, 4):
        values = values.movedim(3, 1).contiguous()
    image = values.ndim == 3 and (values.dtype == torch.uint8 if port is None else isinstance(port, Image))
    if image and (port is None or port.shape[0] == 1):
        values = values[:, None]
    if port is not None:
        return values, port
    if values.ndim == 2 and (values.dtype.is_floating_point or values.dtype == torch.uint8):
        return values, Vector(values.shape[1])
    if values.ndim == 4:
        return values, Image(*values.shape[1:])
    raise DataError(
        f"`port` of task {name!r} cannot be inferred from {values.dtype} of shape {tuple(values.shape)}: "
        "give it, for example `Ids(length, vocabulary)` or `Signal(channels, length)`."
    )


def pixel_transform(values: Tensor, port: Port) -> Affine:
    """Scale uint8 images to 0..1; leave other values as they are."""
    return Affine(1 / 255) if isinstance(port, Image) and values.dtype == torch.uint8 else Affine()


def standardise(values: Tensor) -> Affine:
    """The transform that gives each column of (N, dim) mean 0 and deviation 1; constant columns become 0.

    >>> affine = standardise(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    >>> affine(torch.tensor([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    mean, deviation = values.double().mean(0), values.double().std(0, correction=0)
    scale = torch.where(deviation > 1e-12 * mean.abs().clamp_min(1), 1 / deviation.clamp_min(1e-300), 1.0)
    return Affine(tuple(scale.tolist()), tuple((-mean * scale).tolist()))


def class_targets(
    name: str, labels: Sequence[Any] | np.ndarray[Any, Any], names: Sequence[str] | None = None
) -> tuple[Tensor, Classes]:
    """Labels numbered from 0, and the classes.

    With `names`, labels are integers that number them; without, each distinct label is a class, in order.

    Args:
        name: of the task, for errors.
        labels: N integers or texts.
        names: of the classes.

    Raises:
        DataError: labels are not whole numbers or texts, or lie outside `names`.

    >>> class_targets("colours", ["red", "blue", "red"])
    (tensor([1, 0, 1]), Classes(n=2, names=('blue', 'red')))
    """
    array = np.asarray(labels).reshape(-1)
    if array.dtype.kind not in "biuU":
        raise DataError(
            f"labels of task {name!r} must be whole numbers or texts, found {array.dtype}: "
            "say that the target holds values, or convert the labels."
        )
    if names is None:
        found, numbers = np.unique(array, return_inverse=True)
        names = [str(label) for label in found.tolist()]
    else:
        numbers = array.astype(np.int64)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= len(names)):
            raise DataError(
                f"labels of task {name!r} must number its {len(names)} class names from 0, "
                f"found {numbers.min()} to {numbers.max()}: give a name for each class."
            )
    return torch.from_numpy(numbers.astype(np.int64)), Classes(len(names), tuple(map(str, names)))


def value_targets(values: Any) -> tuple[Tensor, Values]:
    """Targets of numbers as float32 (N, n), and the target."""
    tensor = as_tensor(values).to(torch.float32)
    tensor = tensor[:, None] if tensor.ndim == 1 else tensor
    return tensor, Values(int(tensor.shape[1]))
