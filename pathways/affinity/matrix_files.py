"""Affinity matrices as CSV and JSON, both ways and without loss."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np

from pathways.errors import DataError
from pathways.files import write_atomically

from .matrix import Affinity, Kind

_HEAD = ("kind", "estimator", "unit", "higher_is_better", "shared", "about")


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
    try:
        readings = np.array(_numbers(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: `readings` must be numbers in rows of one length, found {error}.") from None
    return Affinity(
        tuple(data["affected"]), tuple(data["sources"]), data["kind"], data["estimator"], data.get("unit", ""),
        readings, data.get("higher_is_better", True), tuple(data.get("shared", ())), tuple(data.get("steps", ())),
        data.get("about", {}),
    )


def write_json(affinity: Affinity, file: str | Path) -> Path:
    """Write a matrix as JSON; returns the file."""
    path = Path(file)
    write_atomically(path, json.dumps(to_json(affinity), indent=1).encode())
    return path


def read_json(file: str | Path) -> Affinity:
    """The matrix in a JSON file."""
    try:
        data = json.loads(Path(file).read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
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
    out = io.StringIO()
    for name in _HEAD:
        out.write(f"# {name}: {json.dumps(_plain(getattr(affinity, name)))}\n")
    many = affinity.readings.shape[:2] != (1, 1) or bool(affinity.steps)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["affected_task", *(["repeat", "step"] if many else []), *affinity.sources])
    for r, run in enumerate(affinity.readings):
        for k, moment in enumerate(run):
            at = [r, affinity.steps[k] if affinity.steps else "" if len(run) == 1 else k] if many else []
            for task, row in zip(affinity.affected, moment, strict=True):
                writer.writerow([task, *at, *("" if math.isnan(value) else repr(float(value)) for value in row)])
    return out.getvalue()


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
    numbered = list(enumerate(text.splitlines(), 1))
    for _, line in numbered:
        if line.startswith("#"):
            name, _, value = line[1:].partition(":")
            try:
                head[name.strip()] = json.loads(value)
            except json.JSONDecodeError:
                continue  # a comment of the user's own
    numbered = [(number, line) for number, line in numbered if line.strip() and not line.startswith("#")]
    rows = [(number, next(csv.reader([line]))) for number, line in numbered]
    if not rows or rows[0][1][0].strip() != "affected_task" or len(rows) < 2:
        raise DataError(f"{where} must have the header `affected_task,TASK,…` and a row for each affected task.")
    names = [name.strip() for name in rows[0][1][1:]]
    many = names[:2] == ["repeat", "step"]
    sources = names[2:] if many else names
    cells: dict[tuple[int, int, str], list[float]] = {}
    stepless = True
    for number, row in rows[1:]:
        if len(row) != 1 + len(names):
            raise DataError(f"{where}, line {number}: must have {1 + len(names)} cells, found {len(row)}.")
        at = (_whole(row[1], where, number), _whole(row[2].strip() or "0", where, number)) if many else (0, 0)
        stepless = stepless and (not many or not row[2].strip())
        key = (*at, row[0].strip())
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


def _cell(text: str, where: str, line: int) -> float:
    if not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{where}, line {line}: a value must be a number or empty, found {text!r}.") from None


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


__all__ = ["from_csv", "from_json", "read_csv", "read_json", "to_csv", "to_json", "write_csv", "write_json"]
