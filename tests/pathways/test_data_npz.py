from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_sets import external

import pathways.data
from pathways.errors import DataError
from pathways.modules import Image, Signal, Vector
from pathways.task import Task, Values
from pathways.testing import TaskSourceSuite

RNG = np.random.default_rng(0)
X, Y = RNG.normal(5.0, 2.0, (60, 3)), np.arange(60) % 3
IMAGES = RNG.integers(0, 256, (60, 4, 5), dtype=np.uint8)


def write(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "set.npz", **arrays)
    return folder / "set.npz"


def stored(task: Task, split: str) -> torch.Tensor:
    value = task.splits[split].inputs["x"]
    assert isinstance(value, torch.Tensor)
    return value


class TestNpz(TaskSourceSuite):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.file = write(tmp_path, x=X, y=Y)

    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.npz(self.file, "three", seed=seed)


def test_vectors_are_standardised_by_train(tmp_path: Path) -> None:
    [task] = pathways.data.npz(write(tmp_path, x=X, y=Y), "t")
    assert task.inputs == {"x": Vector(3)}
    assert task.transform["x"](stored(task, "train")).mean(0).abs().max() < 1e-5
    assert [len(split) for split in task.splits.values()] == [39, 9, 12]


@pytest.mark.parametrize("names", [("x_{}", "y_{}"), ("{}_images", "{}_labels")])
def test_usual_names_with_a_test_split(tmp_path: Path, names: tuple[str, str]) -> None:
    arrays: dict[str, Any] = {}
    for part, rows in (("train", slice(0, 45)), ("test", slice(45, 60))):
        arrays |= {names[0].format(part): IMAGES[rows], names[1].format(part): Y[rows]}
    [task] = pathways.data.npz(write(tmp_path, **arrays, class_names=np.array(["a", "b", "c"])), "t")
    assert task.inputs == {"x": Image(1, 4, 5)}
    assert task.target.names == ("a", "b", "c")
    assert torch.equal(stored(task, "test")[:, 0], torch.from_numpy(IMAGES[45:]))
    assert task.transform["x"].scale == 1 / 255


def test_keys_name_other_arrays_and_bits_are_unpacked(tmp_path: Path) -> None:
    bits = RNG.integers(0, 2, (30, 15), dtype=np.uint8)
    file = write(tmp_path, ink=np.packbits(bits, axis=1), digit=np.arange(30) % 2)
    [task] = pathways.data.npz(file, "t", keys={"train": ["ink", "digit"]}, unpack=[3, 5])
    assert task.inputs == {"x": Image(1, 3, 5)}
    rows = {tuple(row) for split in task.splits for row in stored(task, split).flatten(1).tolist()}
    assert rows == {tuple(row) for row in bits.tolist()}


def test_a_port_in_plain_data_and_values(tmp_path: Path) -> None:
    file = write(tmp_path, x=RNG.normal(size=(30, 2, 8)), y=RNG.normal(size=30))
    [task] = pathways.data.load(
        "npz", file=str(file), name="t", values=True, port={"port": "signal", "channels": 2, "length": 8}
    )
    assert task.inputs == {"x": Signal(2, 8)}
    assert task.target == Values(1)


def test_equal_samples_stay_together_or_are_allowed(tmp_path: Path) -> None:
    file = write(tmp_path, x=np.repeat(X[:15], 4, axis=0), y=np.repeat(Y[:15], 4))
    [task] = pathways.data.npz(file, "t")
    assert sum(map(len, task.splits.values())) == 60
    [loose] = pathways.data.npz(file, "t", allow_duplicates=True)
    assert loose.allow_duplicates


@pytest.mark.parametrize(
    ("arrays", "options", "said"),
    [
        ({"a": X, "b": Y}, {}, r"usual names.*\['a', 'b'\]"),
        ({"x": X, "y": Y}, {"keys": {"train": ["x", "z"]}}, "no array 'z'"),
        ({"x": X, "y": Y}, {"keys": {"test": ["x", "y"]}}, "`keys` must name two arrays for 'train'"),
        ({"x": X, "y": Y[:50]}, {}, "60 samples for 50 targets"),
        ({"x": X, "y": Y}, {"unpack": [3, 5]}, "`unpack` needs bytes"),
        ({"x": X, "y": Y}, {"port": Vector(4)}, r"\(N, 4\)"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        pathways.data.npz(write(tmp_path, **arrays), "t", **options)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    file = write(tmp_path, x=np.array([{"a": 1}] * 4, dtype=object), y=Y[:4])
    with pytest.raises(DataError, match="npz file of plain arrays"):
        pathways.data.npz(file, "t")
    file.write_bytes(pickle.dumps([1]))
    with pytest.raises(DataError, match="npz file of plain arrays"):
        pathways.data.npz(file, "t")
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(DataError, match="npz file of plain arrays"):
        pathways.data.npz(tmp_path / "one.npy", "t")


def test_colour_images_of_a_real_file() -> None:
    [task] = pathways.data.npz("cifar10-subset.npz", "cifar", data=external("cifar10-subset.npz"))
    assert task.inputs == {"x": Image(3, 32, 32)}
    assert task.target.names[0] == "airplane"
    assert len(task.splits["test"]) == 2000
