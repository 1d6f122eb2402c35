from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import external, write_cmaterdb

import pathways.data
from pathways.errors import DataError
from pathways.modules import Image
from pathways.task import Task
from pathways.testing import TaskSourceSuite


class TestCmaterdb(TaskSourceSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = write_cmaterdb(tmp_path)

    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.cmaterdb(["bangla", "telugu"], data=self.folder, seed=seed, validation=0.25)


def test_a_task_for_each_script(tmp_path: Path) -> None:
    tasks = pathways.data.load("cmaterdb", data=write_cmaterdb(tmp_path), validation=0.25, train=20)
    assert [task.name for task in tasks] == ["cmaterdb/bangla", "cmaterdb/devanagari", "cmaterdb/telugu"]
    for task in tasks:
        assert task.inputs == {"image": Image(1, 28, 28)}
        assert task.splits["train"].targets.bincount().tolist() == [2] * 10
        assert task.splits["test"].targets.tolist() == [n % 10 for n in range(20)]


def test_images_are_unpacked_and_averaged(tmp_path: Path) -> None:
    with np.load(write_cmaterdb(tmp_path) / "cmaterdb-numerals.npz") as arrays:
        bits = np.unpackbits(arrays["bangla_test_images"], axis=1).reshape(-1, 32, 32)
    [whole], [half] = (pathways.data.cmaterdb(["bangla"], data=tmp_path, size=size) for size in (32, 16))
    assert torch.equal(whole.splits["test"].inputs["image"][:, 0], torch.from_numpy(bits * 255))  # type: ignore[index]
    means = np.rint(255 * bits.reshape(-1, 16, 2, 16, 2).mean((2, 4)))
    assert np.array_equal(half.splits["test"].inputs["image"][:, 0], means)  # type: ignore[index]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`file` must exist.*cmaterdb-numerals.npz"):
        pathways.data.cmaterdb(data=tmp_path)
    write_cmaterdb(tmp_path)
    with pytest.raises(DataError, match=r"`scripts` must name some of .*'telugu'\], found 'latin'"):
        pathways.data.cmaterdb(["latin"], data=tmp_path)
    np.savez(tmp_path / "cmaterdb-numerals.npz", bangla_train_images=np.zeros((2, 32, 32), np.uint8))
    with pytest.raises(DataError, match="must hold the array 'bangla_train_labels'"):
        pathways.data.cmaterdb(data=tmp_path)
    images, labels = np.zeros((2, 32, 32)), np.zeros(2, int)
    np.savez(tmp_path / "cmaterdb-numerals.npz", bangla_train_images=images, bangla_train_labels=labels)
    with pytest.raises(DataError, match=r"packed bits, uint8 \(N, 128\), found float64 \(2, 32, 32\)"):
        pathways.data.cmaterdb(data=tmp_path)


def test_real_numerals_can_be_told_apart() -> None:
    for task in pathways.data.cmaterdb(data=external("cmaterdb-numerals.npz"), train=300):
        x, y = ({s: part for s, part in zip(task.splits, parts, strict=True)} for parts in (
            [split.inputs["image"].flatten(1).float() for split in task.splits.values()],  # type: ignore[union-attr]
            [split.targets for split in task.splits.values()],
        ))
        assert len(x["test"]) in (500, 1000)
        nearest = torch.cdist(x["test"], x["train"]).argmin(1)
        assert (y["train"][nearest] == y["test"]).float().mean() > 0.78  # with all of the training 0.90 to 0.96
