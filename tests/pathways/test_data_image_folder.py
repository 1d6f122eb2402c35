"""Folders of image files: `DIR/CLASS/NAME.png` in all the ways they come."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture

import pathways.data
from pathways.data import from_image_folder, image_folder
from pathways.digests import sample_digests
from pathways.errors import DataError
from pathways.modules import Image
from pathways.pictures import Pictures
from pathways.task import Task
from pathways.testing import TaskSourceSuite

CLASSES = ("ant", "bee", "cat")


def paint(file: Path, number: int, size: tuple[int, int] = (6, 5), mode: str = "RGB") -> Path:
    """A noisy picture of its own."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Picture.fromarray(pixels).convert(mode).save(file)
    return file


def fill(folder: Path, each: int = 8, start: int = 0, classes: tuple[str, ...] = CLASSES) -> Path:
    for c, name in enumerate(classes):
        for i in range(each):
            paint(folder / name / f"{i:02}.png", start + 1000 * c + i)
    return folder


def images(task: Task, split: str) -> torch.Tensor:
    value = task.splits[split].inputs["image"]
    assert isinstance(value, torch.Tensor)
    return value


def sizes(task: Task) -> dict[str, int]:
    return {which: len(part) for which, part in task.splits.items()}


class TestImageFolder(TaskSourceSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        for i, name in enumerate(("spring", "autumn")):
            fill(tmp_path / name, start=10_000 * i)
        self.folder = tmp_path

    def tasks(self, seed: int) -> list[Task]:
        return image_folder(self.folder, "year", tasks=True, size=4, seed=seed)


def test_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    [task] = pathways.data.load("image_folder", folder=fill(tmp_path / "zoo"))
    assert (task.name, task.target.names, task.source) == ("zoo", CLASSES, "folder zoo")
    assert task.inputs == {"image": Image(3, 5, 6)}
    assert images(task, "train").dtype == torch.uint8
    assert sizes(task) == {"train": 15, "validation": 3, "test": 6}
    assert task.splits["test"].targets.bincount().tolist() == [2, 2, 2]
    assert float(task.transform["image"](torch.tensor([[[[255.0]]]]))) == pytest.approx(1)
    assert task.pictures == {"image": Pictures(3, 5, 6, "exact")}


def test_the_one_task_of_a_folder_and_an_equal_one_by_name(tmp_path: Path) -> None:
    fill(tmp_path / "zoo")
    one, [other] = from_image_folder(tmp_path / "zoo", size=4), image_folder("zoo", "zoo", data=tmp_path, size=[4, 4])
    assert one.fingerprint == other.fingerprint
    assert one.test_fingerprint == other.test_fingerprint


def test_test_is_the_same_for_every_seed_and_another_for_another_name(tmp_path: Path) -> None:
    fill(tmp_path / "zoo", each=20)
    tests = [from_image_folder(tmp_path / "zoo", seed=seed).test_fingerprint for seed in range(3)]
    assert len(set(tests)) == 1
    assert from_image_folder(tmp_path / "zoo", "other").test_fingerprint not in tests


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_folders_say_the_splits(tmp_path: Path, name: str) -> None:
    for i, (part, each) in enumerate({"train": 6, name: 3, "test": 2}.items()):
        fill(tmp_path / part, each, 10_000 * i)
    assert sizes(from_image_folder(tmp_path)) == {"train": 18, "validation": 9, "test": 6}


@pytest.mark.parametrize(("parts", "expected"), [
    (("train",), {"train": 15, "validation": 3, "test": 6}),
    (("train", "test"), {"train": 18, "validation": 6, "test": 24}),
    (("train", "val"), {"train": 18, "validation": 24, "test": 6}),
])  # fmt: skip
def test_what_no_folder_says_is_drawn_from_train(
    tmp_path: Path, parts: tuple[str, ...], expected: dict[str, int]
) -> None:
    for i, part in enumerate(parts):
        fill(tmp_path / part, 8, 10_000 * i)
    assert sizes(from_image_folder(tmp_path, "zoo")) == expected


def test_train_beside_car_is_a_class(tmp_path: Path) -> None:
    assert from_image_folder(fill(tmp_path, classes=("bus", "car", "train"))).target.names == ("bus", "car", "train")


def test_equal_images_stand_in_one_split(tmp_path: Path) -> None:
    for part in ("train", "test"):
        fill(tmp_path / part, 8)  # test repeats all of train
    for i in range(8, 14):
        paint(tmp_path / "train" / "ant" / f"{i}.png", i)
        paint(tmp_path / "train" / "bee" / f"{i}.png", 1000 + i)
        paint(tmp_path / "train" / "cat" / f"{i}.png", 2000 + i)
    task = from_image_folder(tmp_path)
    contents = [set(sample_digests(part.inputs, task.inputs)) for part in task.splits.values()]
    assert len(set.union(*contents)) == sum(map(len, contents))
    assert "24 samples left out" in task.source
    assert sum(sizes(from_image_folder(tmp_path, allow_duplicates=True)).values()) == 66


def test_copies_among_what_is_drawn_stay_together(tmp_path: Path) -> None:
    fill(tmp_path, 10)
    for name in CLASSES:
        for i in range(10):
            (tmp_path / name / f"copy{i}.png").write_bytes((tmp_path / name / f"{i:02}.png").read_bytes())
    task = from_image_folder(tmp_path)
    contents = [set(sample_digests(part.inputs, task.inputs)) for part in task.splits.values()]
    assert sum(map(len, contents)) == len(set.union(*contents)) == 30
    assert sum(sizes(task).values()) == 60


def test_train_can_be_limited(tmp_path: Path) -> None:
    task = from_image_folder(fill(tmp_path), train=6)
    assert task.splits["train"].targets.bincount().tolist() == [2, 2, 2]


def test_nested_hidden_and_other_files(tmp_path: Path) -> None:
    plain = from_image_folder(fill(tmp_path / "zoo"))
    for i in range(3):
        (tmp_path / "zoo" / "ant" / "deep" / "er").mkdir(parents=True, exist_ok=True)
        os.rename(tmp_path / "zoo" / "ant" / f"{i:02}.png", tmp_path / "zoo" / "ant" / "deep" / "er" / f"{i:02}.png")
    (tmp_path / "zoo" / ".git").mkdir()
    (tmp_path / "zoo" / "__MACOSX").mkdir()
    (tmp_path / "zoo" / "ant" / "Thumbs.db").write_text("x")
    (tmp_path / "zoo" / "ant" / "._00.png").write_text("x")
    (tmp_path / "zoo" / "ant" / "notes.txt").write_text("x")
    (tmp_path / "zoo" / "README.md").write_text("x")
    task = from_image_folder(tmp_path / "zoo")
    assert task.target == plain.target
    assert sum(sizes(task).values()) == 24
    assert task.source == "folder zoo; 1 of its files are no images"


def test_capital_endings_and_all_formats(tmp_path: Path) -> None:
    endings = ("PNG", "jpg", "JPEG", "webp", "bmp", "gif", "tif", "TIFF", "ppm")
    for c, name in enumerate(("a", "b")):
        for i, ending in enumerate(endings):
            paint(tmp_path / name / f"{i}.{ending}", 100 * c + i)
    assert sum(sizes(from_image_folder(tmp_path)).values()) == 18


def test_links_stay_inside(tmp_path: Path) -> None:
    fill(tmp_path / "zoo")
    outside = paint(tmp_path / "outside.png", 5)
    inside = tmp_path / "zoo" / "ant" / "inside.png"
    inside.symlink_to(tmp_path / "zoo" / "ant" / "00.png")
    (tmp_path / "link").symlink_to(tmp_path / "zoo")
    assert sum(sizes(from_image_folder(tmp_path / "link")).values()) == 25
    inside.unlink()
    for link, target, words in [
        ("zoo/ant/x.png", outside, "leads out of its folder"),
        ("zoo/ant/x.png", tmp_path / "nothing.png", "leads to nothing"),
        ("zoo/ant/x", tmp_path, "leads out of its folder"),
        ("zoo/ant/x", tmp_path / "zoo" / "ant", "a folder that it lies in"),
        ("zoo/elk", tmp_path / "other", "leads out of its folder"),
    ]:
        fill(tmp_path / "other", 2)
        (tmp_path / link).symlink_to(target)
        with pytest.raises(DataError, match=words):
            from_image_folder(tmp_path / "zoo")
        (tmp_path / link).unlink()


def test_a_split_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    fill(tmp_path / "far")
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "train").symlink_to(tmp_path / "far")
    with pytest.raises(DataError, match="leads out of its folder"):
        from_image_folder(tmp_path / "zoo")


