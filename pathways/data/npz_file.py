"""Data in `.npz` files: arrays by name, as `numpy.savez` writes them. Nothing in the file is executed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import Tensor

from pathways.errors import DataError
from pathways.modules import Port
from pathways.task import Split, Target, Task, Values

from .arrays import as_port, as_tensor, class_targets, pixel_transform, standardise, to_port, value_targets
from .folder import find_file
from .places import place_targets
from .split import split_pool

# The names that are looked for, in this order: samples and targets of training, then of test.
USUAL = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x", "y", "", ""),
    ("images", "labels", "", ""),
)

Array = np.ndarray[Any, Any]


def npz(
    file: str | Path,
    name: str,
    *,
    data: str | Path | None = None,
    keys: Mapping[str, Sequence[str]] | None = None,
    port: Port | Mapping[str, Any] | None = None,
    values: bool = False,
    places: str | None = None,
    unpack: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    allow_duplicates: bool = False,
) -> list[Task]:
    """One task from an `.npz` file.

    Arrays are found by the usual names (`x_train, y_train, x_test, y_test`; `x, y`; `images, labels`; ...) or
    by `keys`. Vectors of floats are standardised by the training samples, uint8 images are scaled to 0..1. An
    array `class_names` labels the classes.

    Args:
        file: its path, as it stands or inside the data folder.
        name: of the task.
        data: the data folder; see `data_folder`.
        keys: `{"train": [samples, targets]}` and, if there is a test split, `"test"` alike.
        port: what a sample is, where its shape does not say: `{port: signal, channels: 1, length: 96}`.
        values: the targets are numbers to predict rather than classes.
        places: the targets stand at places of a sample: `sequences`, a class at each, or `spans`; see `place_targets`.
        unpack: the shape of a sample whose bits are packed into bytes, most significant first.
        class_names: labels of the classes, which targets then number from 0.
        seed: draws validation.
        validation: its share of what is not test.
        test: the share of test, where the file has no test arrays.
        allow_duplicates: accept equal samples in two splits instead of keeping them together.

    Raises:
        DataError: the file cannot be read, an array is missing, or shapes do not fit.
    """
    path = find_file(file, data)
    arrays = load_npz(path)
    found = _keys(path, arrays, keys)
    if class_names is None and "class_names" in arrays and not values:
        class_names = [str(label) for label in arrays["class_names"].tolist()]
    declared = as_port(port) if port is not None else None
    parts: dict[str, Split] = {}
    labels = {part: arrays[pair[1]] for part, pair in found.items()}
    numbered, target = _targets(name, labels, values, places, class_names)
    for part, (samples, _) in found.items():
        stored, declared = to_port(name, as_tensor(_unpacked(arrays[samples], unpack)), declared)
        if len(stored) != len(numbered[part]):
            raise DataError(
                f"array {samples!r} of {str(path)!r} has {len(stored)} samples for "
                f"{len(numbered[part])} targets: give as many."
            )
        parts[part] = Split({"x": stored}, numbered[part])
    whole = cast(Port, declared)  # there is a train part
    ports = {"x": whole}
    splits, note = split_pool(
        name, ports, target, parts["train"], parts.get("test"),
        seed=seed, validation=validation, test=test, allow_duplicates=allow_duplicates,
    )  # fmt: skip
    train = cast(Tensor, splits["train"].inputs["x"])
    floats = whole.kind == "vector" and train.dtype.is_floating_point
    transform = {"x": standardise(train) if floats else pixel_transform(train, whole)}
    return [
        Task(
            name, ports, target, splits,
            transform=transform, source=f"{path.name}{note}", allow_duplicates=allow_duplicates,
        )
    ]  # fmt: skip


def load_npz(path: Path) -> dict[str, Array]:
    """All arrays of an `.npz` file by name, none of them of objects.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"`file` must be an .npz file of plain arrays, found {str(path)!r} ({error}): use `numpy.savez`."
        ) from None


def _keys(
    path: Path, arrays: Mapping[str, Array], keys: Mapping[str, Sequence[str]] | None
) -> dict[str, tuple[str, str]]:
    if keys is None:
        for x, y, x_test, y_test in USUAL:
            if x in arrays and y in arrays:
                both = x_test in arrays and y_test in arrays
                return {"train": (x, y), **({"test": (x_test, y_test)} if both else {})}
        raise DataError(
            f"{str(path)!r} must hold arrays of the usual names such as 'x' and 'y', found {sorted(arrays)}: "
            "name them by `keys`, for example {'train': ['x', 'y']}."
        )
    if (
        "train" not in keys
        or not set(keys) <= {"train", "test"}
        or any(len(pair) != 2 for pair in keys.values())
    ):
        raise DataError(
            f"`keys` must name two arrays for 'train', and for 'test' if there is one, found {dict(keys)}."
        )
    missing = [key for pair in keys.values() for key in pair if key not in arrays]
    if missing:
        raise DataError(f"{str(path)!r} has no array {missing[0]!r}: it has {sorted(arrays)}.")
    return {part: (pair[0], pair[1]) for part, pair in keys.items()}


def _unpacked(packed: Array, shape: Sequence[int] | None) -> Array:
    if shape is None:
        return packed
    bits = int(np.prod(shape))
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] * 8 < bits:
        raise DataError(
            f"`unpack` needs bytes (N, at least {-(-bits // 8)}) for shape {tuple(shape)}, "
            f"found {packed.dtype} {packed.shape}: correct the shape."
        )
    return np.unpackbits(packed, axis=1)[:, :bits].reshape(len(packed), *shape)


def _targets(
    name: str, labels: dict[str, Array], values: bool, places: str | None, class_names: Sequence[str] | None
) -> tuple[dict[str, Any], Target]:
    if places is not None:
        return place_targets(name, places, labels, class_names, values)
    if values:
        numbers = {part: value_targets(array)[0] for part, array in labels.items()}
        return numbers, Values(int(numbers["train"].shape[1]))
    together, target = class_targets(
        name, np.concatenate([a.reshape(-1) for a in labels.values()]), class_names
    )
    sizes = [array.size for array in labels.values()]
    return dict(zip(labels, together.split(sizes), strict=True)), target
