"""What the configuration for a table of the user's own must say of it, found by looking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pathways.data.csv_table import Table, is_missing, is_number, read_table
from pathways.data.csv_texts import Texts, texts_of
from pathways.errors import DataError

MARKS = (",", ";", "\t", "|")
"""What may stand between cells."""

NOTHING = frozenset({"na", "n/a", "nan", "null", "none", "nil", "-", "--", ".", "missing", "unknown"})
"""What cells of numbers say, in small letters, where they say nothing."""

_NUMBERS = frozenset({"id", "idx", "index", "row", "nr", "no", "number", "key", "uuid"})  # rows, when none repeats

CLASSES = 20
"""Up to so many different whole numbers in a column are taken for classes."""


@dataclass(frozen=True)
class Found:
    """What was found in a table; the arguments of `pathways.data.csv`.

    Args:
        target: the column to predict.
        values: whether that is numbers to come close to.
        delimiter: between cells.
        decimal: before fractions.
        blank: what cells of numbers say where they say nothing.
        drop: columns of which nothing can be learned.
        missing: whether inputs have cells that say nothing.
    """

    target: str
    values: bool = False
    delimiter: str = ","
    decimal: str = "."
    blank: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    missing: bool = False


def look_at(file: Path, target: str | None = None) -> Found:
    """What the table in a file needs.

    Args:
        file: with a header.
        target: the column to predict; else one that is called so, else the last.

    Raises:
        DataError: it is no table, or has no such column.
    """
    delimiter = _delimiter(file)
    table = read_table(file, delimiter)
    usual = [column for column in table.header if column.strip().lower() in ("target", "label", "class", "y")]
    target = target or (usual or list(table.header))[-1]
    table.place(target)
    found, texts = Found(target, delimiter=delimiter), _texts(table)
    if delimiter != "," and any(each.commas for each in texts.values()):
        found = replace(found, decimal=",")
        table = read_table(file, delimiter, ",")
        texts = _texts(table)
    odd = {text for each in texts.values() if each.odd for text in each.different}
    if blank := tuple(sorted(text for text in odd if text.lower() in NOTHING)):
        found = replace(found, blank=blank)
        table = read_table(file, delimiter, found.decimal, blank)
        texts = _texts(table)
    inputs = [column for column in table.header if column != target]
    drop = tuple(column for column in inputs if _says_nothing(column, table.column(column), texts[column]))
    missing = any(is_missing(cell) for column in inputs if column not in drop for cell in table.column(column))
    return replace(found, values=are_values(table.column(target)), drop=drop, missing=missing)


def _delimiter(file: Path) -> str:
    """The mark that makes a table of the most columns; a comma where none makes one."""
    widths: dict[str, int] = {}
    for mark in MARKS:
        try:
            widths[mark] = len(read_table(file, mark).header)
        except DataError:
            continue
    return max(widths, key=lambda mark: widths[mark], default=",")


def _texts(table: Table) -> dict[str, Texts]:
    return {column: texts_of(table, column) for column in table.header}


def _says_nothing(column: str, cells: Sequence[str], found: Texts) -> bool:
    """Whether a column only tells rows apart: no name, dates, or texts or row numbers that hardly repeat."""
    name = column.lower().replace("-", "_").replace(" ", "_")
    numbered = name in _NUMBERS or name.endswith("_id")
    return (
        column == ""
        or found.dates
        or (found.hardly_repeat and not found.odd)
        or (numbered and not found.texts and len(set(cells)) == len(cells))
    )


def are_values(cells: Sequence[str]) -> bool:
    """Whether a column is of numbers to come close to: not words, and not a few whole numbers that stand for classes.

    >>> are_values(["0", "1", "1"]), are_values(["a", "b"]), are_values(["1.5", "2.25"])
    (False, False, True)
    """
    if not all(map(is_number, cells)):
        return False
    numbers = {float(cell) for cell in cells if not is_missing(cell)}
    return len(numbers) > CLASSES or not all(number.is_integer() for number in numbers)


__all__ = ["Found", "are_values", "look_at"]
