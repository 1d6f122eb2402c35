"""How the columns of a table become one vector a row: numbers as they are, categories one-hot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from pathways.columns import Column, Columns
from pathways.errors import DataError
from pathways.task import Affine

from .arrays import standardise
from .csv_table import Table, is_missing, numbers_of


@dataclass(frozen=True)
class Encoding:
    """What each column becomes.

    Args:
        columns: by name, in order: `None` for a number, else the categories, each an entry of 0 or 1.
    """

    columns: Mapping[str, tuple[str, ...] | None]

    @property
    def width(self) -> int:
        """How many entries a row has."""
        return sum(1 if categories is None else len(categories) for categories in self.columns.values())

    def means(self, table: Table, rows: Sequence[int]) -> dict[str, float]:
        """The mean of each column of numbers over some rows, without the missing cells."""
        numbers = {name: torch.tensor(numbers_of(table, name, rows), dtype=torch.float64)
                   for name, categories in self.columns.items() if categories is None}  # fmt: skip
        return {name: float(column.nanmean().nan_to_num(0.0)) for name, column in numbers.items()}

    def of_task(self, means: Mapping[str, float], missing: bool, delimiter: str) -> Columns:
        """The columns with a task's means, as they stay with its champion."""
        columns = tuple(
            Column(name, categories, means.get(name, 0.0)) for name, categories in self.columns.items()
        )
        return Columns(columns, missing, delimiter)

    def transform(self, train: Tensor) -> Affine:
        """Standardise the numbers of (N, width) and leave the categories as they are."""
        whole = standardise(train)
        scales, shifts = cast(tuple[float, ...], whole.scale), cast(tuple[float, ...], whole.shift)
        number = [one for c in self.columns.values() for one in ([True] if c is None else [False] * len(c))]
        scale = tuple(s if is_number else 1.0 for s, is_number in zip(scales, number, strict=True))
        shift = tuple(s if is_number else 0.0 for s, is_number in zip(shifts, number, strict=True))
        return Affine(scale, shift)


def encoding_of(
    table: Table, columns: Sequence[str], numeric: AbstractSet[str], rows: Sequence[int]
) -> Encoding:
    """The encoding of some columns, with the categories that some rows have.

    Args:
        table: the cells.
        columns: the input columns, in order.
        numeric: which of them are numbers.
        rows: the rows whose categories count, those of training.
    """
    found: dict[str, tuple[str, ...] | None] = {}
    for name in columns:
        place = table.place(name)
        cells = {table.rows[row][place] for row in rows} if name not in numeric else set()
        found[name] = (
            None if name in numeric else tuple(sorted(cell for cell in cells if not is_missing(cell)))
        )
    return Encoding(found)


def encode_like(table: Table, columns: Columns) -> tuple[Tensor, list[str]]:
    """All rows of a table as a task's rows were encoded, float32 (N, width), and notes on what was not known.

    Raises:
        DataError: a column is not there, a cell is missing that must not be or is no number; line and column are
            named.
    """
    rows, notes = range(len(table.rows)), []
    for column in columns.columns:
        known = column.categories
        for row, cell in enumerate(table.column(column.name)):
            if is_missing(cell) and not columns.missing:
                raise DataError(
                    f"{table.where(row)} must have a value in column {column.name!r}, as in training, "
                    f"found {cell!r}: fill the cell."
                )
            if known is not None and cell not in known and not is_missing(cell):
                notes.append(
                    f"{table.where(row)} has {cell!r} in column {column.name!r}, which training did not have: "
                    f"it counts as no category."
                )
    encoding = Encoding({column.name: column.categories for column in columns.columns})
    return encode(table, rows, encoding, {column.name: column.mean for column in columns.columns}), notes


def encode(table: Table, rows: Sequence[int], encoding: Encoding, means: Mapping[str, float]) -> Tensor:
    """Some rows as float32 (N, width). Missing numbers become their mean, unknown categories all zeros.

    Args:
        table: the cells.
        rows: which rows.
        encoding: what each column becomes.
        means: of the columns of numbers.
    """
    blocks = []
    for name, categories in encoding.columns.items():
        if categories is None:
            numbers = torch.tensor(numbers_of(table, name, rows), dtype=torch.float64)
            blocks.append(torch.where(numbers.isnan(), means[name], numbers)[:, None].to(torch.float32))
            continue
        place, number = table.place(name), {category: i for i, category in enumerate(categories)}
        block = torch.zeros(len(rows), len(categories))
        for i, row in enumerate(rows):
            if table.rows[row][place] in number:
                block[i, number[table.rows[row][place]]] = 1.0
        blocks.append(block)
    return torch.cat(blocks, 1)
