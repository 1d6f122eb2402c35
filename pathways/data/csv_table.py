"""A table of text cells, as a CSV file holds it."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from pathways.errors import DataError

MISSING = ("", "?")


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of text cells under a header.

    Args:
        path: where it was read from.
        header: the names of the columns.
        rows: one tuple of cells a row, as long as the header.
        lines: the line of the file that each row ends on.
    """

    path: Path
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    lines: list[int]

    @cached_property
    def _numeric(self) -> dict[str, bool]:
        return {name: all(_is_number(cell) for cell in self.column(name)) for name in self.header}

    def place(self, column: str) -> int:
        """The number of a column; a `DataError` lists the columns there are."""
        if column not in self.header:
            close = get_close_matches(column, self.header, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise DataError(f"{str(self.path)!r} has no column {column!r}: {hint}it has {list(self.header)}.")
        return self.header.index(column)

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        place = self.place(name)
        return [row[place] for row in self.rows]

    def is_numeric(self, name: str) -> bool:
        """Whether all cells of a column that are there are finite numbers."""
        return self._numeric[name]

    def where(self, row: int) -> str:
        """How errors name a row."""
        return f"line {self.lines[row]} of {str(self.path)!r}"


def read_table(path: Path, delimiter: str = ",") -> Table:
    """The table of a CSV file with a header, plain or gzipped, in UTF-8.

    Args:
        path: the file.
        delimiter: the one character between cells.

    Raises:
        DataError: the file cannot be read, has no rows, names a column twice, or has a row of another length.
    """
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
        reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
        lines = [(reader.line_num, tuple(cell.strip() for cell in row)) for row in reader if row]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error, TypeError) as error:
        raise DataError(
            f"`file` must be a CSV table in UTF-8, found {str(path)!r} ({error}): check the file."
        ) from None
    if len(lines) < 2:
        raise DataError(
            f"{str(path)!r} must have a header and rows, found {len(lines)} lines: check the file."
        )
    header = lines[0][1]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"the header of {str(path)!r} names column {twice[0]!r} twice: rename one.")
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise DataError(
                f"line {line} of {str(path)!r} must have {len(header)} cells, found {len(row)}: "
                "check `delimiter` and quotes."
            )
    return Table(path, header, [row for _, row in lines[1:]], [line for line, _ in lines[1:]])


def is_missing(cell: str) -> bool:
    """Whether a cell says nothing: it is empty or `?`."""
    return cell in MISSING


def numbers_of(table: Table, column: str, rows: Sequence[int]) -> list[float]:
    """The numbers of a column in some rows, NaN where missing.

    Raises:
        DataError: a cell is not a number; the message names line and column.
    """
    place = table.place(column)
    numbers = []
    for row in rows:
        cell = table.rows[row][place]
        if not _is_number(cell):
            raise DataError(
                f"{table.where(row)} must have a number in column {column!r}, found {cell!r}: correct it."
            )
        numbers.append(math.nan if is_missing(cell) else float(cell))
    return numbers


def _is_number(cell: str) -> bool:
    if is_missing(cell):
        return True
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
