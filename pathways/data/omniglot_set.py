"""Omniglot: the handwritten characters of 50 alphabets, 20 drawers each, at 28 by 28 pixels.

The set ships inside the package (`embedded/omniglot28.npz`, 0.85 MB): all 32,460 images, area-averaged from
105 by 105 and set to ink where the average is at least one half. MIT licence, Copyright (c) 2015 Brenden Lake
(`embedded/LICENSE-omniglot.txt`). Reference: Lake, Salakhutdinov and Tenenbaum 2015, "Human-level concept
learning through probabilistic program induction", Science 350(6266).

Splits are by drawer. Nine pairs of images are equal at this size, seven of them inside one alphabet. Where
the two stand in different splits, one is left out: from train if the other validates or tests, from
validation if the other tests. Each task's `source` says how many were.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import torch

from pathways.errors import DataError
from pathways.modules import Image
from pathways.modules.near import nearest
from pathways.seeds import numpy_generator
from pathways.task import Classes, Split, Task

from .split import without_leaks

DRAWERS = 20
BACKGROUND = (
    "Arcadian", "Armenian", "Asomtavruli_(Georgian)", "Balinese", "Bengali",
    "Blackfoot_(Canadian_Aboriginal_Syllabics)", "Braille", "Cyrillic", "Early_Aramaic",
    "Syriac_(Estrangelo)", "Anglo-Saxon_Futhorc", "Futurama", "Grantha", "Greek", "Gujarati",
    "Hebrew", "Japanese_(hiragana)", "Inuktitut_(Canadian_Aboriginal_Syllabics)",
    "Malay_(Jawi_-_Arabic)", "Japanese_(katakana)", "Korean", "Latin", "Alphabet_of_the_Magi",
    "Mkhedruli_(Georgian)", "Burmese_(Myanmar)", "N_Ko", "Ojibwe_(Canadian_Aboriginal_Syllabics)",
    "Sanskrit", "Tagalog", "Tifinagh",
)  # fmt: skip
EVALUATION = (
    "Angelic", "Atemayar_Qelisayer", "Atlantean", "Aurek-Besh", "Avesta", "Ge_ez", "Glagolitic",
    "Gurmukhi", "Kannada", "Keble", "Malayalam", "Manipuri", "Mongolian",
    "Old_Church_Slavonic_(Cyrillic)", "Oriya", "Syriac_(Serto)", "Sylheti", "Tengwar", "Tibetan",
    "ULOG",
)  # fmt: skip
SOURCE = "Omniglot (Lake et al. 2015, MIT licence), 28 by 28, split by drawer"


@lru_cache(maxsize=1)
def _arrays() -> dict[str, np.ndarray[Any, Any]]:
    file = resources.files("pathways.data").joinpath("embedded/omniglot28.npz")
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def omniglot(
    alphabets: Sequence[str] | None = None,
    *,
    seed: int = 0,
    validation_drawers: int = 5,
    test_drawers: int = 5,
    background: bool = False,
) -> list[Task]:
    """One task for each alphabet: tell its characters apart. Inputs are `Image(1, 28, 28)`, ink = 1.

    The last `test_drawers` of the 20 drawers are always test. Validation drawers are drawn from the others,
    by seed and alphabet; the rest is train. Classes are `character01` and on.

    Args:
        alphabets: names of `EVALUATION` or `BACKGROUND`; `None` takes all 20 evaluation alphabets.
        seed: draws the validation drawers.
        validation_drawers: how many drawers validate.
        test_drawers: how many drawers test.
        background: with `alphabets=None`, take all 30 background alphabets instead.

    Raises:
        DataError: no such alphabet, or no drawer is left to train on.

    >>> [task] = omniglot(["Greek"])
    >>> task.name, task.target.n, {name: len(split) for name, split in task.splits.items()}
    ('omniglot/Greek', 24, {'train': 240, 'validation': 120, 'test': 120})
    """
    arrays = _arrays()
    names = arrays["alphabet_names"].tolist()
    if alphabets is None:
        alphabets = BACKGROUND if background else EVALUATION
    elif isinstance(alphabets, str):
        raise DataError(f"`alphabets` must be a list of names, found {alphabets!r}: write [{alphabets!r}].")
    tasks = []
    for name in alphabets:
        if name not in names:
            close = nearest(name, names, 3)
            hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
            raise DataError(
                f"`alphabets` must name alphabets of Omniglot, found {name!r}: {hint}"
                "all are in `EVALUATION` and `BACKGROUND` of `pathways.data.omniglot_set`."
            )
        rows = np.flatnonzero(arrays["alphabet"] == names.index(name))
        labels = arrays["character_in_alphabet"][rows].astype(np.int64)
        classes = tuple(f"character{number + 1:02d}" for number in range(labels.max() + 1))
        drawers = _drawers(name, seed, validation_drawers, test_drawers)
        drawer = arrays["drawer"][rows]
        tasks.append(_task(f"omniglot/{name}", _images(rows), labels, drawer, classes, drawers))
    return tasks


def omniglot_background(
    *, seed: int = 0, validation_drawers: int = 2, test_drawers: int = 1, rotations: bool = False
) -> list[Task]:
    """One task of the 964 characters of the 30 background alphabets, for a root to start from.

    Args:
        seed: draws the validation drawers.
        validation_drawers: how many of the 20 drawers validate.
        test_drawers: how many, the last ones, test.
        rotations: add each character turned by 90, 180 and 270 degrees as classes of their own, 3,856 in all.

    Returns:
        A list with the one task `omniglot/background`. Classes are `Alphabet/character01` and on, with `/90`
        behind where they are turned.

    Raises:
        DataError: no drawer is left to train on.
    """
    arrays = _arrays()
    rows = np.flatnonzero(arrays["alphabet_is_background"][arrays["alphabet"]])
    _, first, labels = np.unique(arrays["character"][rows], return_index=True, return_inverse=True)
    alphabet = arrays["alphabet_names"][arrays["alphabet"][rows[first]]]
    number = arrays["character_in_alphabet"][rows[first]]
    classes = [f"{a}/character{n + 1:02d}" for a, n in zip(alphabet, number, strict=True)]
    images, drawer, count = _images(rows), arrays["drawer"][rows], len(classes)
    if rotations:
        images = np.concatenate([np.rot90(images, turn, axes=(2, 3)) for turn in range(4)])
        labels = np.concatenate([labels + count * turn for turn in range(4)])
        drawer = np.tile(drawer, 4)
        classes = [name + suffix for suffix in ("", "/90", "/180", "/270") for name in classes]
    drawers = _drawers("background", seed, validation_drawers, test_drawers)
    return [_task("omniglot/background", images, labels, drawer, tuple(classes), drawers)]


def _images(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.unpackbits(_arrays()["images"][rows], axis=1).reshape(-1, 1, 28, 28)


def _drawers(name: str, seed: int, validation: int, test: int) -> dict[str, list[int]]:
    if min(validation, test) < 1 or validation + test >= DRAWERS:
        raise DataError(
            f"`validation_drawers` and `test_drawers` must be at least 1 and leave some of the {DRAWERS} "
            f"drawers to train on, found {validation} and {test}: use for example 5 and 5."
        )
    order = numpy_generator("omniglot", name, seed).permutation(DRAWERS - test).tolist()
    return {
        "train": sorted(order[validation:]),
        "validation": sorted(order[:validation]),
        "test": list(range(DRAWERS - test, DRAWERS)),
    }


def _task(
    name: str,
    images: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any],
    drawer: np.ndarray[Any, Any],
    classes: tuple[str, ...],
    drawers: dict[str, list[int]],
) -> Task:
    ports = {"image": Image(1, 28, 28)}
    splits = {}
    for which, chosen in drawers.items():
        rows = np.isin(drawer, chosen)
        inputs = {"image": torch.from_numpy(np.ascontiguousarray(images[rows]))}
        splits[which] = Split(inputs, torch.from_numpy(labels[rows].astype(np.int64)))
    kept, note = without_leaks(name, splits, ports)
    return Task(name, ports, Classes(len(classes), classes), kept, source=SOURCE + note)
