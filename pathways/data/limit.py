"""A limit on how many samples a task trains on, drawn by seed and balanced by class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from pathways.errors import DataError
from pathways.seeds import numpy_generator
from pathways.task import Split, take


def limited(name: str, splits: Mapping[str, Split], train: int | None, seed: int) -> dict[str, Split]:
    """The splits with at most `train` training samples; validation and test stay as they are.

    Classes get as many samples as each other, give or take one, or all that they have. Of one name and seed, a
    smaller limit takes a part of what a larger one takes.

    Args:
        name: the task's name, which the draw is seeded by.
        splits: the splits by name; targets are classes.
        train: the most training samples; `None` for all.
        seed: the other part of the draw.

    Raises:
        DataError: fewer samples than there are classes.

    >>> numbers = torch.arange(6)
    >>> few = limited("tiny", {"train": Split({"x": numbers}, numbers % 2)}, 4, seed=0)
    >>> few["train"].targets.bincount().tolist()
    [2, 2]
    """
    if train is None:
        return dict(splits)
    targets = splits["train"].targets.numpy()
    generator = numpy_generator("train", name, seed)
    classes = generator.permutation(np.unique(targets))
    if train < len(classes):
        raise DataError(
            f"`train` must be at least {len(classes)}, one sample for each class of task {name!r}, found {train}: "
            f"give more, or fewer classes."
        )
    drawn = [generator.permutation(np.flatnonzero(targets == c)) for c in classes]
    in_turns = sorted((turn, place) for place, rows in enumerate(drawn) for turn in range(len(rows)))
    kept = sorted(int(drawn[place][turn]) for turn, place in in_turns[:train])
    return {**splits, "train": take(splits["train"], torch.tensor(kept, dtype=torch.int64))}
