"""`write_findings`, `read_findings`: nothing is lost on the way."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from findings_for_tests import findings

from pathways.affinity import read_findings, write_findings
from pathways.affinity.findings_files import findings_from_json, findings_to_json
from pathways.errors import DataError


def equal(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(two, np.ndarray) and one.shape == two.shape and np.array_equal(one, two, equal_nan=True)
    if dataclasses.is_dataclass(one):
        return type(one) is type(two) and all(
            equal(getattr(one, f.name), getattr(two, f.name)) for f in dataclasses.fields(one)
        )
    if isinstance(one, Mapping):
        return one.keys() == two.keys() and all(equal(one[key], two[key]) for key in one)
    if isinstance(one, tuple | list):
        return type(one) is type(two) and len(one) == len(two) and all(map(equal, one, two))
    return type(one) is type(two) and (one == two or (one != one and two != two))


@pytest.mark.parametrize("found", [
    findings(), findings(tasks=2, seeds=1, holes=True), findings(verified=False, higher_is_better=False),
])  # fmt: skip
def test_findings_come_back_as_they_were(found: Any, tmp_path: Path) -> None:
    assert equal(read_findings(write_findings(found, tmp_path / "f.json")), found)


def test_infinities_come_back(tmp_path: Path) -> None:
    found = dataclasses.replace(findings(), stability=np.array([[1.0, np.inf], [-np.inf, np.nan]]))
    readings = np.array([[np.inf, 1.0], [np.nan, -np.inf]])
    matrix = dataclasses.replace(
        found.affinity, affected=("a", "b"), sources=("a", "b"), readings=readings, steps=(),
    )
    found = dataclasses.replace(found, affinities=(matrix,))
    again = read_findings(write_findings(found, tmp_path / "f.json"))
    assert equal(again, found)
    json.loads((tmp_path / "f.json").read_text(), parse_constant=pytest.fail)  # no word that JSON does not know


def test_the_comparison_sees_a_difference() -> None:
    found = findings()
    other = dataclasses.replace(found, costs=(*found.costs[:-1], dataclasses.replace(found.costs[-1], seconds=1.0)))
    assert not equal(found, other)
    assert not equal(found, findings(tasks=4))


@pytest.mark.parametrize(("data", "message"), [
    ([], r"must hold findings of format 1, found \[\]"),
    ({"format": 9}, "must hold findings of format 1, found 9"),
    ({**findings_to_json(findings()), "arms": [{}]}, "must have 'name'"),
    ({k: v for k, v in findings_to_json(findings()).items() if k != "seeds"}, "must have 'seeds'"),
    ({**findings_to_json(findings()), "seeds": 3}, "found another form"),
])
def test_what_is_wrong_is_said(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        findings_from_json(data, "f.json")


def test_a_file_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text("{")
    with pytest.raises(DataError, match=r"f.json must be a JSON file"):
        read_findings(tmp_path / "f.json")
