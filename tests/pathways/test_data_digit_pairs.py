from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import external, write_fsdd, write_idx

import pathways.data
from pathways.data.digit_pairs_set import QUESTIONS
from pathways.errors import DataError
from pathways.modules import Image
from pathways.task import Task
from pathways.testing import TaskSourceSuite


def folder_at(path: Path, images: int = 200) -> Path:
    """The data folder, with tones and with random images of ten classes."""
    write_fsdd(path)
    (path / "mnist").mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", images), ("t10k", 60)):
        write_idx(path / "mnist" / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 6, 5)))
        write_idx(path / "mnist" / f"{part}-labels-idx1-ubyte", np.arange(count) % 10)
    return path


class TestDigitPairs(TaskSourceSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = folder_at(tmp_path)

    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.digit_pairs(
            ["parity", "speaker"], data=self.folder, seed=seed, train=40, test=20, validation=0.25
        )


def test_a_task_for_each_question(tmp_path: Path) -> None:
    tasks = pathways.data.load(
        "digit_pairs", data=folder_at(tmp_path), questions=list(QUESTIONS), train=40, test=20, validation=0.25
    )
    assert [task.name for task in tasks] == [f"digit_pairs/{question}" for question in QUESTIONS]
    for task in tasks:
        assert list(task.inputs) == ["image", "audio"]
        assert task.inputs["audio"] == Image(1, 28, 28)
        assert {s: len(split) for s, split in task.splits.items()} == {"train": 40, "validation": 10, "test": 20}
    assert tasks[2].target.labels == ("ann", "bob")  # type: ignore[union-attr]


@pytest.mark.parametrize("question", ["parity", "same", "greater"])
def test_yes_and_no_are_right_equally_often(tmp_path: Path, question: str) -> None:
    [task] = pathways.data.digit_pairs([question], data=folder_at(tmp_path), train=40, test=20, validation=0.25)
    assert task.splits["train"].targets.bincount().tolist() == [20, 20]


def test_bad_questions_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`questions` must name some of .* found 'sum'"):
        pathways.data.digit_pairs(["sum"], data=folder_at(tmp_path))


def test_too_many_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there must be 400 different pairs for 'same'"):
        pathways.data.digit_pairs(["same"], data=folder_at(tmp_path, 40), train=400, test=20, validation=0.25)


def test_real_pairs_of_one_split_share_nothing_with_another() -> None:
    data = external("fsdd.npz")
    [task] = pathways.data.digit_pairs(["parity"], data=data, train=300, test=100)
    images = {s: {bytes(np.asarray(x)) for x in split.inputs["image"]} for s, split in task.splits.items()}
    sounds = {s: {bytes(np.asarray(x)) for x in split.inputs["audio"]} for s, split in task.splits.items()}
    for kind in (images, sounds):
        assert not kind["train"] & kind["validation"]
        assert not (kind["train"] | kind["validation"]) & kind["test"]
    # Neither alone says anything: each digit is followed by odd and even sums alike.
    assert abs(float(task.splits["train"].targets.float().mean()) - 0.5) < 0.01
    assert task.splits["train"].inputs["image"].dtype == torch.uint8  # type: ignore[union-attr]
