from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import external, write_idx, write_idx_folder

import pathways.data
from pathways.data.idx_format import read_idx
from pathways.errors import DataError
from pathways.modules import Image, Vector
from pathways.task import Task
from pathways.testing import TaskSourceSuite


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_idx_folder(tmp_path)


def pixels(task: Task, split: str) -> torch.Tensor:
    value = task.splits[split].inputs["image"]
    assert isinstance(value, torch.Tensor)
    return value


class TestIdxFolder(TaskSourceSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, folder: Path) -> None:
        self.folder = folder

    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.idx_folder(self.folder, "tiny", [[0, 1], [1, 2]], seed=seed, validation=0.2)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_idx_round_trip(tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape)
    write_idx(tmp_path / f"a{suffix}", array)
    assert read_idx(tmp_path / f"a{suffix}").dtype == np.uint8
    assert np.array_equal(read_idx(tmp_path / f"a{suffix}"), array)


def test_idx_of_wide_numbers(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes([0, 0, 0x0C, 1, 0, 0, 0, 2, 0, 0, 1, 0, 255, 255, 255, 255]))
    assert read_idx(tmp_path / "a").tolist() == [256, -1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found nothing"),
        (b"\x89PNG....", "found 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\1\1", "two zero bytes and a type"),
        (b"\0\0\x08\x01\0\0\0\x05abc", "must hold 13 bytes"),
        (b"\0\0\x08\x01\0\0\0\x01abc", "must hold 9 bytes"),
        (b"\0\0\x08\x03\0\0\0\x01\0", "copy it again"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x05abcde", mtime=0)[:-9], "cannot be read"),
    ],
)
def test_broken_idx_files(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_idx(tmp_path / "broken")
    assert "broken" in str(caught.value)


def test_a_missing_file_names_both_spellings(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"'t10k-labels-idx1-ubyte' or 't10k-labels-idx1-ubyte.gz'"):
        pathways.data.idx_folder(folder, "tiny")


def test_images_and_labels_must_be_as_many(folder: Path) -> None:
    write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros(7))
    with pytest.raises(DataError, match=r"\(60, 6, 5\) and \(7,\)"):
        pathways.data.idx_folder(folder, "tiny")


def test_one_task_of_all_classes(tmp_path: Path) -> None:
    [task] = pathways.data.idx_folder(write_idx_folder(tmp_path, suffix=""), "tiny", class_names=list("abc"))
    assert task.inputs == {"image": Image(1, 6, 5)}
    assert task.target.names == ("a", "b", "c")
    assert {which: len(split) for which, split in task.splits.items()} == {"train": 54, "validation": 6, "test": 24}
    assert task.transform["image"](pixels(task, "train")).max() <= 1.0


def test_groups_number_their_classes(folder: Path) -> None:
    [task] = pathways.data.idx_folder(folder, "tiny", [[2, 0]])
    images, labels = (read_idx(folder / f"t10k-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    assert (task.name, task.target.names) == ("tiny/2-0", ("2", "0"))
    twos = pixels(task, "test")[task.splits["test"].targets == 0]
    assert torch.equal(twos[:, 0], torch.from_numpy(images[labels == 2]))


@pytest.mark.parametrize("group", [[1], [1, 1], [1, 9]])
def test_groups_are_different_classes(folder: Path, group: list[int]) -> None:
    with pytest.raises(DataError, match=r"two or more of \[0, 1, 2\]"):
        pathways.data.idx_folder(folder, "tiny", [group])


def test_flat_images_are_vectors(folder: Path) -> None:
    [task] = pathways.data.idx_folder(folder, "tiny", flatten=True)
    [image] = pathways.data.idx_folder(folder, "tiny")
    assert task.inputs == {"image": Vector(30)}
    assert torch.equal(pixels(task, "train"), pixels(image, "train").flatten(1))


def test_samples_limits_each_class_of_the_training_file(folder: Path) -> None:
    [task] = pathways.data.idx_folder(folder, "tiny", samples=10, validation=0.2)
    assert {which: split.targets.bincount().tolist() for which, split in task.splits.items()} == {
        "train": [8, 8, 8],
        "validation": [2, 2, 2],
        "test": [8, 8, 8],
    }
    with pytest.raises(DataError, match="`samples` must be at least 2"):
        pathways.data.idx_folder(folder, "tiny", samples=1)


def test_noise_is_half_salt_half_pepper_and_the_same_in_every_task(tmp_path: Path) -> None:
    write_idx_folder(tmp_path, train=600)
    for part in ("train", "t10k"):  # grey images with a number in the corner, so that only noise makes 0 and 255
        images = np.full((600 if part == "train" else 24, 28, 28), 100)
        images[:, 0, 0], images[:, 0, 1] = np.arange(len(images)) % 90 + 1, np.arange(len(images)) // 90 + 1
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", images)
    first, second = pathways.data.idx_folder(tmp_path, "grey", [[0, 1], [1, 2]], noise=0.5)
    for split in ("train", "validation", "test"):
        noisy = pixels(first, split)[:, :, 1:]
        assert (noisy == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
        assert (noisy == 255).float().mean().item() == pytest.approx(0.25, abs=0.01)
        assert set(noisy.unique().tolist()) == {0, 100, 255}
    ones = [pixels(task, "test")[task.splits["test"].targets == c] for task, c in ((first, 1), (second, 0))]
    assert torch.equal(*ones)
    assert not torch.equal(ones[0][0], ones[0][1])
    again, other = (pathways.data.idx_folder(tmp_path, "grey", [[0, 1]], noise=0.5, seed=s)[0] for s in (0, 1))
    assert torch.equal(pixels(again, "test"), pixels(first, "test"))
    assert not torch.equal(pixels(other, "test"), pixels(first, "test"))


def test_noise_is_a_share(folder: Path) -> None:
    with pytest.raises(DataError, match=r"`noise` must be a share from 0 to 1, found 50"):
        pathways.data.idx_folder(folder, "tiny", noise=50)


def test_training_images_that_also_test_are_left_out(folder: Path) -> None:
    images = read_idx(folder / "t10k-images-idx3-ubyte.gz").copy()
    images[4] = read_idx(folder / "train-images-idx3-ubyte.gz")[1]
    write_idx(folder / "t10k-images-idx3-ubyte.gz", images)
    [task] = pathways.data.idx_folder(folder, "tiny")
    assert len(task.splits["train"]) + len(task.splits["validation"]) == 59
    assert "1 sample left out" in task.source


def test_a_folder_is_found_in_the_data_folder(tmp_path: Path) -> None:
    write_idx_folder(tmp_path / "signs")
    assert pathways.data.idx_folder("signs", "signs", data=tmp_path)[0].name == "signs"
    with pytest.raises(DataError, match="`folder` must exist"):
        pathways.data.idx_folder("gone", "signs", data=tmp_path)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_standard_sets(tmp_path: Path, name: str) -> None:
    write_idx_folder(tmp_path / name.replace("_", "-"))
    [task] = pathways.data.load(name, data=tmp_path, classes=[[0, 2]])
    assert task.name == name.replace("_", "-") + "/0-2"
    assert task.target.names == (("0", "2") if name == "mnist" else ("T-shirt/top", "Pullover"))


def test_real_mnist_pairs() -> None:
    [task] = pathways.data.mnist([[3, 7]], data=external("mnist"), samples=200, noise=0.5)
    assert {which: len(split) for which, split in task.splits.items()} == {
        "train": 360,
        "validation": 40,
        "test": 1010 + 1028,
    }
