"""CMATERdb: handwritten numerals of three scripts, Bangla, Devanagari and Telugu.

The file is `cmaterdb-numerals.npz` of the data folder: `SCRIPT_train_images` (N, 128) uint8, 32 by 32 bits packed
most significant first, ink = 1; `SCRIPT_train_labels` (N,) 0-9; and the same for `test`. Nothing is downloaded.

CMATERdb 3.1.1, 3.2.1 and 3.4.1, CMATER laboratory, Jadavpur University, Kolkata: Das et al. 2012, Applied Soft
Computing 12(5) and 12(8). The copy prabhuomkar/CMATERdb is under Apache-2.0; its page also quotes CMATER's "free for
all non-commercial uses".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathways.errors import DataError
from pathways.modules import Image
from pathways.task import Affine, Split, Task

from .arguments import require_positive
from .arrays import class_targets
from .folder import data_folder, find_file
from .limit import limited
from .npz_file import load_npz
from .resize import area_average
from .split import split_pool

SCRIPTS = ("bangla", "devanagari", "telugu")
SOURCE = "CMATERdb numerals (Das et al. 2012, Apache-2.0 by the copy)"
SIDE = 32

Array = np.ndarray[Any, Any]


def cmaterdb(
    scripts: Sequence[str] | None = None,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    validation: float = 0.1,
    train: int | None = None,
    size: int = 28,
) -> list[Task]:
    """One task for each script: tell its ten numerals apart. The task of Bangla is `cmaterdb/bangla`.

    Inputs are `Image(1, size, size)`, ink = 1. The stored images are 32 by 32 bits; another size is made by exact
    area averaging to 256 grey levels. The official test split tests; images of it that also train are left out of
    training.

    Args:
        scripts: names of `SCRIPTS`; `None` takes all three.
        data: the data folder; see `data_folder`.
        seed: draws validation and `train`.
        validation: its share of the official training split.
        train: the most training samples, balanced by class; see `limited`.
        size: height and width.

    Raises:
        DataError: no such script, or the file is missing or broken.

    Example:
        >>> cmaterdb(["bangla"], data="/nowhere")
        Traceback (most recent call last):
        pathways.errors.DataError: `--data` must name an existing folder, found '/nowhere': correct the name.
    """
    require_positive(size=size)
    path = find_file(data_folder(data) / "cmaterdb-numerals.npz")
    arrays = load_npz(path)
    tasks = []
    for script in SCRIPTS if scripts is None else scripts:
        if script not in SCRIPTS:
            raise DataError(f"`scripts` must name some of {list(SCRIPTS)}, found {script!r}.")
        name, ports = f"cmaterdb/{script}", {"image": Image(1, size, size)}
        parts = {}
        for which in ("train", "test"):
            packed, labels = (_array(path, arrays, f"{script}_{which}_{what}") for what in ("images", "labels"))
            targets, target = class_targets(name, labels, list(map(str, range(10))))
            parts[which] = Split({"image": torch.from_numpy(_images(path, packed, size))}, targets)
        splits, note = split_pool(
            name, ports, target, parts["train"], parts["test"], seed=seed, validation=validation
        )
        splits = limited(name, splits, train, seed)
        transform = {"image": Affine(1 / 255)}
        tasks.append(Task(name, ports, target, splits, transform=transform, source=SOURCE + note))
    return tasks


def _array(path: Path, arrays: dict[str, Array], name: str) -> Array:
    if name not in arrays:
        raise DataError(f"{str(path)!r} must hold the array {name!r}, found {sorted(arrays)}.")
    return arrays[name]


def _images(path: Path, packed: Array, size: int) -> Array:
    """(N, 1, size, size) grey levels of packed bits (N, 128)."""
    if packed.dtype != np.uint8 or packed.shape[1:] != (SIDE * SIDE // 8,):
        raise DataError(
            f"images of {str(path)!r} must be packed bits, uint8 (N, {SIDE * SIDE // 8}), "
            f"found {packed.dtype} {packed.shape}: use `numpy.packbits`."
        )
    bits = np.unpackbits(packed, axis=1).reshape(-1, SIDE, SIDE)
    return np.rint(255 * area_average(bits, size, size)).astype(np.uint8)[:, None]
