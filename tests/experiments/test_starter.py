"""`pathways init`: what it writes says why, is valid, runs, and replaces nothing."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path as FilePath

import pytest
from PIL import Image

from pathways.data import SOURCES
from pathways.errors import ConfigError
from pathways.experiments.cli import main
from pathways.experiments.config import Config, config_from, read_config
from pathways.experiments.engine_config import EngineConfig
from pathways.experiments.starter import starter
from pathways.experiments.yaml_file import parse_yaml

TABLE = "height,width,kind\n" + "".join(f"{i % 7},{i}.5,{('oak', 'elm')[i % 3 == 0]}\n" for i in range(60))
WAYS: dict[str, tuple[str, ...]] = {
    "omniglot": (), "csv": ("csv", "trees.csv"), "named": ("csv", "trees.csv", "height"), "later": ("csv",),
    "munet": ("preset", "munet-2022"), "pathnet": ("preset", "pathnet-2017-text"), "root": ("preset", "resnet"),
    "images": ("images", "photos"),
}


@pytest.fixture
def place(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> FilePath:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trees.csv").write_text(TABLE)
    return tmp_path


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_is_valid_and_says_why(way: str, place: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "mine.yaml", "--json", *(["--from", *WAYS[way]] if WAYS[way] else [])]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "mine.yaml"
    text = (place / "mine.yaml").read_text()
    data = parse_yaml(text, "mine.yaml")
    assert config_from(data, "mine.yaml").name == "mine"
    assert max(map(len, text.splitlines())) <= 130
    for line in text.splitlines():
        key = re.match(r"^ *(?:- )?#? ?(\w+): \S", line)
        if key and not line.startswith("#   "):
            above = text[: text.index(line)].rstrip().splitlines()[-1]
            assert "  # " in line or above.startswith("#"), f"no why beside {line!r}"
    assert (data["tasks"][0]["source"] in SOURCES) or way == "images"


@pytest.mark.parametrize("way", sorted({*WAYS} - {"later", "images"}))
def test_what_is_written_can_begin_as_it_is(way: str, place: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "mine.yaml", *(["--from", *WAYS[way]] if WAYS[way] else [])]) == 0
    assert main(["run", "mine.yaml", "--dry-run"]) == 0, capsys.readouterr().err


def test_what_is_written_for_images_can_begin_as_it_is(place: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(24):
        file = place / "photos" / ("bright", "dark")[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (9 * i, 10 * i, 255 - i)).save(file)
    assert main(["init", "mine.yaml", "--from", "images", "photos"]) == 0
    assert main(["run", "mine.yaml", "--dry-run"]) == 0, capsys.readouterr().err


ODD = {
    "ids, dates and gaps": (
        "id,when,site,heat,kind\n",
        lambda i: f"R{i},2026-01-{i % 28 + 1:02d},{'ab'[i % 2]},{i / 3 if i % 9 else ''},{'xyz'[i % 3]}\n",
        {"drop": ["id", "when"], "missing": "mean"},
    ),
    "numbered rows without a name": (
        ",row_id,heat,kind\n", lambda i: f"{i},{7 * i},{i / 3},{'xyz'[i % 3]}\n", {"drop": ["", "row_id"]},
    ),
    "semicolons and commas": (
        "heat;size;kind\n", lambda i: f"{i},5;1.{i:03d},25;{'xyz'[i % 3]}\n", {"delimiter": ";", "decimal": ","},
    ),
    "tabs and words for nothing": (
        "heat\tsize\tkind\n", lambda i: f"{i}\t{'NA' if i % 11 == 0 else i / 7}\t{'xyz'[i % 3]}\n",
        {"delimiter": "\t", "blank": ["NA"], "missing": "mean"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", list(ODD))
def test_what_a_table_needs_is_found_and_its_run_can_begin(
    kind: str, place: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    header, row, needed = ODD[kind]
    (place / "odd.csv").write_text(header + "".join(row(i) for i in range(90)))
    assert main(["init", "mine.yaml", "--from", "csv", "odd.csv"]) == 0
    [task] = parse_yaml((place / "mine.yaml").read_text(), "mine.yaml")["tasks"]
    assert {key: task[key] for key in ("delimiter", "decimal", "blank", "drop", "missing") if key in task} == needed
    assert main(["run", "mine.yaml", "--dry-run"]) == 0, capsys.readouterr().err


def test_a_target_of_numbers_is_found_among_gaps(place: FilePath) -> None:
    (place / "odd.csv").write_text("a,y\n" + "".join(f"{i},{i / 7 if i % 10 else ''}\n" for i in range(60)))
    [task] = parse_yaml(starter("a.yaml", "a", ["csv", "odd.csv"]), "a")["tasks"]
    assert task["values"] is True


def test_every_key_of_a_configuration_stands_in_it() -> None:
    text = starter("mine.yaml", "mine")
    for key in (*(field.name for field in fields(Config)), "kind", "workers", "device", "trace"):
        assert re.search(rf"^ *(# )?{key}:", text, re.MULTILINE), f"`{key}` is not explained"
    assert {"kind", "workers", "device", "trace"} <= {field.name for field in fields(EngineConfig)}


@pytest.mark.parametrize("turned_on", ["racing: paired", "guard: true", "jointly: true"])
def test_what_is_commented_out_is_valid_too(turned_on: str) -> None:
    text = starter("mine.yaml", "mine")
    assert f"# {turned_on}" in text
    config_from(parse_yaml(text.replace(f"# {turned_on}", turned_on), "mine.yaml"), "mine.yaml")


def test_the_target_of_a_table_is_found_and_its_kind_told(place: FilePath) -> None:
    [kind] = parse_yaml(starter("a.yaml", "a", ["csv", "trees.csv"]), "a")["tasks"]
    assert (kind["target"], kind["values"], kind["name"]) == ("kind", False, "trees")
    [height] = parse_yaml(starter("a.yaml", "a", ["csv", "trees.csv", "width"]), "a")["tasks"]
    assert (height["target"], height["values"]) == ("width", True)
    (place / "no: word.csv").write_text("a b,label,z\n1,2,3\n")
    [odd] = parse_yaml(starter("a.yaml", "a", ["csv", "no: word.csv"]), "a")["tasks"]
    assert (odd["file"], odd["target"], odd["name"]) == ("no: word.csv", "label", "no-word")


def test_a_starter_is_planned_and_run(place: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "trees.yaml", "--from", "csv", "trees.csv"]) == 0
    small = ["--set", "training.steps=3", "--set", "strategy.munet.generations=1", "--set", "strategy.munet.children=1",
             "--set", "controls=[independent]"]  # fmt: skip
    assert main(["run", "trees.yaml", "--dry-run", *small]) == 0
    assert not (place / "runs").exists()
    capsys.readouterr()
    assert main(["run", "trees.yaml", "--quiet", "--json", *small]) == 0
    assert [task["name"] for task in json.loads(capsys.readouterr().out)["tasks"]] == ["trees"]
    assert main(["cite", "runs/trees"]) == 0
    assert "gesmundo2022munet" in capsys.readouterr().out


def test_nothing_is_replaced_unless_that_is_said(place: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "mine.yaml").write_text("precious")
    (place / "link.yaml").symlink_to("nowhere")
    for name in ("mine.yaml", "link.yaml"):
        assert main(["init", name]) == 2
        assert "left as it is" in capsys.readouterr().err
    assert (place / "mine.yaml").read_text() == "precious"
    assert main(["init", "mine.yaml", "--force"]) == 0
    assert read_config(place / "mine.yaml").name == "mine"


def test_standard_output_is_taken_for_a_dash(place: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.iterdir())
    assert main(["init", "-"]) == 0
    assert config_from(parse_yaml(capsys.readouterr().out, "-"), "-").name == "pathways"
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize(("arguments", "words"), [
    (["mine.txt"], "must end in .yaml"), ([".yaml"], ".yaml"), (["none/mine.yaml"], "make it first"),
    (["a.yaml", "--from", "cvs", "x"], "did you mean 'csv'"), (["a.yaml", "--from", "csv", "."], "trees.csv"),
    (["a.yaml", "--from", "csv", "trees.csv", "knd"], "did you mean 'kind'"),
    (["a.yaml", "--from", "preset"], "needs the preset's name"),
    (["a.yaml", "--from", "preset", "munet-2021"], "did you mean 'munet-2022'"),
    (["a.yaml", "--from", "preset", "two-stream"], "must read one image"),
    (["a.yaml", "--from", "omniglot", "x"], "at most 0 more"), (["-", "--json"], "leave one of them out"),
])
def test_what_cannot_be_written_is_one_sentence(
    arguments: list[str], words: str, place: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(place.iterdir())
    assert main(["init", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert sorted(place.iterdir()) == before


def test_ways_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        starter("a.yaml", "a", ["spreadsheet"])
