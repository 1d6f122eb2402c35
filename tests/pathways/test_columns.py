"""Tables: a champion reads new rows as it read those of training, and answers in their units."""

import json
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pathways import System, data
from pathways.columns import Column, Columns
from pathways.errors import PathwaysError
from pathways.evolve import Independent
from pathways.experiments.cli import main
from pathways.modules import Draft, ModuleSpec
from pathways.path import Path, Step
from pathways.task import Affine, Values

TOWNS = ("Bern", "Oslo", "Rome")
HEADER = "age,town,height,price"
NUMBERS = st.floats(-1e3, 1e3).filter(lambda x: abs(x) > 1e-3)


def rows(n: int, seed: int = 0) -> list[list[str]]:
    draw = random.Random(seed)
    made = []
    for _ in range(n):
        age, town, height = draw.uniform(20, 80), draw.choice(TOWNS), draw.uniform(1.5, 2.0)
        made.append([f"{age:.3f}", town, f"{height:.3f}", f"{1000 + 20 * age + 300 * TOWNS.index(town):.3f}"])
    return made


def write(file, header: str, lines: list[list[str]], delimiter: str = ","):
    file.write_text("\n".join([header.replace(",", delimiter), *(delimiter.join(line) for line in lines)]) + "\n")
    return file


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    lines = rows(120)
    lines[0][0] = "?"
    file = write(folder / "houses.csv", HEADER, lines, ";")
    [task] = data.csv(file, "price", "houses", delimiter=";", missing="mean")
    module = Draft("a", ModuleSpec("linear", {"dim": 16, "activation": "relu"}))
    root = Path(task.inputs, {"a": Step((module,), ("features",))}, "a")
    system = System.create(folder / "run", root=root)
    system.learn(task, Independent(training={"steps": 400, "lr": 0.02}))
    return System.open(folder / "run"), task, folder


def predicted(capsys, folder, file) -> tuple[list[float], str]:
    assert main(["predict", str(folder / "run"), "houses", "--json", "--input", str(file)]) == 0
    said = capsys.readouterr()
    return [answer["values"]["price"] for answer in json.loads(said.out)], said.err


def refused(capsys, folder, file) -> str:
    assert main(["predict", str(folder / "run"), "houses", "--input", str(file)]) == 2
    return capsys.readouterr().err


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4), st.booleans())
def test_an_inverse_undoes(numbers, tuples):
    scale, shift = zip(*numbers, strict=True)
    affine = Affine(scale, shift) if tuples else Affine(scale[0], shift[0])
    undone = affine.inverse
    pairs = zip(*([each] if not tuples else each for each in (undone.scale, undone.shift)), strict=True)
    for (a, b), (c, d) in zip(numbers, pairs, strict=False):
        assert c * a == pytest.approx(1)
        assert c * b + d == pytest.approx(0, abs=1e-9 * abs(c * b))


def test_predictions_are_in_the_units_of_the_table(learned, capsys):
    system, task, folder = learned
    fresh = rows(40, seed=1)
    answers, notes = predicted(capsys, folder, write(folder / "new.csv", HEADER, fresh, ";"))
    errors = [abs(answer - float(line[3])) for answer, line in zip(answers, fresh, strict=True)]
    assert sum(errors) / len(errors) < 100, "prices lie between 1,400 and 3,200"
    assert notes == ""
    targets = task.splits["test"].targets
    assert abs(float(targets.mean())) < 1, "training sees standardised targets"
    inputs = task.splits["test"].inputs
    restored = system.predict("houses", inputs)
    assert torch.allclose(restored, task.target.restore(system.module("houses")(task_values(system, inputs))))
    assert restored.mean() > 1000


def task_values(system, inputs):
    from pathways.freeze import task_inputs

    return task_inputs(system.records["houses"], inputs)


def test_columns_are_found_by_name_and_others_are_left_alone(learned, capsys):
    _, _, folder = learned
    fresh = rows(6, seed=2)
    plain, _ = predicted(capsys, folder, write(folder / "plain.csv", HEADER, fresh, ";"))
    turned = [[line[2], "x", line[1], line[0]] for line in fresh]
    assert predicted(capsys, folder, write(folder / "turned.csv", "height,note,town,age", turned, ";"))[0] == plain


def test_an_encoded_table_is_still_read(learned, capsys):
    system, task, folder = learned
    stored = task.splits["test"].inputs["features"]
    file = folder / "encoded.csv"
    file.write_text("\n".join(",".join(repr(number) for number in row) for row in stored.tolist()))
    expected = system.predict("houses", {"features": stored})[:, 0].tolist()
    assert predicted(capsys, folder, file)[0] == pytest.approx(expected, rel=1e-5)


