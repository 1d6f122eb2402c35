"""Tables that networks are chosen from, read by their header: performance tables, pair matrices, transfers."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pathways.errors import ConfigError, DataError

from .matrix import Affinity
from .matrix_files import Rows, csv_rows, from_csv, read_json
from .performance import PerformanceTable, exact


def read_table(file: str | Path, higher_is_better: bool | None = None) -> PerformanceTable | Affinity:
    """The table in a file; its header says what it is.

    | header | what it is | better, when not said |
    |---|---|---|
    | `network,cost,TASK,…` | a performance table, an empty cell where a task is not in a network | lower |
    | `affected_task,TASK,…` | a pair matrix, or any matrix that `write_csv` wrote | higher |
    | `target,SOURCE,…` | transfers of first order | higher |
    | `target,order,sources,affinity,…` | transfers, a row each, sources joined by a vertical bar | higher |

    A `.json` file is a matrix that `write_json` wrote. Transfers become a matrix of kind `transfer` with a column for
    each source or set of sources.

    Args:
        file: CSV or JSON.
        higher_is_better: the sense; the file's own, or the table's above, when not given.

    Raises:
        DataError: file, line, what was expected and what was found.
    """
    path = Path(file)
    if path.suffix.lower() == ".json":
        return _sensed(read_json(path), str(file), higher_is_better)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} must be a CSV file that can be read: {error}.") from None
    return from_text(text, str(file), higher_is_better)


def from_text(text: str, where: str = "`text`", higher_is_better: bool | None = None) -> PerformanceTable | Affinity:
    r"""The table in a CSV text; see `read_table`.

    >>> from_text("network,cost,a,b\nboth,1,0.5,0.25\n").values
    array([[0.5 , 0.25]])
    >>> from_text("target,a,self\nb,0.2,0.8\n")["b", "self"]
    0.8
    """
    _, rows = csv_rows(text, where)
    header = rows[0][1] if rows else [""]
    if header[0] == "affected_task":
        _columns(header, 1, where, rows[0][0])
        return _sensed(from_csv(text, where), where, higher_is_better)
    if header[:2] == ["network", "cost"]:
        return _performance(rows, where, bool(higher_is_better))
    if header[0] == "target":
        better = higher_is_better is not False
        long = header[1:3] == ["order", "sources"]
        return _long(rows, where, better) if long else _wide(rows, where, better)
    raise DataError(
        f"{where} must begin with the header `network,cost,TASK,…`, `affected_task,TASK,…`, `target,SOURCE,…` or "
        f"`target,order,sources,affinity`, found {','.join(header)[:60]!r}: add it."
    )


def joined(tables: Sequence[PerformanceTable | Affinity]) -> PerformanceTable | Affinity:
    """One table of several: transfers of first and higher orders are put side by side.

    Raises:
        ConfigError: there are several that are not transfers.
        DataError: they differ in sense, or give one transfer twice.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    parts = [table for table in tables if isinstance(table, Affinity) and table.kind == "transfer"]
    if len(parts) < len(tables):
        raise ConfigError("several tables must all be transfers, which are put side by side: give one of the others.")
    if len({part.higher_is_better for part in parts}) > 1:
        raise DataError("tables of transfers must have the same sense, found both: say `--sense`.")
    targets = tuple(dict.fromkeys(t for part in parts for t in part.affected))
    sources = tuple(dict.fromkeys(s for part in parts for s in part.sources))
    values = np.full((len(targets), len(sources)), np.nan)
    for part in parts:
        at = np.ix_([targets.index(t) for t in part.affected], [sources.index(s) for s in part.sources])
        both = np.argwhere(np.isfinite(values[at]) & np.isfinite(part.values))
        if len(both):
            target, source = part.affected[both[0][0]], part.sources[both[0][1]]
            raise DataError(f"tables must give each transfer once, found {source!r} to {target!r} twice: drop one.")
        values[at] = np.where(np.isfinite(part.values), part.values, values[at])
    return replace(parts[0], affected=targets, sources=sources, readings=values, steps=())


