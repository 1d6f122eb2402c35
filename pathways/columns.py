"""How the columns of a table become one vector a row, as plain data that stays with a champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column: a number, or categories.

    Args:
        name: in the table's header.
        categories: each becomes an entry of 0 or 1; `None` for a column of numbers.
        mean: what a missing number becomes.
    """

    name: str
    categories: tuple[str, ...] | None = None
    mean: float = 0.0

    @property
    def width(self) -> int:
        """How many entries it takes."""
        return 1 if self.categories is None else len(self.categories)

    def to_json(self) -> dict[str, Any]:
        """The column as plain data."""
        if self.categories is not None:
            return {"name": self.name, "categories": list(self.categories)}
        return {"name": self.name, "mean": self.mean}


@dataclass(frozen=True)
class Columns:
    """The columns that make an input, in order.

    Args:
        columns: what each becomes.
        missing: whether cells may be missing: then a number is its mean, and a category none of them.
        delimiter: between the cells of a row.
        decimal: between whole numbers and their fractions, `.` or `,`.
        blank: what cells say where they say nothing, beside being empty or `?`.

    Example:
        >>> Columns((Column("age"), Column("town", ("Bern", "Rome")))).width
        3
    """

    columns: tuple[Column, ...]
    missing: bool = False
    delimiter: str = ","
    decimal: str = "."
    blank: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many entries a row has."""
        return sum(column.width for column in self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        """The columns as plain data."""
        columns = [column.to_json() for column in self.columns]
        return {
            "columns": columns, "missing": self.missing, "delimiter": self.delimiter,
            **({"decimal": self.decimal} if self.decimal != "." else {}),
            **({"blank": list(self.blank)} if self.blank else {}),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Columns:
        """The columns that `to_json` wrote."""
        columns = []
        for item in data["columns"]:
            categories = tuple(map(str, item["categories"])) if "categories" in item else None
            columns.append(Column(str(item["name"]), categories, float(item.get("mean", 0.0))))
        more = str(data.get("decimal", ".")), tuple(map(str, data.get("blank", ())))
        return cls(tuple(columns), bool(data["missing"]), str(data["delimiter"]), *more)