@pytest.mark.parametrize(("prepare", "options", "words"), [
    (lambda f: None, {}, r"`folder` must exist"),
    (lambda f: f.mkdir(), {}, "a folder of images for each of two or more classes, found \\[\\]"),
    (lambda f: fill(f, classes=("ant",)), {}, "two or more classes, found \\['ant'\\]"),
    (lambda f: (fill(f), (f / "elk").mkdir()), {}, "elk' must hold images of its class .*found none"),
    (lambda f: (fill(f / "train"), fill(f / "test", 2, 50, ("elk", "ant"))), {}, "class 'elk' of .*test' must have"),
    (lambda f: (fill(f / "train"), fill(f / "test", 2, 50), (f / "x").mkdir()), {}, "found also 'x'"),
    (lambda f: (fill(f / "val"), fill(f / "test", 2, 50)), {}, "found no 'train'"),
    (lambda f: (fill(f / "train"), fill(f / "val", 2, 50), fill(f / "valid", 2, 90)), {}, "one folder of validation"),
    (lambda f: (fill(f), paint(f / "loose.png", 1)), {}, "loose.png' must lie in the folder of its class"),
    (lambda f: (fill(f), paint(f / "bee" / "x.png", 1, (9, 9))), {}, "x.png' must be 6 pixels wide and 5 high"),
    (lambda f: (fill(f), (f / "bee" / "x.png").write_text("no")), {"size": 4}, "x.png' must be a whole image file"),
    (lambda f: (fill(f), (f / "ant" / "00.png").write_text("no")), {}, "00.png' must be a whole image file"),
    (fill, {"channels": 4}, r"`channels` must be 1 \(grey\) or 3"),
    (fill, {"size": 0}, "`height` of images must be a whole number"),
    (fill, {"size": [4]}, "`size` must be one number, or height and width"),
    (fill, {"size": 4, "fit": "fill"}, "`fit` must be one of"),
    (fill, {"size": 4, "fit": "exact"}, "`fit` must be 'pad', 'crop' or 'stretch'"),
    (fill, {"size": 4, "background": 300}, "`background` must be a whole number from 0"),
    (fill, {"train": 1}, "`train` must be at least 3"),
    (fill, {"test": 1.5}, "`test` must be a share"),
    (lambda f: (fill(f / "train"), fill(f / "val", 2, 50)), {"test": 0.0}, "`test` must be a share"),
])  # fmt: skip
def test_what_is_refused_is_one_sentence_that_names_it(
    tmp_path: Path, prepare: Any, options: dict[str, Any], words: str
) -> None:
    prepare(tmp_path / "zoo")
    with pytest.raises(DataError, match=words) as raised:
        image_folder(tmp_path / "zoo", "zoo", **options)
    assert "\n" not in str(raised.value)


def test_a_folder_of_tasks_without_any_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder for each task, found none"):
        image_folder(tmp_path, tasks=True)