def _sensed(found: Affinity, where: str, higher_is_better: bool | None) -> Affinity:
    infinite = np.argwhere(np.isinf(found.readings))
    if len(infinite):
        row, column = infinite[0][2:]
        raise DataError(
            f"{where}: a value must be finite or empty, found an infinite one for {found.affected[row]!r} and "
            f"{found.sources[column]!r}."
        )
    return found if higher_is_better is None else replace(found, higher_is_better=higher_is_better)


def _performance(rows: Rows, where: str, higher_is_better: bool) -> PerformanceTable:
    tasks = _columns(rows[0][1], 2, where, rows[0][0])
    names, costs, values = [], [], []
    for number, row in _body(rows, where):
        if row[0] in names:
            raise DataError(f"{where}, line {number}: must name each network once, found {row[0]!r} again: rename it.")
        try:
            costs.append(exact(row[1]))
        except ConfigError as error:
            raise DataError(f"{where}, line {number}: {error}") from None
        names.append(row[0])
        values.append([_number(cell, where, number) for cell in row[2:]])
        if all(math.isnan(value) for value in values[-1]):
            raise DataError(f"{where}, line {number}: network {row[0]!r} must have a task, found none: drop the row.")
    return PerformanceTable(tasks, tuple(names), tuple(costs), np.array(values), higher_is_better)


def _wide(rows: Rows, where: str, higher_is_better: bool) -> Affinity:
    sources = _columns(rows[0][1], 1, where, rows[0][0])
    targets: list[str] = []
    values = []
    for number, row in _body(rows, where):
        if row[0] in targets:
            raise DataError(f"{where}, line {number}: must name each target once, found {row[0]!r} again: drop it.")
        targets.append(row[0])
        values.append([_number(cell, where, number) for cell in row[1:]])
    return Affinity(tuple(targets), sources, "transfer", "table", "", np.array(values), higher_is_better)


def _long(rows: Rows, where: str, higher_is_better: bool) -> Affinity:
    number, header = rows[0]
    if header[3:4] != ["affinity"]:
        raise DataError(f"{where}, line {number}: the fourth column must be `affinity`, found {header[3:4]}.")
    cells: dict[tuple[str, str], float] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    for number, row in _body(rows, where):
        names = [name.strip() for name in row[2].split("|")]
        if row[1] != str(len(names)) or len(set(names)) < len(names) or not all(names):
            raise DataError(
                f"{where}, line {number}: `sources` must be as many different names as `order` says, joined by "
                f"a vertical bar, found order {row[1]!r} and {row[2]!r}."
            )
        key = row[0], "|".join(names)
        if (row[0], frozenset(names)) in seen:
            raise DataError(
                f"{where}, line {number}: must give each transfer once, found {key[1]!r} to {key[0]!r} again: drop it."
            )
        seen.add((row[0], frozenset(names)))
        cells[key] = _number(row[3], where, number)
    targets, sources = (tuple(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
    values = [[cells.get((target, source), math.nan) for source in sources] for target in targets]
    return Affinity(targets, sources, "transfer", "table", "", np.array(values), higher_is_better)


def _columns(header: list[str], first: int, where: str, number: int) -> tuple[str, ...]:
    names = header[first:]
    if not names or not all(names) or len(set(names)) < len(names):
        raise DataError(
            f"{where}, line {number}: the header must have a different name in each column after {header[first - 1]!r},"
            f" found {names}."
        )
    return tuple(names)


def _body(rows: Rows, where: str) -> Rows:
    width = len(rows[0][1])
    if len(rows) < 2:
        raise DataError(f"{where} must have a row below its header, found none.")
    for number, row in rows[1:]:
        if len(row) != width:
            raise DataError(f"{where}, line {number}: must have {width} cells like the header, found {len(row)}.")
        if not row[0]:
            raise DataError(f"{where}, line {number}: the first cell must be a name, found an empty one.")
    return rows[1:]


def _number(cell: str, where: str, number: int) -> float:
    try:
        value = float(cell) if cell else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise DataError(f"{where}, line {number}: a value must be a finite number or empty, found {cell!r:.60}.")
    return value


__all__ = ["from_text", "joined", "read_table"]
