from __future__ import annotations

import pytest
import torch

import pathways.data
from pathways.errors import DataError
from pathways.modules import Image, Vector
from pathways.task import Classes, Task, Values
from pathways.testing import TaskSourceSuite


class TestBundledSets(TaskSourceSuite):
    def tasks(self, seed: int) -> list[Task]:
        names = ("digits", "wine", "breast_cancer", "diabetes")
        return [task for name in names for task in pathways.data.load(name, seed=seed)]


class TestDigitsTasks(TaskSourceSuite):
    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.digits_tasks(seed=seed)


@pytest.mark.parametrize(
    ("name", "port", "target", "count"),
    [
        ("digits", Image(1, 8, 8), Classes(10), 1797),
        ("wine", Vector(13), Classes(3), 178),
        ("breast_cancer", Vector(30), Classes(2), 569),
        ("diabetes", Vector(10), Values(1), 442),
    ],
)
def test_sizes(name: str, port: object, target: Classes | Values, count: int) -> None:
    [task] = pathways.data.load(name)
    assert list(task.inputs.values()) == [port]
    assert (type(task.target), task.target.n) == (type(target), target.n)
    assert sum(map(len, task.splits.values())) == count
    assert len(task.splits["test"]) == pytest.approx(0.2 * count, abs=3)


@pytest.mark.parametrize("name", ["wine", "breast_cancer", "diabetes"])
def test_vectors_are_standardised_by_train(name: str) -> None:
    [task] = pathways.data.load(name)
    x = {}
    for which, split in task.splits.items():
        stored = split.inputs["features"]
        assert isinstance(stored, torch.Tensor)
        x[which] = task.transform["features"](stored)
    assert x["train"].mean(0).abs().max() < 1e-3
    assert (x["train"].std(0, correction=0) - 1).abs().max() < 1e-3
    assert x["test"].mean(0).abs().max() > 1e-2


def test_pixels_are_scaled_to_one() -> None:
    [task] = pathways.data.digits()
    stored = task.splits["train"].inputs["image"]
    assert isinstance(stored, torch.Tensor)
    pixels = task.transform["image"](stored)
    assert (pixels.min().item(), pixels.max().item()) == (0.0, 1.0)


def test_the_target_of_diabetes_is_standardised_by_train() -> None:
    [task] = pathways.data.diabetes()
    targets = task.splits["train"].targets
    assert (targets.mean().item(), targets.std(correction=0).item()) == pytest.approx((0.0, 1.0), abs=1e-5)
    assert abs(task.splits["test"].targets.mean()) > 1e-3


def test_digits_tasks_number_their_classes() -> None:
    [task] = pathways.data.digits_tasks(groups=[[7, 1]])
    assert (task.name, task.target.names) == ("digits/7-1", ("7", "1"))
    [whole] = pathways.data.digits()
    sevens = {tuple(row) for split in whole.splits.values() for row in rows(whole, split, 7)}
    assert {tuple(row) for row in rows(task, task.splits["train"], 0)} <= sevens


def rows(task: Task, split: object, label: int) -> list[list[int]]:
    x = split.inputs["image"][split.targets == label]  # type: ignore[attr-defined]
    assert isinstance(x, torch.Tensor)
    return x.flatten(1).tolist()


@pytest.mark.parametrize("group", [[1], [1, 1], [1, 10]])
def test_groups_are_different_digits(group: list[int]) -> None:
    with pytest.raises(DataError, match="`groups` must hold lists of two or more digits"):
        pathways.data.digits_tasks(groups=[group])