def test_what_training_did_not_have_is_noted_and_what_is_missing_is_a_mean(learned, capsys):
    system, task, folder = learned
    age, height = (column.mean for column in task.columns["features"].columns if column.categories is None)
    odd = write(folder / "odd.csv", HEADER, [["?", "Paris", "", "0"]], ";")
    answers, notes = predicted(capsys, folder, odd)
    expected = system.predict("houses", {"features": torch.tensor([[age, 0.0, 0.0, 0.0, height]])})
    assert answers == pytest.approx(expected[0].tolist(), rel=1e-5)
    assert "line 2" in notes
    assert "'Paris' in column 'town'" in notes
    assert notes.count("\n") == 1


def test_a_table_that_does_not_fit_is_refused_by_column_and_line(learned, tmp_path, capsys):
    _, _, folder = learned
    assert "no column 'town'" in refused(capsys, folder, write(tmp_path / "a.csv", "age,height", [["1", "2"]], ";"))
    bad = write(tmp_path / "b.csv", HEADER, [["1", "Bern", "tall", "0"]], ";")
    assert "must have a number in column 'height', found 'tall'" in refused(capsys, folder, bad)


def test_where_training_had_no_missing_cells_none_may_be_missing(tmp_path, capsys):
    file = write(tmp_path / "t.csv", HEADER, rows(60))
    [task] = data.csv(file, "town", "houses")
    root = Path(task.inputs, {"a": Step((Draft("a", ModuleSpec("linear", {"dim": 4})),), ("features",))}, "a")
    System.create(tmp_path / "run", root=root).learn(task, Independent(training={"steps": 2}))
    holes = write(tmp_path / "holes.csv", HEADER, [["", "Bern", "1.8", "9"]])
    assert "must have a value in column 'age', as in training" in refused(capsys, tmp_path, holes)


def test_an_exported_program_answers_in_the_units_of_the_table(learned, tmp_path):
    system, task, _ = learned
    file = system.export("houses", "pt2", tmp_path / "houses.pt2")
    inputs = task.splits["test"].inputs["features"]
    assert torch.allclose(torch.export.load(file).module()(inputs), system.predict("houses", inputs), rtol=1e-4)


def test_columns_and_units_are_kept_in_the_manifest(learned):
    system, task, folder = learned
    record = system.records["houses"]
    assert record.columns == task.columns
    assert record.target == task.target
    assert record.target.restore == task.target.restore != Affine()
    assert record.columns["features"].width == task.inputs["features"].dim
    [manifest] = (folder / "run" / "tasks").iterdir()
    assert type(record).from_json(manifest, record.to_json()) == record


@pytest.mark.parametrize(("change", "words"), [
    ({"columns": {"features": {"columns": [], "missing": True, "delimiter": ","}}}, "`columns.features` must be of an"),
    ({"columns": {"other": {"columns": [], "missing": True, "delimiter": ","}}}, "`columns.other` must be of an input"),
    ({"columns": {"features": {"columns": [{"name": "a", "min": 0}]}}}, "`columns` does not fit"),
    ({"target": {"kind": "values", "n": 1, "names": ["p"], "restore": {"scale": 1, "shift": 0, "x": 2}}}, "restore"),
    ({"target": {"kind": "classes", "n": 1, "names": [], "restore": {"scale": 1.0, "shift": 2.0}}}, "of values only"),
])  # fmt: skip
def test_records_that_do_not_fit_are_refused(learned, change, words):
    record = learned[0].records["houses"]
    with pytest.raises(PathwaysError, match=words):
        type(record).from_json("a file", {**record.to_json(), **change})


def test_what_is_not_standardised_has_no_restore_in_its_record(learned):
    record = learned[0].records["houses"]
    bare = replace(record, target=Values(1), columns={})
    assert "columns" not in bare.to_json()
    assert "restore" not in bare.to_json()["target"]


@given(st.lists(st.tuples(st.text(max_size=5), st.none() | st.lists(st.text(max_size=4), max_size=3)), max_size=4))
def test_columns_survive_plain_data(items):
    columns = tuple(Column(name, None if found is None else tuple(found)) for name, found in items)
    made = Columns(columns, missing=True, delimiter=";")
    assert Columns.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.width == sum(column.width for column in columns)
