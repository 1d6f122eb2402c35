from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import torch
from data_sets import external

import pathways.data
from pathways.data.csv_table import read_table
from pathways.errors import DataError
from pathways.modules import Vector
from pathways.task import Task, Values
from pathways.testing import TaskSourceSuite

HEADER = "colour,weight,kind,ripe,size"
KINDS = ("pear", "apple", "plum")


def table(rows: int = 40) -> list[str]:
    lines = [
        f"{'red' if i % 4 < 2 else 'green'},{i * 1.5},{KINDS[i % 3]},{'yes' if i % 2 else 'no'},{i * i % 17}"
        for i in range(rows)
    ]
    return [HEADER, *lines]


def write(folder: Path, lines: list[str], name: str = "fruit.csv") -> Path:
    content = ("\n".join(lines) + "\n").encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path, table())


def features(task: Task, split: str) -> torch.Tensor:
    value = task.splits[split].inputs["features"]
    assert isinstance(value, torch.Tensor)
    return value


class TestCsv(TaskSourceSuite):
    @pytest.fixture(autouse=True)
    def _file(self, file: Path) -> None:
        self.file = file

    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.csv(self.file, "ripe", "fruit", task_by="colour", seed=seed)


def test_columns_become_one_vector(file: Path) -> None:
    [task] = pathways.data.csv(file, "ripe", "fruit", drop=["colour"])
    assert task.inputs == {"features": Vector(5)}  # weight, three kinds, size
    assert task.target.names == ("no", "yes")
    x = task.transform["features"](features(task, "train"))
    assert x[:, [0, 4]].mean(0).abs().max() < 1e-5
    assert (x[:, [0, 4]].std(0, correction=0) - 1).abs().max() < 1e-5
    assert x[:, 1:4].sum(1).eq(1).all()
    assert set(x[:, 1:4].unique().tolist()) == {0.0, 1.0}


def test_gzip_delimiter_and_load(tmp_path: Path, file: Path) -> None:
    write(tmp_path, [line.replace(",", ";") for line in table()], "fruit.csv.gz")
    [zipped] = pathways.data.load("csv", file="fruit.csv.gz", target="ripe", name="fruit", delimiter=";", data=tmp_path)
    [plain] = pathways.data.csv(file, "ripe", "fruit")
    assert zipped.fingerprint == plain.fingerprint


def test_a_column_splits_the_file_into_tasks_of_one_port(tmp_path: Path) -> None:
    lines = [line for line in table() if not ("red" in line and "plum" in line)]
    red, green = pathways.data.csv(write(tmp_path, lines), "ripe", "fruit", task_by="colour")
    assert (red.name, green.name) == ("fruit/red", "fruit/green")
    assert red.inputs == green.inputs == {"features": Vector(5)}
    columns = features(red, "train").sum(0)
    assert columns[2] > 0
    assert columns[3] == 0  # categories stand in order: apple, pear, plum; no plum is red


def test_numbers_are_values_unless_said_otherwise(file: Path) -> None:
    [task] = pathways.data.csv(file, "size", "fruit")
    assert isinstance(task.target, Values)
    assert (task.target.n, task.target.names) == (1, ("size",))
    train = task.splits["train"].targets
    sizes = {float(line.split(",")[-1]) for line in table()[1:]}
    assert all(min(abs(size - s) for s in sizes) < 1e-3 for size in task.target.restore(train)[:, 0].tolist())
    assert (train.mean().item(), train.std(correction=0).item()) == pytest.approx((0.0, 1.0), abs=1e-5)
    [classes] = pathways.data.csv(file, "size", "fruit", values=False, validation=0.1, test=0.1)
    assert list(classes.target.names) == sorted(classes.target.names, key=int)
    assert classes.target.n == len({line.split(",")[-1] for line in table()[1:]})


def test_several_targets(file: Path) -> None:
    [task] = pathways.data.csv(file, ["size", "weight"], "fruit")
    assert (type(task.target), task.target.n, task.target.names) == (Values, 2, ("size", "weight"))
    assert task.inputs == {"features": Vector(2 + 3 + 2)}  # colours, kinds, ripe
    with pytest.raises(DataError, match="several columns must hold numbers"):
        pathways.data.csv(file, ["size", "kind"], "fruit")


def test_numbers_can_be_categories(file: Path) -> None:
    [task] = pathways.data.csv(file, "ripe", "fruit", drop=["colour", "kind"], categorical=["size"])
    sizes = {line.split(",")[-1] for line in table()[1:]}
    assert features(task, "train").shape[1] == 1 + len(sizes)
    assert set(features(task, "train")[:, 1:].sum(1).tolist()) == {1.0}


def test_few_different_rows_must_be_allowed(file: Path) -> None:
    only: dict[str, Any] = {"drop": ["colour", "kind", "weight"], "categorical": ["size"]}
    with pytest.raises(DataError, match="allow_duplicates=True"):
        pathways.data.csv(file, "ripe", "fruit", **only)
    [task] = pathways.data.csv(file, "ripe", "fruit", allow_duplicates=True, **only)
    assert sum(map(len, task.splits.values())) == 40


