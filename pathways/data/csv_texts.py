"""Columns of texts that are no categories: what most likely is meant instead."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    cells, texts = _cells(table, column)
    other = "" if is_target else ", or list the column in `categorical`"
    if odd_texts(table, column):
        row, cell = texts[0]
        raise DataError(
            f"{table.where(row)} must have a number in column {column!r}, as {len(cells) - len(texts)} of its "
            f"{len(cells)} cells, found {cell!r}: correct it; or list it in `blank` if it says that nothing is "
            f"known{other}."
        )
    if has_commas(table, column):
        raise DataError(
            f"column {column!r} of {str(table.path)!r} must have numbers with a point, found {texts[0][1]!r}: say "
            "`decimal: ','`."
        )
    if hardly_repeats(table, column):
        different = {cell for _, cell in texts}
        step = "put day, month and year into columns of numbers, or " if are_dates(table, column) else ""
        step += "name another column as `target`" if is_target else f"list it in `drop`{other}"
        raise DataError(
            f"column {column!r} of {str(table.path)!r} must have categories that repeat, found {len(different)} "
            f"different texts in {len(cells)} cells, such as {texts[0][1]!r:.40}: {step}."
        )


def odd_texts(table: Table, column: str) -> set[str]:
    """The texts of a column of numbers; empty where it is none, or has none."""
    cells, texts = _cells(table, column)
    return {cell for _, cell in texts} if len(cells) - len(texts) >= MOST * len(cells) else set()


def has_commas(table: Table, column: str) -> bool:
    """Whether a column is of numbers with a comma before their fractions."""
    cells, texts = _cells(table, column)
    return bool(texts) and sum(bool(_COMMA.fullmatch(cell)) for _, cell in texts) >= MOST * len(cells)


def hardly_repeats(table: Table, column: str) -> bool:
    """Whether a column is of texts that are no categories, such as names, ids and dates."""
    cells, texts = _cells(table, column)
    different = {cell for _, cell in texts}
    return len(different) > FEW and 2 * len(different) > len(cells)


def are_dates(table: Table, column: str) -> bool:
    """Whether a column is of dates or times."""
    cells, texts = _cells(table, column)
    return bool(cells) and len(texts) == len(cells) and all(_DATE.fullmatch(cell) for _, cell in texts)


_Cells = list[tuple[int, str]]


def _cells(table: Table, column: str) -> tuple[_Cells, _Cells]:
    """The cells of a column that say something, with their rows, and those of them that are no numbers."""
    cells = [(row, cell) for row, cell in enumerate(table.column(column)) if not is_missing(cell)]
    return cells, [(row, cell) for row, cell in cells if not is_number(cell)]


__all__ = ["are_dates", "check_texts", "hardly_repeats", "has_commas", "odd_texts"]
