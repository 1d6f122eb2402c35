"""Columns of texts that are no categories: what most likely is meant instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pathways.errors import DataError

from .csv_table import Table, is_missing, is_number

MOST = 0.8
"""From this share of numbers on, a column is one of numbers with some cells that are none."""

FEW = 20
"""So many different texts are always taken for categories."""

_COMMA = re.compile(r"[+-]?[\d.]*\d,\d+")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d{2}(:\d{2})?")


def check_texts(table: Table, columns: Sequence[str], targets: Sequence[str], categorical: Sequence[str]) -> None:
    """Refuse columns whose texts hardly repeat, or that are numbers but for some cells.

    Args:
        table: the cells.
        columns: which to look at, in order.
        targets: those of them that are to be predicted.
        categorical: columns that are categories, whatever they look like.

    Raises:
        DataError: a column is none of categories; the message says what to do.
    """
    for column in columns:
        if column == "":
            place = table.header.index("") + 1
            raise DataError(
                f"column {place} of {str(table.path)!r} must have a name, found none: if it numbers the rows, say "
                "`drop: ['']`; else name it in the header."
            )
        if column not in categorical and not table.is_numeric(column):
            _check(table, column, column in targets)


def _check(table: Table, column: str, is_target: bool) -> None:
    found = texts_of(table, column)
    row, cell = found.texts[0]
    other = "" if is_target else ", or list the column in `categorical`"
    if found.odd:
        raise DataError(
            f"{table.where(row)} must have a number in column {column!r}, as {found.count - len(found.texts)} of its "
            f"{found.count} cells, found {cell!r}: correct it; or list it in `blank` if it says that nothing is "
            f"known{other}."
        )
    if found.commas:
        raise DataError(
            f"column {column!r} of {str(table.path)!r} must have numbers with a point, found {cell!r}: say "
            "`decimal: ','`."
        )
    if found.hardly_repeat:
        step = "put day, month and year into columns of numbers, or " if found.dates else ""
        step += "name another column as `target`" if is_target else f"list it in `drop`{other}"
        raise DataError(
            f"column {column!r} of {str(table.path)!r} must have categories that repeat, found {len(found.different)} "
            f"different texts in {found.count} cells, such as {cell!r:.40}: {step}."
        )


@dataclass(frozen=True)
class Texts:
    """The cells of a column that are no numbers.

    Args:
        count: how many cells of the column say something.
        texts: those of them that are no numbers, with their rows.
    """

    count: int
    texts: tuple[tuple[int, str], ...]

    @cached_property
    def different(self) -> frozenset[str]:
        """The texts, each once."""
        return frozenset(cell for _, cell in self.texts)

    @property
    def odd(self) -> bool:
        """Whether there are some, and the others make it a column of numbers."""
        return bool(self.texts) and self.count - len(self.texts) >= MOST * self.count

    @property
    def commas(self) -> bool:
        """Whether the column is of numbers with a comma before their fractions."""
        return bool(self.texts) and sum(bool(_COMMA.fullmatch(cell)) for _, cell in self.texts) >= MOST * self.count

    @property
    def hardly_repeat(self) -> bool:
        """Whether they are no categories, such as names, ids and dates."""
        return len(self.different) > FEW and 2 * len(self.different) > self.count

    @property
    def dates(self) -> bool:
        """Whether the column is of dates or times."""
        return bool(self.texts) and len(self.texts) == self.count and all(map(_DATE.fullmatch, self.different))


def texts_of(table: Table, column: str) -> Texts:
    """The cells of a column of a table that are no numbers."""
    cells = [(row, cell) for row, cell in enumerate(table.column(column)) if not is_missing(cell)]
    return Texts(len(cells), tuple((row, cell) for row, cell in cells if not is_number(cell)))


__all__ = ["Texts", "check_texts", "texts_of"]
