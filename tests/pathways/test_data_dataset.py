from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch.utils.data import TensorDataset

import pathways.data
from pathways.errors import DataError
from pathways.modules import Ids, Image, Masked, Port, Signal, Vector
from pathways.task import Affine, Task, Values
from pathways.testing import TaskSourceSuite

RNG = np.random.default_rng(0)


def labelled(samples: list[Any]) -> list[tuple[Any, int]]:
    return [(sample, i % 2) for i, sample in enumerate(samples)]


def vectors(count: int = 40, offset: float = 0.0) -> TensorDataset:
    return TensorDataset(torch.arange(2.0 * count).reshape(count, 2) + offset, torch.arange(count) % 2)


class TestFromDataset(TaskSourceSuite):
    def tasks(self, seed: int) -> list[Task]:
        return [pathways.data.from_dataset(vectors(), name="pairs", seed=seed)]


@pytest.mark.parametrize(
    ("sample", "port"),
    [
        (lambda: torch.rand(3), Vector(3)),
        (lambda: RNG.normal(size=(3, 5, 4)), Image(3, 5, 4)),
        (lambda: Picture.fromarray(RNG.integers(0, 256, (5, 4), dtype=np.uint8)), Image(1, 5, 4)),
        (lambda: Picture.fromarray(RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)), Image(3, 5, 4)),
    ],
)
def test_ports_are_inferred(sample: Any, port: Port) -> None:
    task = pathways.data.from_dataset(labelled([sample() for _ in range(20)]), name="t")
    assert task.inputs == {"x": port}
    picture = isinstance(sample(), Picture.Image)
    assert task.transform["x"] == (Affine(1 / 255) if picture else Affine())


def test_pictures_keep_their_pixels() -> None:
    pixels = RNG.integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
    task = pathways.data.from_dataset(labelled([Picture.fromarray(p) for p in pixels]), name="t", allow_duplicates=True)
    found = {split.inputs["x"][0].numpy().tobytes() for split in task.splits.values()}
    assert found <= {np.ascontiguousarray(p.transpose(2, 0, 1)).tobytes() for p in pixels}


def test_a_test_dataset_is_kept_whole() -> None:
    task = pathways.data.from_dataset(vectors(), vectors(10, offset=500.0), name="t", validation=0.25)
    assert {which: len(split) for which, split in task.splits.items()} == {"train": 30, "validation": 10, "test": 10}
    assert task.splits["test"].targets.tolist() == [0, 1] * 5


def test_variable_lengths_are_padded_and_masked() -> None:
    texts = [torch.arange(1 + i % 5) + 5 * i for i in range(30)]
    task = pathways.data.from_dataset(labelled(texts), name="t", port=Ids(None, 200))
    value = task.splits["train"].inputs["x"]
    assert isinstance(value, Masked)
    assert value.value.shape == value.mask.shape == (len(task.splits["train"]), 5)
    assert value.value[~value.mask].eq(0).all()
    rows = {tuple(v[m].tolist()) for v, m in zip(value.value, value.mask, strict=True)}
    assert rows <= {tuple(text.tolist()) for text in texts}


def test_variable_signals_run_along_their_last_axis() -> None:
    signals = [torch.full((2, 3 + i % 2), float(i)) for i in range(20)]
    task = pathways.data.from_dataset(labelled(signals), name="t", port=Signal(2, None))
    value = task.splits["train"].inputs["x"]
    assert isinstance(value, Masked)
    assert value.value.shape[1:] == (2, 4)
    assert set(value.mask.sum(1).tolist()) <= {3, 4}


def test_several_inputs_by_name() -> None:
    samples = labelled([{"a": torch.rand(2), "b": torch.tensor([i, i + 1])} for i in range(20)])
    task = pathways.data.from_dataset(samples, name="t", port={"b": Ids(2, 21)}, transform={"a": Affine(2.0)})
    assert dict(task.inputs) == {"a": Vector(2), "b": Ids(2, 21)}
    assert task.transform == {"a": Affine(2.0), "b": Affine()}


def test_values_and_class_names() -> None:
    numbers = [(torch.rand(2), torch.rand(3)) for _ in range(20)]
    assert pathways.data.from_dataset(numbers, name="t", values=True).target == Values(3)
    single = [(torch.rand(2), float(i)) for i in range(20)]
    task = pathways.data.from_dataset(single, name="t", values=True, metric="mean_squared_error")
    assert (task.target, task.measured_by.name) == (Values(1), "mean_squared_error")
    named = pathways.data.from_dataset(vectors(), name="t", class_names=["even", "odd"])
    assert named.target.names == ("even", "odd")


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ([], "`train` of task 'letters' must hold samples"),
        ([(torch.rand(2), 0), (torch.rand(3), 1)], "one shape"),
        ([(torch.arange(2) + i, i % 2) for i in range(9)], "`port` of task 'letters'"),
        ([(torch.rand(2), 0.5) for _ in range(9)], "whole numbers or texts"),
    ],
)
def test_what_cannot_be_a_task(dataset: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        pathways.data.from_dataset(dataset, name="letters")