def split_lines(*cells: str) -> list[str]:
    lines = table(len(cells))
    return [lines[0] + ",part", *(f"{line},{cell}" for line, cell in zip(lines[1:], cells, strict=True))]


def test_a_column_says_the_split(tmp_path: Path) -> None:
    file = write(tmp_path, split_lines(*["train"] * 20, *["val"] * 6, *["test"] * 4))
    [task] = pathways.data.csv(file, "ripe", "fruit", split="part")
    assert [len(part) for part in task.splits.values()] == [20, 6, 4]
    assert features(task, "test")[:, 2].tolist() == [i * 1.5 for i in range(26, 30)]


def test_validation_is_split_from_train_where_no_row_says_it(tmp_path: Path) -> None:
    file = write(tmp_path, split_lines(*["train"] * 20, *["test"] * 10))
    [task] = pathways.data.csv(file, "ripe", "fruit", split="part")
    assert {which: len(part) for which, part in task.splits.items()} == {"train": 16, "validation": 4, "test": 10}


def test_rows_of_train_that_also_test_are_left_out(tmp_path: Path) -> None:
    lines = split_lines(*["train"] * 20, *["test"] * 10)
    lines[30] = lines[3].replace("train", "test")
    [task] = pathways.data.csv(write(tmp_path, lines), "ripe", "fruit", split="part")
    assert sum(map(len, task.splits.values())) == 29
    assert "1 sample left out" in task.source
    [loose] = pathways.data.csv(tmp_path / "fruit.csv", "ripe", "fruit", split="part", allow_duplicates=True)
    assert sum(map(len, loose.splits.values())) == 30


def test_a_category_that_train_lacks_is_all_zeros(tmp_path: Path) -> None:
    lines = split_lines(*["train"] * 20, *["test"] * 10)
    lines[30] = lines[30].replace(KINDS[29 % 3], "quince")
    [task] = pathways.data.csv(write(tmp_path, lines), "ripe", "fruit", split="part", drop=["colour"])
    assert features(task, "test")[-1, 1:4].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("gap", ["", "?"])
def test_missing_cells_are_named_or_filled(tmp_path: Path, gap: str) -> None:
    lines = split_lines(*["train"] * 20, *["test"] * 10)
    lines[29], lines[28] = lines[29].replace("42.0", gap), lines[28].replace(KINDS[27 % 3], gap)
    file = write(tmp_path, lines)
    with pytest.raises(DataError, match=r"line 30 of .*'weight' \(found .*missing='mean'"):
        pathways.data.csv(file, "ripe", "fruit", split="part")
    [task] = pathways.data.csv(file, "ripe", "fruit", split="part", missing="mean", drop=["colour"])
    train, test = features(task, "train"), features(task, "test")
    assert test[-2, 0].item() == pytest.approx(train[:, 0].mean().item(), rel=1e-5)
    assert test[-3, 1:4].tolist() == [0.0, 0.0, 0.0]


def test_missing_targets_are_never_filled(tmp_path: Path) -> None:
    lines = table()
    lines[5] = lines[5].replace("yes", "?").replace("no", "?")
    with pytest.raises(DataError, match=r"line 6 of .*column 'ripe'"):
        pathways.data.csv(write(tmp_path, lines), "ripe", "fruit", missing="mean")


@pytest.mark.parametrize(
    ("lines", "options", "said"),
    [
        (table(), {"target": "rype"}, "no column 'rype': did you mean 'ripe'"),
        (table(), {"task_by": "farm"}, "no column 'farm'"),
        (table(), {"split": "colour"}, r"line 2 of .*in column 'colour', found 'red'"),
        (table(), {"missing": "zero"}, "`missing` must be 'error' or 'mean'"),
        ([HEADER], {}, "found 1 lines"),
        ([HEADER.replace("size", "ripe"), *table()[1:]], {}, "'ripe' twice"),
        ([*table(), "red,1,plum"], {}, "line 42 of .* must have 5 cells, found 3"),
        (split_lines(*["test"] * 9), {"split": "part"}, "names no row of task 'fruit' 'train'"),
    ],
)
def test_what_is_no_table(tmp_path: Path, lines: list[str], options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        pathways.data.csv(write(tmp_path, lines), **{"target": "ripe", "name": "fruit", **options})


def test_files_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="CSV table in UTF-8"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(gzip.compress(b"a,b\n1,2\n")[:-6])
    with pytest.raises(DataError, match="CSV table in UTF-8"):
        read_table(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="delimiter"):
        read_table(tmp_path / "c.csv", delimiter=";;")


def test_quoted_cells_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes('\ufeffa,b\n"1, or so", 2\n'.encode())
    read = read_table(tmp_path / "a.csv")
    assert (read.header, read.rows) == (("a", "b"), [("1, or so", "2")])


def test_real_wine_by_colour() -> None:
    folder = external("tabular/wine-quality.csv.gz")
    red, white = pathways.data.csv(
        "tabular/wine-quality.csv.gz", "quality", "wine", task_by="colour", data=folder
    )
    assert sum(map(len, red.splits.values())) == 1599
    assert sum(map(len, white.splits.values())) == 4898
    assert red.inputs == white.inputs == {"features": Vector(11)}
