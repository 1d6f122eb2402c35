"""Records as numbers and ids of categories, for the family `fields`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pathways.columns import Column

from .text import refused


def rows_of(records: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> tuple[Tensor, Tensor]:
    """Numbers float32 (N, numbers) and ids int64 (N, categories) of records, columns in their order.

    Args:
        records: one for each sample.
        columns: what each field is: a number, or one of some categories, whose place is its id.

    Raises:
        DataError: a field that is missing, no number, or none of its categories; sample and field are named.

    >>> rows_of([{"size": 2, "colour": "red"}], [Column("size"), Column("colour", ("blue", "red"))])
    (tensor([[2.]]), tensor([[1]]))
    """
    numbers, ids = [], []
    for sample, record in enumerate(records):
        values = [(column, _value(record, column, sample)) for column in columns]
        numbers.append([value for column, value in values if column.categories is None])
        ids.append([int(value) for column, value in values if column.categories is not None])
    shape = (len(records), -1) if records else (0, 0)
    return torch.tensor(numbers, dtype=torch.float32).reshape(shape), torch.tensor(ids).long().reshape(shape)


def _value(record: Mapping[str, Any], column: Column, sample: int) -> float:
    """The number, or the place of the category, of a field."""
    if column.name not in record:
        raise refused(sample, column.name, f"must be there, found only {sorted(record)}")
    found = record[column.name]
    if column.categories is not None:
        if found not in column.categories:
            raise refused(sample, column.name, f"must be one of {list(column.categories)}, found {found!r}")
        return column.categories.index(found)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise refused(sample, column.name, f"must be a finite number, found {found!r}")
    return float(found)


__all__ = ["rows_of"]
