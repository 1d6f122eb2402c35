"""`pathways predict` on image files: prepared as in training, whatever they look like; tables out."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from pathways import System
from pathways.data import from_image_folder, read_images
from pathways.evolve import Independent
from pathways.experiments.answer_table import answers_csv
from pathways.experiments.cli import main
from pathways.modules import Draft, ModuleSpec
from pathways.path import Path, Step
from pathways.pictures import Pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Dark and light pictures of several sizes."""
    made = tmp_path_factory.mktemp("pictures") / "tones"
    rng = np.random.default_rng(0)
    for i in range(40):
        light = i % 2
        place = made / ("dark", "light")[light]
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(100 * light, 100 + 100 * light, (6 + i % 3, 8 + i % 5), dtype=np.uint8)
        Picture.fromarray(pixels).save(place / f"{i:02}.png")
    return made


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    task = from_image_folder(folder, "tones", size=[6, 8], channels=1, background=0)
    steps = {
        "flat": Step((Draft("flat", ModuleSpec("flatten")),), ("image",)),
        "wide": Step((Draft("wide", ModuleSpec("linear", {"dim": 8})),), ("flat",)),
    }
    directory = tmp_path_factory.mktemp("runs") / "run"
    with System.create(directory, root=Path(task.inputs, steps, "wide")) as system:
        system.learn(task, Independent(training={"steps": 100, "lr": 0.02}))
    return directory


def predicted(capsys, run, *inputs, status=0, more=()):
    files = [str(file) for file in inputs]
    assert main(["predict", str(run), "tones", *map(str, more), "--input", *files]) == status
    captured = capsys.readouterr()
    return captured.out if status == 0 else captured.err


def test_a_folder_is_predicted_in_the_order_of_its_files(folder, run, capsys):
    answers = json.loads(predicted(capsys, run, folder, more=["--json"]))
    expected = sorted((folder / "dark").iterdir()) + sorted((folder / "light").iterdir())
    assert [answer["file"] for answer in answers] == list(map(str, expected))
    assert sum(answer["label"] in answer["file"] for answer in answers) >= 36


def test_patterns_and_files_are_expanded_here(folder, run, capsys):
    lines = predicted(capsys, run, folder / "**" / "0[0-3].png", folder / "light" / "05.png").splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        str(folder / each) for each in ("dark/00.png", "dark/02.png", "light/01.png", "light/03.png", "light/05.png")
    ]


def test_images_are_prepared_as_in_training(folder, run, capsys, tmp_path):
    with System.open(run) as system:
        pictures = system.records["tones"].pictures["image"]
        assert pictures == Pictures(1, 6, 8, "pad", 0)
        files = sorted((folder / "light").iterdir())[:6]
        expected = system.predict("tones", read_images(files, pictures))
    answers = json.loads(predicted(capsys, run, *files, more=["--json", "--top", 2]))
    found = [{each["label"]: each["probability"] for each in answer["top"]} for answer in answers]
    assert torch.allclose(torch.tensor([[each["dark"], each["light"]] for each in found]), expected, atol=1e-6)
    # the same picture as a JPEG of colours, with an alpha channel, or turned by its camera
    plain = Picture.open(files[0])
    plain.convert("RGB").save(tmp_path / "a.jpg", quality=100)
    plain.convert("RGBA").save(tmp_path / "b.png")
    exif = plain.getexif()
    exif[0x0112] = 8
    plain.rotate(-90, expand=True).save(tmp_path / "c.png", exif=exif)
    shown = [answer["probability"] for answer in json.loads(predicted(capsys, run, tmp_path, more=["--json"]))]
    assert shown == pytest.approx([answers[0]["probability"]] * 3, abs=0.02)


def test_inverted_images_have_their_bytes_turned(folder, run, capsys, tmp_path):
    pixels = np.asarray(Picture.open(folder / "light" / "01.png").resize((8, 6)))
    Picture.fromarray(pixels).save(tmp_path / "as-is.png")
    Picture.fromarray(255 - pixels).save(tmp_path / "turned.png")
    [plain] = json.loads(predicted(capsys, run, tmp_path / "as-is.png", more=["--json"]))
    [turned] = json.loads(predicted(capsys, run, tmp_path / "turned.png", more=["--json", "--invert"]))
    assert plain["probability"] == turned["probability"]


