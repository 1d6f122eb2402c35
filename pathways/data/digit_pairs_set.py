"""Written digits with spoken ones: MNIST images paired with recordings of the Free Spoken Digit Dataset.

Every sample is an image and a recording, drawn independently, and a task asks for something about the pair. Whether
the sum of both digits is odd (`parity`), and whether they are the same (`same`), neither of both can tell alone. It
reads the folder `mnist` and the file `fsdd.npz` of the data folder; nothing is downloaded.

The pairing of both sets follows AV-MNIST (Vielzeuf et al. 2018, "CentralNet", arXiv:1808.07275), which pairs equal
digits only. MNIST: CC BY-SA 3.0. FSDD: CC BY-SA 4.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pathways.errors import DataError
from pathways.modules import Port
from pathways.seeds import numpy_generator
from pathways.task import Affine, Classes, Split, Task

from .arguments import require_positive
from .folder import data_folder
from .fsdd_set import fsdd
from .idx import mnist

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "digit": tuple(map(str, range(10))),
    "spoken": tuple(map(str, range(10))),
    "speaker": (),
    "parity": ("even sum", "odd sum"),
    "same": ("different digits", "same digit"),
    "greater": ("written is not greater", "written is greater"),
}
SOURCE = "MNIST (CC BY-SA 3.0) and FSDD (CC BY-SA 4.0), paired at random"

Array = np.ndarray[Any, Any]


def digit_pairs(
    questions: Sequence[str] = ("digit", "spoken", "speaker", "parity"),
    *,
    data: str | Path | None = None,
    seed: int = 0,
    validation: float = 0.1,
    train: int = 4000,
    test: int = 1000,
    bands: int = 28,
    frames: int = 28,
) -> list[Task]:
    """One task for each question about a written and a spoken digit, such as `digit_pairs/parity`.

    Inputs are `image`, `Image(1, 28, 28)`, and `audio`, the recording's log-mel image (see `fsdd`). Training,
    validation and test pairs are made of different images and different recordings, a recording standing in several
    pairs. Of the yes-or-no questions each answer is right for half of the pairs.

    Args:
        questions: names of `QUESTIONS`: the written digit, the spoken one, the speaker, whether the sum is odd,
            whether both digits are the same, whether the written one is greater.
        data: the data folder; see `data_folder`.
        seed: draws the pairs, and which images and recordings are for validation.
        validation: the share of training images and recordings that are for validation; so many times `train` pairs.
        train: training pairs of each task.
        test: test pairs of each task.
        bands: height of the log-mel image.
        frames: its width.

    Raises:
        DataError: no such question, or a file is missing or broken.

    Example:
        >>> digit_pairs(data="/nowhere")
        Traceback (most recent call last):
        pathways.errors.DataError: `--data` must name an existing folder, found '/nowhere': correct the name.
    """
    require_positive(train=train, test=test)
    folder = data_folder(data)
    for question in questions:
        if question not in QUESTIONS:
            raise DataError(f"`questions` must name some of {list(QUESTIONS)}, found {question!r}.")
    [written] = mnist(data=folder, seed=seed, validation=validation)
    voices = fsdd(_speakers(folder), data=folder, seed=seed, validation=validation, bands=bands, frames=frames)
    sizes = {"train": train, "test": test}
    return [_task(question, written, voices, seed, sizes, validation) for question in questions]


def _speakers(folder: Path) -> list[str]:
    from .folder import find_file
    from .npz_file import load_npz

    return [str(name) for name in load_npz(find_file(folder / "fsdd.npz")).get("speaker_names", np.array([])).tolist()]


def _task(
    question: str, written: Task, voices: Sequence[Task], seed: int, sizes: Mapping[str, int], validation: float
) -> Task:
    name = f"digit_pairs/{question}"
    names = QUESTIONS[question] or tuple(voice.name.rpartition("/")[2] for voice in voices)
    inputs: dict[str, Port] = {"image": written.inputs["image"], "audio": voices[0].inputs["image"]}
    splits = {}
    for split in ("train", "validation", "test"):
        count = sizes.get(split, max(1, round(validation * sizes["train"])))
        sounds = torch.cat([voice.splits[split].inputs["image"] for voice in voices])  # type: ignore[misc]
        spoken = np.concatenate([voice.splits[split].targets.numpy() for voice in voices])
        speaker = np.repeat(np.arange(len(voices)), [len(voice.splits[split]) for voice in voices])
        digits = written.splits[split].targets.numpy()
        draw = numpy_generator("pairs", name, split, seed)
        rows, heard, answers = _pairs(question, draw, digits, spoken, speaker, count)
        images = written.splits[split].inputs["image"]
        values = {"image": images[torch.from_numpy(rows)], "audio": sounds[torch.from_numpy(heard)]}
        splits[split] = Split(values, torch.from_numpy(answers))
    transform = {"image": Affine(1 / 255), "audio": Affine(1 / 255)}
    return Task(name, inputs, Classes(len(names), names), splits, transform=transform, source=SOURCE)


def _pairs(
    question: str, draw: np.random.Generator, digits: Array, spoken: Array, speaker: Array, count: int
) -> tuple[Array, Array, Array]:
    """Rows of images, rows of recordings and answers; so many pairs, with answers in turn where there are two."""
    rows, heard = (draw.integers(len(each), size=40 * count) for each in (digits, spoken))
    answers = _answers(question, digits[rows], spoken[heard], speaker[heard])
    first = np.unique(np.stack([rows, heard]), axis=1, return_index=True)[1]  # no pair twice
    order = np.sort(first)
    if len(QUESTIONS[question]) == 2:
        share = count // 2
        kept = [order[answers[order] == answer][:size] for answer, size in ((0, count - share), (1, share))]
        order = np.sort(np.concatenate(kept))
    order = order[:count]
    if len(order) < count:
        raise DataError(f"there must be {count} different pairs for {question!r}, found {len(order)}: ask for fewer.")
    return rows[order], heard[order], answers[order].astype(np.int64)


def _answers(question: str, written: Array, spoken: Array, speaker: Array) -> Array:
    answers = {
        "digit": written, "spoken": spoken, "speaker": speaker, "parity": (written + spoken) % 2,
        "same": written == spoken, "greater": written > spoken,
    }  # fmt: skip
    return answers[question].astype(np.int64)


__all__ = ["QUESTIONS", "digit_pairs"]
