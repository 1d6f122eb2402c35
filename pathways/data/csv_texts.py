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
    cells = [(row, cell) for row, cell in enumerate(table.column(column)) if not is_missing(cell)]
    texts = [(row, cell) for row, cell in cells if not is_number(cell)]
    other = "" if is_target else ", or list the column in `categorical`"
    if len(cells) - len(texts) >= MOST * len(cells):
        row, cell = texts[0]
        raise DataError(
            f"{table.where(row)} must have a number in column {column!r}, as {len(cells) - len(texts)} of its "
            f"{len(cells)} cells, found {cell!r}: correct it; or list it in `blank` if it says that nothing is "
            f"known{other}."
        )
    if sum(bool(_COMMA.fullmatch(cell)) for _, cell in texts) >= MOST * len(cells):
        raise DataError(
            f"column {column!r} of {str(table.path)!r} must have numbers with a point, found {texts[0][1]!r}: say "
            "`decimal: ','`."
        )
    different = {cell for _, cell in texts}
    if len(different) > FEW and 2 * len(different) > len(cells):
        dates = all(_DATE.fullmatch(cell) for cell in different)
        step = "put day, month and year into columns of numbers, or " if dates else ""
        step += "name another column as `target`" if is_target else f"list it in `drop`{other}"
        raise DataError(
            f"column {column!r} of {str(table.path)!r} must have categories that repeat, found {len(different)} "
            f"different texts in {len(cells)} cells, such as {texts[0][1]!r:.40}: {step}."
        )


__all__ = ["check_texts"]
