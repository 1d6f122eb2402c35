"""Affinity matrices as CSV and JSON, both ways and without loss."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from pathways.errors import ConfigError, DataError
from pathways.files import write_atomically

from .matrix import Affinity, Kind

_HEAD = ("kind", "estimator", "unit", "higher_is_better", "shared", "about")
Rows = list[tuple[int, list[str]]]


def to_json(affinity: Affinity) -> dict[str, Any]:
    """A matrix as plain data; what was not measured is `None`.

    >>> import numpy as np
    >>> found = Affinity(("a",), ("b",), "transfer", "ahp", "share", np.array([[0.5]]))
    >>> to_json(found)["matrix"], from_json(to_json(found)).values
    ([[0.5]], array([[0.5]]))
    """
    return {
        "affected": list(affinity.affected), "sources": list(affinity.sources),
        **{name: _plain(getattr(affinity, name)) for name in _HEAD},
        "steps": list(affinity.steps),
        "matrix": _plain(affinity.values.tolist()),
        "standard_error": _plain(affinity.standard_error.tolist()),
        "readings": _plain(affinity.readings.tolist()),
    }


def from_json(data: Any, where: str = "`data`") -> Affinity:
    """The matrix that `to_json` wrote; without `readings`, `matrix` is one reading.

    Raises:
        DataError: something is missing or has the wrong shape; `where` says in the message where it stands.
    """
    if not isinstance(data, dict):
        raise DataError(f"{where} must hold a mapping with {['affected', 'sources', *_HEAD]}, found {data!r:.60}.")
    values = data.get("readings", data.get("matrix"))
    missing = [name for name in ("affected", "sources", "kind", "estimator") if name not in data]
    missing += ["readings"] if values is None else []
    if missing:
        raise DataError(f"{where} must have `{missing[0]}`: add it.")
    for name in ("affected", "sources", "shared", "steps"):
        found = data.get(name, ())
        kinds = (int,) if name == "steps" else (str,)
        if not isinstance(found, (list, tuple)) or any(type(item) not in kinds for item in found):
            what = "whole numbers" if name == "steps" else "names"
            raise DataError(f"{where}: `{name}` must be a list of {what}, found {found!r:.60}.")
    if not isinstance(data.get("higher_is_better", True), bool):
        raise DataError(f"{where}: `higher_is_better` must be true or false, found {data['higher_is_better']!r:.60}.")
    if not isinstance(data.get("about", {}), dict):
        raise DataError(f"{where}: `about` must be a mapping, found {data['about']!r:.60}.")
    try:
        readings = np.array(_numbers(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: `readings` must be numbers in rows of one length, found {error}.") from None
    try:
        return Affinity(
            tuple(data["affected"]), tuple(data["sources"]), data["kind"], data["estimator"], data.get("unit", ""),
            readings, data.get("higher_is_better", True), tuple(data.get("shared", ())), tuple(data.get("steps", ())),
            data.get("about", {}),
        )
    except (ConfigError, DataError) as error:
        raise DataError(f"{where}: {error}") from None


def write_json(affinity: Affinity, file: str | Path) -> Path:
    """Write a matrix as JSON; returns the file."""
    path = Path(file)
    write_atomically(path, json.dumps(to_json(affinity), indent=1).encode())
    return path


def read_json(file: str | Path) -> Affinity:
    """The matrix in a JSON file."""
    try:
        data = json.loads(Path(file).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{file} must be a JSON file that can be read: {error}.") from None
    return from_json(data, str(file))


def to_csv(affinity: Affinity) -> str:
    """A matrix as CSV: comment lines `# name: JSON`, then a row for each affected task.

    A matrix of several readings has two more columns in front of the sources, `repeat` and `step`.

    >>> import numpy as np
    >>> print(to_csv(Affinity(("a", "b"), ("a", "b"), "co-training", "cosine", "cosine", np.eye(2))))
    # kind: "co-training"
    # estimator: "cosine"
    # unit: "cosine"
    # higher_is_better: true
    # shared: []
    # about: {}
    affected_task,a,b
    a,1.0,0.0
    b,0.0,1.0
    <BLANKLINE>
    """
    lines = [f"# {name}: {json.dumps(_plain(getattr(affinity, name)))}\n" for name in _HEAD]
    many = affinity.readings.shape[:2] != (1, 1) or bool(affinity.steps)
    lines.append(_line(["affected_task", *(["repeat", "step"] if many else []), *affinity.sources]))
    for r, run in enumerate(affinity.readings):
        for k, moment in enumerate(run):
            at = [r, affinity.steps[k] if affinity.steps else "" if len(run) == 1 else k] if many else []
            for task, row in zip(affinity.affected, moment, strict=True):
                lines.append(_line([task, *at, *("" if math.isnan(value) else repr(float(value)) for value in row)]))
    return "".join(lines)


def _line(cells: list[Any]) -> str:
    """A row as CSV; a first name that would make it a comment stands in quotes."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    line = out.getvalue()
    return f'"{cells[0]}"{line[len(cells[0]) :]}' if line.startswith("#") else line


