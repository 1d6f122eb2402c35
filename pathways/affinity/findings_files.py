"""A study's findings as a JSON file, both ways and without loss."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pathways.errors import DataError
from pathways.files import write_atomically

from . import matrix_files
from .findings import Arm, Cost, Curve, Findings, Trained
from .selection import Network, Selection

FORMAT = 1


def write_findings(findings: Findings, file: str | Path) -> Path:
    """Write findings as JSON; returns the file.

    What is NaN is `null`, infinities are `"inf"` and `"-inf"`: any reader of JSON can read it.
    """
    path = Path(file)
    text = json.dumps(findings_to_json(findings), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())
    return path


def read_findings(file: str | Path) -> Findings:
    """The findings in a JSON file.

    Raises:
        DataError: the file cannot be read, or lacks something; the message names both.
    """
    try:
        data = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{file} must be a JSON file that can be read: {error}.") from None
    return findings_from_json(data, str(file))


def findings_to_json(findings: Findings) -> dict[str, Any]:
    """Findings as plain data."""
    named = {field.name: plain(getattr(findings, field.name)) for field in fields(findings)}
    matrices = [plain(matrix_files.to_json(affinity)) for affinity in findings.affinities]
    return {"format": FORMAT, **named, "affinities": matrices}


def findings_from_json(data: Any, where: str = "`data`") -> Findings:
    """The findings that `findings_to_json` made.

    Raises:
        DataError: something is missing or of another form; `where` says in the message where it stands.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else data
        raise DataError(f"{where} must hold findings of format {FORMAT}, found {found!r:.60}.")
    known = {field.name for field in fields(Findings)} - _READ.keys()
    try:
        return Findings(**{name: data[name] for name in known}, **{name: _READ[name](data[name]) for name in _READ})
    except KeyError as error:
        raise DataError(f"{where} must have {error.args[0]!r}: it is not what `write_findings` wrote.") from None
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} must be what `write_findings` wrote, found another form: {error}.") from None


def plain(value: Any) -> Any:
    """As JSON knows it: arrays and tuples as lists, dataclasses as mappings, NaN as null, infinities as words.

    >>> plain({"a": np.array([1.0, np.nan]), "b": (np.inf, np.int64(3))})
    {'a': [1.0, None], 'b': ['inf', 3]}
    """
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, _RECORDS):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


_RECORDS = (Arm, Cost, Curve, Network, Selection, Trained)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _array(value: Any) -> Any:
    def filled(item: Any) -> Any:
        return [filled(one) for one in item] if isinstance(item, list) else _number(item)

    return np.array(filled(value), dtype=np.float64)


def _numbers(value: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(item) for name, item in value.items()}


def _trained(data: Mapping[str, Any]) -> Trained:
    return Trained(
        tuple(data["tasks"]), _number(data["cost"]), _array(data["validation"]), _array(data["test"]),
        _number(data["seconds"]), _numbers(data["predicted"]), str(data.get("source", "")),
    )  # fmt: skip


def _arm(data: Mapping[str, Any]) -> Arm:
    return Arm(
        data["name"], tuple(data["networks"]), dict(data["serves"]), _number(data["cost"]),
        _array(data["validation"]), _array(data["test"]),
    )  # fmt: skip


def _curve(data: Mapping[str, Any]) -> Curve:
    predicted = {name: _array(values) for name, values in data["predicted"].items()}
    return Curve(_array(data["budgets"]), predicted, data["rule"], data["higher_is_better"], data["unit"])


def _cost(data: Mapping[str, Any]) -> Cost:
    return Cost(data["what"], _number(data["joint_runs"]), _number(data["seconds"]), data["peak_bytes"])


def _selection(data: Mapping[str, Any]) -> Selection:
    networks = tuple(Network(tuple(n["tasks"]), _number(n["cost"]), n["name"]) for n in data["networks"])
    amounts: dict[str, Any] = {name: _number(data[name]) for name in ("value", "cost", "budget", "bound", "seconds")}
    words: dict[str, Any] = {name: data[name] for name in ("rule", "higher_is_better", "optimal", "solver")}
    return Selection(
        networks=networks, serves=dict(data["serves"]), by_task=_numbers(data["by_task"]), about=data["about"],
        **words, **amounts,
    )  # fmt: skip


def _each(read: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda items: tuple(read(item) for item in items)


_READ: dict[str, Callable[[Any], Any]] = {
    "tasks": tuple, "seeds": tuple, "affinities": _each(matrix_files.from_json), "selection": _selection,
    "curve": _curve, "trained": _each(_trained), "arms": _each(_arm), "costs": _each(_cost), "stability": _array,
}  # fmt: skip


__all__ = ["findings_from_json", "findings_to_json", "read_findings", "write_findings"]
