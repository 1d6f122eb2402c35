"""Targets that stand at places of a sample, from arrays or lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pathways.errors import DataError
from pathways.task import IGNORED, Sequences, Spans

from .text import refused

KINDS = ("sequences", "spans")


def place_targets(
    name: str, places: str, columns: Mapping[str, Iterable[Any]], names: Sequence[str] | None = None,
    values: bool = False,
) -> tuple[dict[str, Tensor], Sequences | Spans]:
    """Targets of each part of the data, int64, and the target that they all have.

    Args:
        name: of the task, for errors.
        places: `sequences`, a class at each place, -100 where there is none, shorter ones being padded; or `spans`, the
            first and the last place.
        columns: by part, what each sample has.
        names: of the classes; as many as occur when not given.
        values: whether the caller was told that targets are values, too, which is refused.

    Raises:
        DataError: there is no such kind, or a sample has no whole numbers; the sample is named.

    >>> place_targets("words", "sequences", {"train": [[0, 1], [1]]})
    ({'train': tensor([[   0,    1],
            [   1, -100]])}, Sequences(n=2, names=()))
    """
    if values:
        raise DataError(f"`values` of task {name!r} must be false where targets stand at `places`, found true.")
    if places not in KINDS:
        raise DataError(f"`places` of task {name!r} must be one of {KINDS}, found {places!r}.")
    rows = {part: [_whole(row, i) for i, row in enumerate(column)] for part, column in columns.items()}
    if places == "spans":
        for spans in rows.values():
            for i, row in enumerate(spans):
                if len(row) != 2:
                    raise refused(i, "target", f"must be the first and the last place, found {row.tolist()!r:.60}")
    found = {}
    for part, each in rows.items():
        longest = max((len(row) for row in each), default=0)
        filled = np.full((len(each), longest), IGNORED, dtype=np.int64)
        for line, row in zip(filled, each, strict=True):
            line[: len(row)] = row
        found[part] = torch.from_numpy(filled)
    most = 1 + max(int(part.max()) for part in found.values() if part.numel())
    if places == "spans":
        return found, Spans(max(most, 1))
    return found, Sequences(max(most, 2) if names is None else len(names), tuple(map(str, names or ())))


def _whole(row: Any, sample: int) -> np.ndarray[Any, Any]:
    array = np.asarray(row)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise refused(sample, "target", f"must be a row of whole numbers, found {row!r:.60}")
    return array


__all__ = ["KINDS", "place_targets"]
