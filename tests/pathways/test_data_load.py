from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from data_sets import write_idx_folder

import pathways.data
from pathways.data.arguments import fits
from pathways.data.folder import data_folder, find_file
from pathways.errors import ConfigError, DataError


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, pathways.data; print([m for m in ('torch', 'numpy', 'sklearn') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in pathways.data.__all__ if name != "SOURCES"])
def test_every_name_is_its_function_however_often_and_after_all_imports(name: str) -> None:
    for other in pathways.data.__all__:
        getattr(pathways.data, other)
    function = getattr(pathways.data, name)
    assert callable(function)
    assert function.__name__ == name
    assert function.__doc__


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'imagenet'"):
        _ = pathways.data.imagenet


def test_an_unknown_source_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'omniglot_background'.*found 'omniglott': did you mean 'omniglot'\?"):
        pathways.data.load("omniglott")


def test_an_unknown_argument_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"\['seed', 'test', 'validation'\], found 'sed': did you mean 'seed'\?"):
        pathways.data.load("wine", sed=1)


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(ConfigError, match=r"needs the argument 'name', found \['file'\]"):
        pathways.data.load("npz", file="x.npz")


@pytest.mark.parametrize(
    ("source", "argument"),
    [("omniglot", {"alphabets": "Greek"}), ("wine", {"seed": "one"}), ("digits_tasks", {"groups": [0, 1]})],
)
def test_an_argument_of_another_type_is_named(source: str, argument: dict[str, Any]) -> None:
    [name] = argument
    with pytest.raises(ConfigError, match=f"`{name}` of source '{source}' must be .*found "):
        pathways.data.load(source, **argument)


@pytest.mark.parametrize(("source", "size"), [
    ("cmaterdb", "size"), ("fsdd", "bands"), ("fsdd", "frames"), ("clinc150", "features"), ("clinc150", "ngrams"),
])
def test_sizes_are_positive(source: str, size: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"`{size}` must be at least 1, found 0"):
        pathways.data.load(source, data=tmp_path, **{size: 0})


def test_one_task_twice_is_refused() -> None:
    with pytest.raises(DataError, match="'digits/0-1' more than once"):
        pathways.data.load("digits_tasks", groups=[[0, 1], [0, 1]])


def test_the_data_folder_goes_to_sources_that_read_files(tmp_path: Path) -> None:
    write_idx_folder(tmp_path / "mnist")
    assert [task.name for task in pathways.data.load("mnist", data=tmp_path)] == ["mnist"]
    assert [task.name for task in pathways.data.load("wine", data=tmp_path)] == ["wine"]


@pytest.mark.parametrize(
    ("value", "hint", "good"),
    [
        (1, int, True),
        (True, int, False),
        (1, float, True),
        (1.5, int, False),
        ("x", str | None, True),
        (None, str | None, True),
        ({"train": ["a", "b"]}, Mapping[str, Sequence[str]], True),
        ({"train": "ab"}, Mapping[str, Sequence[str]], False),
        ([[1], ["x"]], Sequence[Sequence[int]], False),
        (0, bool, False),
        (object(), Any, True),
    ],
)
def test_fits(value: object, hint: object, good: bool) -> None:
    assert fits(value, hint) == good


def test_the_data_folder_is_the_one_given_else_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.setenv("PATHWAYS_DATA", str(tmp_path / "b"))
    assert data_folder(tmp_path / "a") == tmp_path / "a"
    assert data_folder() == tmp_path / "b"
    monkeypatch.delenv("PATHWAYS_DATA")
    with pytest.raises(DataError, match=r"--data.*PATHWAYS_DATA"):
        data_folder()
    with pytest.raises(DataError, match="nowhere"):
        data_folder(tmp_path / "nowhere")


def test_files_are_found_here_then_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    inside = tmp_path / "data" / "x.csv"
    inside.write_text("far")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PATHWAYS_DATA", raising=False)
    assert find_file("x.csv", "data") == Path("data") / "x.csv"
    Path("x.csv").write_text("near")
    assert find_file("x.csv", "data").read_text() == "near"
    with pytest.raises(DataError, match=r"y\.csv.* and .*data.*y\.csv"):
        find_file("y.csv", "data")