def write_csv(affinity: Affinity, file: str | Path) -> Path:
    """Write a matrix as CSV; returns the file."""
    path = Path(file)
    write_atomically(path, to_csv(affinity).encode())
    return path


def read_csv(file: str | Path, kind: Kind = "co-training", higher_is_better: bool = True) -> Affinity:
    """The matrix in a CSV file with the header `affected_task,TASK,…`.

    Args:
        file: what `write_csv` wrote, or a plain table.
        kind: of a plain table, which does not say.
        higher_is_better: of a plain table.

    Raises:
        DataError: file, line and what was expected there.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} must be a CSV file that can be read: {error}.") from None
    return from_csv(text, str(file), kind, higher_is_better)


def from_csv(
    text: str, where: str = "`text`", kind: Kind = "co-training", higher_is_better: bool = True
) -> Affinity:
    """The matrix in a CSV text; see `read_csv`."""
    head: dict[str, Any] = {"kind": kind, "estimator": "table", "higher_is_better": higher_is_better}
    comments, rows = csv_rows(text, where)
    for number, comment in comments:
        name, _, value = comment[1:].partition(":")
        if name.strip() not in _HEAD:
            continue  # a comment of the user's own
        try:
            head[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            raise DataError(
                f"{where}, line {number}: `{name.strip()}` must be written as JSON, such as true or \"text\", found "
                f"{value.strip()!r:.60}."
            ) from None
    if not rows or rows[0][1][0] != "affected_task" or len(rows) < 2:
        raise DataError(f"{where} must have the header `affected_task,TASK,…` and a row for each affected task.")
    names = rows[0][1][1:]
    many = names[:2] == ["repeat", "step"]
    sources = names[2:] if many else names
    cells: dict[tuple[int, int, str], list[float]] = {}
    stepless = True
    for number, row in rows[1:]:
        if len(row) != 1 + len(names):
            raise DataError(f"{where}, line {number}: must have {1 + len(names)} cells, found {len(row)}.")
        at = (_whole(row[1], where, number), _whole(row[2] or "0", where, number)) if many else (0, 0)
        stepless = stepless and (not many or not row[2])
        key = (*at, row[0])
        if key in cells:
            raise DataError(f"{where}, line {number}: must name each task once, found {key[2]!r} again.")
        cells[key] = [_cell(cell, where, number) for cell in row[3 if many else 1 :]]
    affected = tuple(dict.fromkeys(task for *_, task in cells))
    repeats, steps = sorted({r for r, _, _ in cells}), sorted({k for _, k, _ in cells})
    nothing = [math.nan] * len(sources)
    readings = [[[cells.get((r, k, task), nothing) for task in affected] for k in steps] for r in repeats]
    return from_json({
        **head, "affected": affected, "sources": sources, "readings": readings, "steps": [] if stepless else steps,
    }, where)  # fmt: skip


def csv_rows(text: str, where: str) -> tuple[list[tuple[int, str]], Rows]:
    r"""The comments in a table and its rows, each with the number of its line; empty lines are left out.

    A line that begins with `#` is a comment. A cell in quotes may begin with one, and may hold commas, line ends and,
    doubled, quotes.

    >>> csv_rows('# mine\na,"b, c"\n"#1",2\n', "`text`")
    ([(1, '# mine')], [(2, ['a', 'b, c']), (3, ['#1', '2'])])

    Raises:
        DataError: a cell is too long to be one.
    """
    comments: list[tuple[int, str]] = []
    rows: Rows = []
    number, begins = 0, 0

    def lines() -> Iterator[str]:
        nonlocal number, begins
        for number, line in enumerate(io.StringIO(text, newline=""), 1):
            begins = begins or number  # 0 between two rows; a quoted cell goes on over lines
            if begins == number and line.startswith("#"):
                comments.append((number, line.strip()))
                begins = 0
            else:
                yield line

    try:
        for row in csv.reader(lines(), skipinitialspace=True):
            if any(cell.strip() for cell in row):
                rows.append((begins, [cell.strip() for cell in row]))
            begins = 0
    except csv.Error as error:
        raise DataError(f"{where}, line {begins}: must be a row of cells, found that {error}.") from None
    return comments, rows


def _cell(text: str, where: str, line: int) -> float:
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}, line {line}: a value must be a number or empty, found {text!r:.60}.") from None


def _whole(text: str, where: str, line: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{where}, line {line}: `repeat` and `step` must be whole numbers, found {text!r}.") from None


def _plain(value: Any) -> Any:
    """As JSON knows it: tuples as lists, NaN as null."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return math.nan if value is None else cast(float, value)


__all__ = [
    "Rows", "csv_rows", "from_csv", "from_json", "read_csv", "read_json", "to_csv", "to_json", "write_csv",
    "write_json",
]
