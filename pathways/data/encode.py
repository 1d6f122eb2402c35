"""How the columns of a table become one vector a row: numbers as they are, categories one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from pathways.columns import Column, Columns
from pathways.errors import DataError
from pathways.task import Affine

from .arrays import standardise
from .csv_table import Table, is_missing, numbers_of


def columns_of(
    table: Table, names: Sequence[str], numeric: AbstractSet[str], rows: Sequence[int]
) -> tuple[Column, ...]:
    """What each column becomes, with the categories that some rows have and means of 0.

    Args:
        table: the cells.
        names: the input columns, in order.
        numeric: which of them are numbers.
        rows: the rows whose categories count, those of training.
    """
    found = []
    for name in names:
        place = table.place(name)
        cells = {table.rows[row][place] for row in rows} if name not in numeric else set()
        categories = tuple(sorted(cell for cell in cells if not is_missing(cell)))
        found.append(Column(name, None if name in numeric else categories))
    return tuple(found)


def with_means(columns: Columns, table: Table, rows: Sequence[int]) -> Columns:
    """The columns, with each number's mean over some rows, those of a task's training, without the missing cells."""

    def mean(name: str) -> float:
        return float(torch.tensor(numbers_of(table, name, rows), dtype=torch.float64).nanmean().nan_to_num(0.0))

    return replace(columns, columns=tuple(
        replace(column, mean=mean(column.name)) if column.categories is None else column for column in columns.columns
    ))


def transform_of(columns: Columns, train: Tensor) -> Affine:
    """Standardise the numbers of encoded training rows (N, width) and leave the categories as they are."""
    whole = standardise(train)
    scales, shifts = cast(tuple[float, ...], whole.scale), cast(tuple[float, ...], whole.shift)
    number = [column.categories is None for column in columns.columns for _ in range(column.width)]
    scale = tuple(s if is_number else 1.0 for s, is_number in zip(scales, number, strict=True))
    shift = tuple(s if is_number else 0.0 for s, is_number in zip(shifts, number, strict=True))
    return Affine(scale, shift)


def encode(table: Table, rows: Sequence[int], columns: Columns) -> Tensor:
    """Some rows as float32 (N, width). Missing numbers become their mean, unknown categories all zeros."""
    blocks = []
    for column in columns.columns:
        if column.categories is None:
            numbers = torch.tensor(numbers_of(table, column.name, rows), dtype=torch.float64)
            blocks.append(torch.where(numbers.isnan(), column.mean, numbers)[:, None].to(torch.float32))
            continue
        place, number = table.place(column.name), {category: i for i, category in enumerate(column.categories)}
        block = torch.zeros(len(rows), column.width)
        for i, row in enumerate(rows):
            if table.rows[row][place] in number:
                block[i, number[table.rows[row][place]]] = 1.0
        blocks.append(block)
    return torch.cat(blocks, 1)


def encode_new(table: Table, columns: Columns) -> tuple[Tensor, list[str]]:
    """All rows of another table than a champion's own, float32 (N, width), and a note on each unknown category.

    Raises:
        DataError: a column is not there, a cell is missing that must not be or is no number; line and column are
            named.
    """
    notes = []
    for column in columns.columns:
        for row, cell in enumerate(table.column(column.name)):
            if is_missing(cell):
                if not columns.missing:
                    raise DataError(
                        f"{table.where(row)} must have a value in column {column.name!r}, as in training, "
                        f"found {cell!r}: fill the cell."
                    )
            elif column.categories is not None and cell not in column.categories:
                notes.append(
                    f"{table.where(row)} has {cell!r} in column {column.name!r}, which training did not have: "
                    f"it counts as no category."
                )
    return encode(table, range(len(table.rows)), columns), notes
