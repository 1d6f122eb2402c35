"""FSDD, the Free Spoken Digit Dataset: 3,000 recordings of the English digits by six speakers, as log-mel images.

The file is `fsdd.npz` of the data folder: `audio` int16, all recordings end to end, recording i from `offsets[i]` to
`offsets[i + 1]`; `digit`, `speaker`, `take` of each; `speaker_names`; `sample_rate`. Nothing is downloaded.

Zohar Jackson and contributors 2018, https://github.com/Jakobovski/free-spoken-digit-dataset (CC BY-SA 4.0: changed
versions must stay under the same licence).
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
from .log_mel import log_mel
from .npz_file import load_npz
from .split import split_pool

NEEDED = ("audio", "offsets", "digit", "speaker", "take", "speaker_names", "sample_rate")
TEST_TAKES = 5
SOURCE = "Free Spoken Digit Dataset (Zohar Jackson and contributors, CC BY-SA 4.0), log-mel"

Array = np.ndarray[Any, Any]


def fsdd(
    speakers: Sequence[str] | None = None,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    validation: float = 0.1,
    train: int | None = None,
    bands: int = 28,
    frames: int = 28,
) -> list[Task]:
    """Spoken digits as images: one task `fsdd` of all speakers, or one for each of some, such as `fsdd/theo`.

    Inputs are `Image(1, bands, frames)`, 0 (80 decibels below the recording's loudest cell, or less) to 1 (the
    loudest); see `pathways.data.log_mel`. Takes 0 to 4 of each speaker and digit are test, as the set's authors say.

    Args:
        speakers: the speaker of each task, such as `["george", "theo"]`; `None` makes one task of all.
        data: the data folder; see `data_folder`.
        seed: draws validation and `train`.
        validation: its share of the other takes.
        train: the most training samples, balanced by digit; see `limited`.
        bands: height, in mel bands.
        frames: width, to which each recording is stretched.

    Raises:
        DataError: no such speaker, or the file is missing or broken.

    Example:
        >>> fsdd(data="/nowhere")
        Traceback (most recent call last):
        pathways.errors.DataError: `--data` must name an existing folder, found '/nowhere': correct the name.
    """
    require_positive(bands=bands, frames=frames)
    path = find_file(data_folder(data) / "fsdd.npz")
    arrays = load_npz(path)
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        raise DataError(f"{str(path)!r} must hold the array {missing[0]!r}, found {sorted(arrays)}.")
    known = arrays["speaker_names"].tolist()
    tasks = []
    for speaker in [None] if speakers is None else speakers:
        if speaker is not None and speaker not in known:
            raise DataError(f"`speakers` must name some of {known}, found {speaker!r}.")
        rows = np.flatnonzero(arrays["speaker"] == known.index(speaker)) if speaker else np.arange(len(arrays["digit"]))
        name = f"fsdd/{speaker}" if speaker else "fsdd"
        tasks.append(_task(name, arrays, rows, (bands, frames), seed, validation, train))
    return tasks


def _task(
    name: str, arrays: dict[str, Array], rows: Array, shape: tuple[int, int], seed: int, validation: float,
    train: int | None,
) -> Task:  # fmt: skip
    ports = {"image": Image(1, *shape)}
    tests = arrays["take"][rows] < TEST_TAKES
    parts = []
    for chosen in (rows[~tests], rows[tests]):
        targets, target = class_targets(name, arrays["digit"][chosen], list(map(str, range(10))))
        parts.append(Split({"image": torch.from_numpy(_images(arrays, chosen, shape))}, targets))
    splits, note = split_pool(name, ports, target, parts[0], parts[1], seed=seed, validation=validation)
    splits = limited(name, splits, train, seed)
    return Task(name, ports, target, splits, transform={"image": Affine(1 / 255)}, source=SOURCE + note)


def _images(arrays: dict[str, Array], rows: Array, shape: tuple[int, int]) -> Array:
    audio, offsets, rate = arrays["audio"], arrays["offsets"], int(arrays["sample_rate"])
    return np.stack([log_mel(audio[offsets[i] : offsets[i + 1]], rate, *shape) for i in rows.tolist()])[:, None]
