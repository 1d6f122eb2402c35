"""The numbers of a report as tables: what its CSV files hold and its page shows."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

Cell = str | float | int | bool | None


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        name: of its file.
        columns: their names.
        rows: their cells; what is not known is NaN or `None`.

    Example:
        >>> Table("costs", ("what", "seconds"), (("cosine", 3.0),)).records()
        [{'what': 'cosine', 'seconds': 3.0}]
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def records(self) -> list[dict[str, Cell]]:
        """The rows as mappings."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def table_csv(table: Table) -> str:
    """A table as CSV; what is not known is empty, numbers are whole.

    >>> print(table_csv(Table("t", ("a", "b"), (("x", 0.1), ("y", float("nan"))))), end="")
    a,b
    x,0.1
    y,
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow(["" if cell is None or cell != cell else _whole(cell) for cell in row])
    return out.getvalue()


def _whole(cell: Any) -> Any:
    return repr(float(cell)) if isinstance(cell, float) and math.isfinite(cell) else cell


__all__ = ["Cell", "Table", "table_csv"]