def test_a_table_of_all(folder, run, capsys, tmp_path):
    out = tmp_path / "deep" / "answers.csv"
    assert predicted(capsys, run, folder, more=["--top", 2, "--out", out]).strip() == str(out)
    with out.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["file", "label", "probability", "label_2", "probability_2"]
    assert len(rows) == 40
    for row in rows:
        assert float(row["probability"]) + float(row["probability_2"]) == pytest.approx(1)
    answers = json.loads(predicted(capsys, run, folder, more=["--json", "--out", out]))
    assert [answer["label"] for answer in answers] == [row["label"] for row in rows]


@pytest.mark.parametrize(("inputs", "more", "words"), [
    (["none.png"], [], "none.png' must be a whole image file"),
    (["empty"], [], "must name images, found none in"),
    (["other"], [], "found none in .* and 1 other files"),
    (["*.jpg"], [], r"\*\.jpg' matches none"),
    (["cut.png"], [], "cut.png' must be a whole image file"),
    (["good.png"], ["--white", "1"], "`--white` must be left out"),
    (["good.png"], ["--out", "answers.txt"], r"`--out` must end in \.csv"),
    (["good.png"], ["--out", "good.png/answers.csv"], "`--out` must be a file that can be written"),
])  # fmt: skip
def test_what_is_refused_is_one_sentence(folder, run, tmp_path, capsys, monkeypatch, inputs, more, words):
    import re

    monkeypatch.chdir(tmp_path)
    os.mkdir("empty")
    os.mkdir("other")
    (tmp_path / "other" / "notes.txt").write_text("x")
    shutil.copy(folder / "dark" / "00.png", "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:60])
    err = predicted(capsys, run, *inputs, more=more, status=2)
    assert re.search(words, err)
    assert err.count("\n") == 1



@pytest.mark.parametrize(("answer", "expected"), [
    ({"values": {"price": 2.5, "a,b": 1}}, 'sample,price,"a,b"\n0,2.5,1\n'),
    ({"labels": ["x", "y"], "probabilities": [0.5, 1.0]}, "sample,labels,probabilities\n0,x y,0.5 1.0\n"),
    ({"first": 1, "last": 3, "probability": 0.25}, "sample,first,last,probability\n0,1,3,0.25\n"),
])  # fmt: skip
def test_tables_of_other_answers(answer, expected):
    assert answers_csv(["0"], [answer]) == expected


def test_the_record_is_read_back_and_absent_where_there_is_none(run):
    from dataclasses import replace

    with System.open(run) as system:
        record = system.records["tones"]
    assert record.to_json()["pictures"]["image"]["fit"] == "pad"
    bare = replace(record, pictures={})
    assert "pictures" not in bare.to_json()
    assert bare.use == record.use


@pytest.mark.parametrize(("change", "words"), [
    ({"image": {"channels": 1, "height": 9, "width": 8, "fit": "pad", "background": 0}}, "`pictures.image` must be of"),
    ({"other": {"channels": 1, "height": 6, "width": 8, "fit": "pad", "background": 0}}, "`pictures.other` must be of"),
    ({"image": {"channels": 1, "height": 6, "width": 8, "fit": "fill", "background": 0}}, "`pictures` does not fit"),
    ({"image": {"channels": 1, "height": 6, "width": 8, "fit": "pad"}}, "`pictures` does not fit"),
])  # fmt: skip
def test_a_record_that_does_not_fit_is_refused(run, change, words):
    from pathlib import Path as FilePath

    from pathways.errors import PathwaysError
    from pathways.records import TaskRecord

    with System.open(run) as system:
        data = system.records["tones"].to_json()
    with pytest.raises(PathwaysError, match=words):
        TaskRecord.from_json(FilePath("tones.json"), {**data, "pictures": change})
