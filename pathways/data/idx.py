"""Image sets in IDX folders: MNIST, Fashion-MNIST and all sets in their layout.

A folder holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
`t10k-labels-idx1-ubyte`, each as it is or with `.gz` behind. Nothing is downloaded.

MNIST: LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/ (CC BY-SA 3.0). Fashion-MNIST: Xiao, Rasul
and Vollgraf 2017, arXiv:1708.07747 (MIT licence).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathways.errors import DataError
from pathways.modules import Image, Port, Vector
from pathways.seeds import numpy_generator, seed_of
from pathways.task import Affine, Split, Task

from .arrays import class_targets
from .folder import data_folder, find_folder
from .idx_format import read_idx
from .limit import limited
from .split import split_pool

PARTS = {"train": "train", "test": "t10k"}
FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

Array = np.ndarray[Any, Any]


def idx_folder(
    folder: str | Path,
    name: str,
    classes: Sequence[Sequence[int]] | None = None,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    validation: float = 0.1,
    samples: int | None = None,
    train: int | None = None,
    noise: float = 0.0,
    flatten: bool = False,
    class_names: Sequence[str] | None = None,
) -> list[Task]:
    """Image classification from a folder of IDX files: one task, or one for each group of classes.

    Inputs are `Image(1, height, width)` or `Vector(height * width)`, scaled to 0..1. With `noise`, each pixel
    becomes 0 with probability `noise / 2` and 255 with probability `noise / 2` (salt and pepper): the binary
    MNIST tasks of PathNet (Fernando et al. 2017, arXiv:1701.08734) with the share 0.5 that the PyTorch port
    kimhc6028/pathnet-pytorch uses. Noise is drawn once for each image, from the seed and the image's place in
    its file: an image looks alike in every task, epoch and subset. All splits have it.

    Args:
        folder: where the four files lie, as it stands or inside the data folder.
        name: of the task, and of the draws.
        classes: the classes of each task, such as `[[3, 7], [1, 2]]`; the tasks are then `name/3-7` and on,
            and number their classes in that order. `None` makes one task of all classes.
        data: the data folder; see `data_folder`.
        seed: draws validation, `samples`, `train` and noise.
        validation: its share of the training file.
        samples: the most images of each class to take from the training file, before validation is split off.
        train: the most training samples of each task, balanced by class, of those that validation leaves; see
            `pathways.data.limit.limited`.
        noise: the share of pixels replaced, from 0 to 1.
        flatten: give images as `Vector`s.
        class_names: labels for predictions; numbers where not given.

    Raises:
        DataError: a file is missing or broken, or a class does not exist.
    """
    where = find_folder(folder, data)
    files = {split: _read(where, part) for split, part in PARTS.items()}
    found = sorted(set(files["train"][1].tolist()))
    names = list(class_names or map(str, range(found[-1] + 1)))
    if not 0 <= noise <= 1:
        raise DataError(f"`noise` must be a share from 0 to 1, found {noise}: use for example 0.5.")
    tasks = []
    for group in [found] if classes is None else [list(group) for group in classes]:
        if len(set(group)) != len(group) or len(group) < 2 or not set(group) <= set(found):
            raise DataError(
                f"`classes` must hold lists of two or more of {found}, found {group!r}: write [[3, 7]]."
            )
        rows = {split: np.flatnonzero(np.isin(labels, group)) for split, (_, labels) in files.items()}
        if samples is not None:
            rows["train"] = _limit(
                rows["train"], files["train"][1], samples, numpy_generator("samples", name, seed)
            )
        pixels = {
            s: _noisy(images[rows[s]], rows[s], noise, (name, s, seed)) for s, (images, _) in files.items()
        }
        labels = {
            s: np.array([group.index(c) for c in numbers[rows[s]]]) for s, (_, numbers) in files.items()
        }
        full = name if classes is None else f"{name}/" + "-".join(map(str, group))
        tasks.append(_task(full, name, pixels, labels, [names[c] for c in group], flatten, seed, validation, train))
    return tasks


def mnist(
    classes: Sequence[Sequence[int]] | None = None,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    validation: float = 0.1,
    samples: int | None = None,
    train: int | None = None,
    noise: float = 0.0,
    flatten: bool = False,
) -> list[Task]:
    """MNIST, from the folder `mnist` of the data folder; see `idx_folder` for the arguments.

    Args:
        classes: the digits of each task, such as `[[3, 7], [1, 2]]`; `None` makes one task of all ten.
        data: the data folder; see `data_folder`.
        seed: draws validation, `samples`, `train` and noise.
        validation: its share of the training file.
        samples: the most images of each class for training and validation.
        train: the most training samples of each task, balanced by class.
        noise: the share of pixels replaced by salt and pepper.
        flatten: give images as `Vector(784)`.
    """
    return idx_folder(
        data_folder(data) / "mnist", "mnist", classes,
        seed=seed, validation=validation, samples=samples, train=train, noise=noise, flatten=flatten,
    )  # fmt: skip


def fashion_mnist(
    classes: Sequence[Sequence[int]] | None = None,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    validation: float = 0.1,
    samples: int | None = None,
    train: int | None = None,
    noise: float = 0.0,
    flatten: bool = False,
) -> list[Task]:
    """Fashion-MNIST, from the folder `fashion-mnist` of the data folder; see `idx_folder` for the arguments.

    Args:
        classes: the classes of each task, such as `[[0, 6], [5, 9]]`; `None` makes one task of all ten.
        data: the data folder; see `data_folder`.
        seed: draws validation, `samples`, `train` and noise.
        validation: its share of the training file.
        samples: the most images of each class for training and validation.
        train: the most training samples of each task, balanced by class.
        noise: the share of pixels replaced by salt and pepper.
        flatten: give images as `Vector(784)`.
    """
    return idx_folder(
        data_folder(data) / "fashion-mnist", "fashion-mnist", classes,
        seed=seed, validation=validation, samples=samples, train=train, noise=noise, flatten=flatten,
        class_names=FASHION,
    )  # fmt: skip


def _read(folder: Path, part: str) -> tuple[Array, Array]:
    images, labels = (
        read_idx(_find(folder, f"{part}-{kind}-ubyte")) for kind in ("images-idx3", "labels-idx1")
    )
    if images.dtype != np.uint8 or images.ndim != 3 or labels.ndim != 1 or not 0 < len(images) == len(labels):
        raise DataError(
            f"the {part} files of {str(folder)!r} must hold N images of bytes (N, height, width) "
            f"and N labels, found {images.dtype} {images.shape} and {labels.shape}: check the files."
        )
    return images, labels


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(
        f"folder {str(folder)!r} must hold {name!r} or '{name}.gz', found neither: put the file there."
    )


def _limit(rows: Array, labels: Array, samples: int, generator: np.random.Generator) -> Array:
    """At most `samples` rows of each class, drawn, in the order of the file."""
    if samples < 2:
        raise DataError(
            f"`samples` must be at least 2, one for training and one for validation, found {samples}."
        )
    kept = [generator.permutation(rows[labels[rows] == c])[:samples] for c in np.unique(labels[rows])]
    return np.sort(np.concatenate(kept))


def _noisy(images: Array, places: Array, share: float, names: tuple[str, str, int]) -> Array:
    if share == 0:
        return images
    noisy, key = images.copy(), seed_of("noise", *names)
    for image, place in zip(noisy, places.tolist(), strict=True):
        # One counter block for each place: the noise of an image does not depend on which others are loaded.
        draw = np.random.Generator(np.random.Philox(key=key, counter=place << 64)).random(
            image.shape, np.float32
        )
        image[draw < share / 2] = 0
        image[draw >= 1 - share / 2] = 255
    return noisy


def _task(
    full: str,
    name: str,
    pixels: dict[str, Array],
    labels: dict[str, Array],
    names: list[str],
    flatten: bool,
    seed: int,
    validation: float,
    train: int | None,
) -> Task:
    height, width = pixels["train"].shape[1:]
    ports: dict[str, Port] = {"image": Vector(height * width) if flatten else Image(1, height, width)}
    shape = (-1, *(size for size in ports["image"].shape if size is not None))
    parts = {}
    for split, images in pixels.items():
        targets, target = class_targets(full, labels[split], names)
        parts[split] = Split({"image": torch.from_numpy(images.reshape(shape))}, targets)
    splits, note = split_pool(
        full, ports, target, parts["train"], parts["test"], seed=seed, validation=validation
    )
    splits = limited(full, splits, train, seed)
    return Task(
        full, ports, target, splits,
        transform={"image": Affine(1 / 255)}, source=f"{name}, IDX files{note}",
    )  # fmt: skip
