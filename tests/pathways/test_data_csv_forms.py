"""CSV files as people have them: other separators and decimals, words for nothing, ids, dates, labels of 0 and 1."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pathways.data
from pathways.columns import Column, Columns
from pathways.data.csv_table import cell_of, is_number, read_table
from pathways.errors import DataError
from pathways.task import Classes, Task, Values


def rows(n: int = 60) -> list[dict[str, str]]:
    draw = random.Random(0)
    return [
        {"id": f"x{i:03}", "size": f"{draw.uniform(1, 2000):.2f}", "town": draw.choice(["Bern", "Rome"]),
         "label": draw.choice(["good", "bad"])}
        for i in range(n)
    ]  # fmt: skip


def write(file: Path, table: list[dict[str, str]], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    lines = [delimiter.join(table[0]), *(delimiter.join(row.values()) for row in table)]
    file.write_text("\n".join(lines) + "\n", encoding=encoding)
    return file


def read(file: Path, target: str = "label", **options: Any) -> Task:
    [task] = pathways.data.csv(file, target, "t", **{"drop": ["id"], **options})
    return task


def german(number: str) -> str:
    """1234.5 as 1.234,5."""
    whole, _, part = number.partition(".")
    return f"{int(whole):,}".replace(",", ".") + "," + part


def test_semicolons_and_decimal_commas_give_the_same_task(tmp_path: Path) -> None:
    plain = read(write(tmp_path / "a.csv", rows()))
    other = [{**row, "size": german(row["size"])} for row in rows()]
    assert any("." in row["size"] for row in other)
    task = read(write(tmp_path / "b.csv", other, ";"), delimiter=";", decimal=",")
    assert task.fingerprint == plain.fingerprint
    assert task.columns["features"].decimal == ","
    assert "decimal" not in plain.columns["features"].to_json()


def test_a_byte_order_mark_quotes_and_tabs(tmp_path: Path) -> None:
    plain = read(write(tmp_path / "a.csv", rows()))
    quoted = [{key: f'"{value}"' for key, value in row.items()} for row in rows()]
    task = read(write(tmp_path / "b.csv", quoted, "\t", "utf-8-sig"), delimiter="\t")
    assert task.fingerprint == plain.fingerprint


def test_the_place_of_the_label_does_not_matter(tmp_path: Path) -> None:
    turned = [{"label": row["label"], **row} for row in rows()]
    assert next(iter(turned[0])) == "label"
    one, other = read(write(tmp_path / "a.csv", rows())), read(write(tmp_path / "b.csv", turned))
    assert one.fingerprint == other.fingerprint


def test_words_for_nothing_are_said(tmp_path: Path) -> None:
    table = rows()
    table[3] = {**table[3], "size": "NA"}
    table[4] = {**table[4], "size": "n/a"}
    file = write(tmp_path / "a.csv", table)
    with pytest.raises(DataError, match=r"line 5 of .* must have a number in column 'size', as 58 of its 60 .*'NA'"):
        read(file)
    with pytest.raises(DataError, match=r"line 5 of .* has no value in column 'size'"):
        read(file, blank=["NA", "n/a"])
    task = read(file, blank=["NA", "n/a"], missing="mean")
    assert task.columns["features"].blank == ("NA", "n/a")
    assert [column.name for column in task.columns["features"].columns if column.categories is None] == ["size"]


@pytest.mark.parametrize(("change", "options", "words"), [
    ({"size": "1,5"}, {}, r"column 'size' of .* numbers with a point, found '1,5': say `decimal: ','`"),
    ({}, {"drop": []}, r"column 'id' .* found 60 different texts in 60 cells, such as 'x000': list it in `drop`"),
    ({"id": "2024-01-%d"}, {"drop": []}, r"column 'id' .* put day, month and year into columns of numbers, or list"),
    ({}, {"target": "id", "drop": []}, r"column 'id' .*: name another column as `target`"),
    ({}, {"delimiter": ","}, r"has no column 'label': its cells seem to be separated by ';', say `delimiter: ';'`"),
    ({"size": "1,5"}, {"delimiter": ","}, r"must have 1 cells, found 2: its cells seem to be separated by ';'"),
    ({}, {"decimal": ";"}, r"`decimal` must be '\.' or ','"),
    ({}, {"decimal": ",", "delimiter": ","}, "`decimal` must be another mark than `delimiter`"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_is_meant(
    tmp_path: Path, change: dict[str, str], options: dict[str, Any], words: str
) -> None:
    table = [{**row, **{k: v % i if "%" in v else v for k, v in change.items()}} for i, row in enumerate(rows())]
    with pytest.raises(DataError, match=words) as raised:
        read(write(tmp_path / "a.csv", table, ";"), **{"delimiter": ";", **options})
    assert "\n" not in str(raised.value)


def test_few_or_stated_texts_are_categories(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", rows())
    task = read(file, drop=[], categorical=["id"])
    assert task.columns["features"].width > 30
    assert read(write(tmp_path / "b.csv", rows(18)), drop=[], allow_duplicates=True).columns["features"].width > 10


@pytest.mark.parametrize(("values", "kind"), [(True, Values), (False, Classes)])
def test_two_numbers_as_target_must_say_what_they_are(tmp_path: Path, values: bool, kind: type) -> None:
    table = [{**row, "label": str(int(row["label"] == "good"))} for row in rows()]
    file = write(tmp_path / "a.csv", table)
    with pytest.raises(DataError, match=r"`values` must be said for target 'label', .*\['0', '1'\]: false where"):
        read(file)
    assert isinstance(read(file, values=values).target, kind)


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,3\n4,5,6\n")
    with pytest.raises(DataError, match=r"must begin with a header, found the numbers \['1', '2', '3'\]"):
        read_table(tmp_path / "a.csv")


def test_a_column_without_a_name_is_a_row_number(tmp_path: Path) -> None:
    table = [{"": str(i), **row} for i, row in enumerate(rows())]
    file = write(tmp_path / "a.csv", table)
    with pytest.raises(DataError, match=r"column 1 of .* must have a name, found none: .*`drop: \[''\]`"):
        read(file)
    assert "" not in read(file, drop=["id", ""]).columns["features"].names


def test_another_encoding_is_refused_with_what_to_do(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [{**row, "town": "Zürich"} for row in rows()], encoding="latin-1")
    with pytest.raises(DataError, match="save it as UTF-8"):
        read(file)


def test_new_tables_are_read_as_those_of_training(tmp_path: Path) -> None:
    from pathways.experiments.inputs import read_inputs

    table = [{**row, "size": german(row["size"])} for row in rows()]
    table[0]["size"] = "NA"
    file = write(tmp_path / "a.csv", table, ";")
    task = read(file, delimiter=";", decimal=",", blank=["NA"], missing="mean")

    class Record:
        name, inputs, columns, pictures = "t", task.inputs, task.columns, task.pictures

    found = read_inputs([file], Record)["features"]
    assert isinstance(found, torch.Tensor)
    size = task.columns["features"].columns[0]
    assert found[0, 0] == pytest.approx(size.mean, rel=1e-5)
    assert found[1:, 0].tolist() == pytest.approx([float(row["size"]) for row in rows()[1:]], rel=1e-5)


@given(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))
def test_numbers_with_commas_are_those_with_points(number: float) -> None:
    text = f"{number:.3f}"
    assert float(cell_of(text.replace(".", ","), decimal=",")) == number
    assert cell_of(text) == text


@given(st.text(max_size=12))
def test_other_texts_stay_as_they_are(text: str) -> None:
    cell = cell_of(text, decimal=",")
    assert cell == text.strip() or is_number(cell)


@given(st.sampled_from([".", ","]), st.lists(st.text(max_size=4), max_size=3))
def test_columns_survive_plain_data(decimal: str, blank: list[str]) -> None:
    made = Columns((Column("a"),), True, ";", decimal, tuple(blank))
    assert Columns.from_json(made.to_json()) == made
