"""A table of text cells, as a CSV file holds it."""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pathways.errors import DataError
from pathways.modules.near import nearest

MISSING = ("", "?")
_WITH_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d+)?([eE][+-]?\d+)?")


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
        return {name: all(is_number(cell) for cell in self.column(name)) for name in self.header}

    def place(self, column: str) -> int:
        """The number of a column; a `DataError` lists the columns there are."""
        if column not in self.header:
            close = nearest(column, self.header)
            hint = f"did you mean {close[0]!r}? " if close else ""
            hint = _other_delimiter(self.header) or hint
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


def read_table(path: Path, delimiter: str = ",", decimal: str = ".", blank: Sequence[str] = ()) -> Table:
    """The table of a CSV file with a header, plain or gzipped, in UTF-8, with a byte order mark or without.

    Cells are those of `cell_of`: numbers with points, and empty where they say nothing.

    Args:
        path: the file.
        delimiter: the one character between cells.
        decimal: between whole numbers and their fractions, `.` or `,`.
        blank: what cells say where they say nothing, beside being empty or `?`.

    Raises:
        DataError: the file cannot be read, has no header or no rows, names a column twice, or has a row of another
            length.
    """
    if decimal not in (".", ","):
        raise DataError(f"`decimal` must be '.' or ',', found {decimal!r}: choose one.")
    if decimal == delimiter:
        raise DataError(f"`decimal` must be another mark than `delimiter`, found {decimal!r} for both.")
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode("utf-8-sig")
        reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
        lines = [(reader.line_num, row) for row in reader if row]
    except UnicodeDecodeError as error:
        raise DataError(
            f"`file` must be a CSV table in UTF-8, found {str(path)!r} ({error}): save it as UTF-8."
        ) from None
    except (OSError, EOFError, zlib.error, csv.Error, TypeError) as error:
        raise DataError(
            f"`file` must be a CSV table in UTF-8, found {str(path)!r} ({error}): check the file."
        ) from None
    if len(lines) < 2:
        raise DataError(
            f"{str(path)!r} must have a header and rows, found {len(lines)} lines: check the file."
        )
    header = tuple(cell.strip() for cell in lines[0][1])
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"the header of {str(path)!r} names column {twice[0]!r} twice: rename one.")
    if all(cell and not is_missing(cell) and is_number(cell) for cell in header):
        raise DataError(
            f"{str(path)!r} must begin with a header, found the numbers {list(header)[:4]}: put the names of the "
            "columns into its first line."
        )
    for line, row in lines[1:]:
        if len(row) != len(header):
            raise DataError(
                f"line {line} of {str(path)!r} must have {len(header)} cells, found {len(row)}: "
                f"{_other_delimiter(header)}check `delimiter` and quotes."
            )
    rows = [tuple(cell_of(cell, decimal, blank) for cell in row) for _, row in lines[1:]]
    return Table(path, header, rows, [line for line, _ in lines[1:]])


def _other_delimiter(header: Sequence[str]) -> str:
    """What a header of one cell says of the delimiter; empty where it says nothing."""
    marks = [mark for mark in ";\t|," if len(header) == 1 and mark in header[0]]
    return f"its cells seem to be separated by {marks[0]!r}, say `delimiter: {marks[0]!r}`; " if marks else ""


def cell_of(text: str, decimal: str = ".", blank: Sequence[str] = ()) -> str:
    """A cell without spaces around it, empty where it says nothing, its number with a point.

    >>> cell_of(" 1.234,5", decimal=","), cell_of("1.2.2024", decimal=","), cell_of("NA", blank=["NA"])
    ('1234.5', '1.2.2024', '')
    """
    cell = text.strip()
    if cell in blank:
        return ""
    if decimal == "," and cell and _WITH_COMMA.fullmatch(cell):
        return cell.replace(".", "").replace(",", ".")
    return cell


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
        if not is_number(cell):
            raise DataError(
                f"{table.where(row)} must have a number in column {column!r}, found {cell!r}: correct it."
            )
        numbers.append(math.nan if is_missing(cell) else float(cell))
    return numbers


def is_number(cell: str) -> bool:
    """Whether a cell is a finite number, or missing."""
    if is_missing(cell):
        return True
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
