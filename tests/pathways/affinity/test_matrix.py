"""`Affinity`: axes, repeats and their errors, files both ways."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pathways.affinity import Affinity, pooled, read_csv, read_json, write_csv, write_json
from pathways.affinity.matrix import KINDS, require_kind
from pathways.affinity.matrix_files import from_csv, from_json, to_csv, to_json
from pathways.errors import ConfigError, DataError


def some(readings: object, **changes: object) -> Affinity:
    whole = Affinity(("a", "b"), ("a", "b", "self"), "transfer", "ahp", "share", readings)  # type: ignore[arg-type]
    return replace(whole, **changes)  # type: ignore[arg-type]


def equal(one: Affinity, two: Affinity) -> bool:
    names = ("affected", "sources", "kind", "estimator", "unit", "higher_is_better", "shared", "steps", "about")
    return all(getattr(one, n) == getattr(two, n) for n in names) and np.array_equal(
        one.readings, two.readings, equal_nan=True
    )


numbers = st.floats(-1e100, 1e100) | st.just(float("nan"))


@given(st.data(), st.sampled_from(KINDS), st.booleans())
def test_files_give_back_what_was_written(data: st.DataObject, kind: str, better: bool) -> None:
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.just(2), st.just(3)))
    steps = data.draw(st.sampled_from([(), tuple(range(0, 10 * shape[1], 10))])) if shape[:2] != (1, 1) else ()
    found = some(
        data.draw(arrays(np.float64, shape, elements=numbers)), kind=kind, higher_is_better=better,
        steps=steps or tuple(range(shape[1])) if shape[:2] != (1, 1) else (), shared=("w",), about={"seed": 1},
    )  # fmt: skip
    assert equal(from_json(json.loads(json.dumps(to_json(found)))), found)
    assert equal(from_csv(to_csv(found)), found)


def test_files_on_disk(tmp_path: Path) -> None:
    found = some(np.arange(6.0).reshape(2, 3))
    assert equal(read_json(write_json(found, tmp_path / "a.json")), found)
    assert equal(read_csv(write_csv(found, tmp_path / "a.csv")), found)


def test_a_plain_table_is_one_reading(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("affected_task,a,b\na,1,0.5\nb,,2\n")
    found = read_csv(tmp_path / "t.csv", higher_is_better=False)
    assert found.kind == "co-training"
    assert not found.higher_is_better
    assert found["a", "b"] == 0.5
    assert np.isnan(found["b", "a"])


def test_standard_errors_come_from_repeats() -> None:
    rng = np.random.default_rng(0)
    readings = rng.normal(size=(5, 7, 2, 3))
    readings[0, 3, 0, 0] = np.nan
    found = some(readings)
    means = np.nanmean(readings, axis=1)
    assert np.allclose(found.values, means.mean(0))
    assert np.allclose(found.standard_error, means.std(0, ddof=1) / np.sqrt(5))
    assert np.allclose(found.course, np.nanmean(readings, axis=0))
    assert np.isnan(some(readings[:1]).standard_error).all()


def test_parts_of_one_measurement_are_pooled() -> None:
    parts = [some(np.full((2, 3), float(i))) for i in range(3)]
    assert pooled(parts).repeats == 3
    assert (pooled(parts).values == 1.0).all()
    with pytest.raises(DataError, match="same `kind`"):
        pooled([parts[0], replace(parts[0], kind="dependence")])


def test_parts_of_a_matrix() -> None:
    found = some(np.arange(6.0).reshape(2, 3))
    assert found.of(["b"], ["self", "a"]).values.tolist() == [[5.0, 3.0]]
    with pytest.raises(DataError, match=r"\['self'\] on one side only"):
        found.square()
    assert found.of(["b", "a"]).square().tasks == ("b", "a")
    with pytest.raises(DataError, match="`affected` must hold 'c'"):
        found.of(["c"])


@pytest.mark.parametrize(("changes", "message"), [
    ({"kind": "both"}, "`kind` must be one of"),
    ({"affected": ("a", "a")}, "found 'a' twice"),
    ({"affected": ("a",)}, "must have the shape"),
    ({"steps": (1, 2)}, "must name each of 1 moments, found 2"),
])
def test_what_is_wrong_is_said(changes: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        some(np.zeros((2, 3)), **changes)


@pytest.mark.parametrize(("text", "message"), [
    ("", "must have the header"),
    ("affected_task,a\n", "must have the header"),
    ("task,a\na,1\n", "must have the header"),
    ("affected_task,a,b\na,1\n", "line 2: must have 3 cells, found 2"),
    ("affected_task,a\na,x\n", "line 2: a value must be a number or empty, found 'x'"),
    ("affected_task,a\na,1\na,1\n", "line 3: must name each task once"),
    ("affected_task,repeat,step,a\na,0,one,1\n", "line 2: `repeat` and `step` must be whole numbers"),
])
def test_a_wrong_table_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_csv(text, "t.csv")


def test_wrong_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[")
    with pytest.raises(DataError, match="must be a JSON file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(DataError, match="must have `kind`"):
        from_json({"affected": [], "sources": [], "matrix": []})


def test_kinds_are_not_mixed() -> None:
    with pytest.raises(ConfigError, match="needs a matrix of kind 'co-training', found 'transfer' from `ahp`"):
        require_kind(some(np.zeros((2, 3))), "co-training", "TAG's rule")


def test_readings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        some(np.zeros((2, 3))).readings[0] = 1.0
