from __future__ import annotations

import numpy as np
import pytest
import torch

import pathways.data
from pathways.data.omniglot_set import BACKGROUND, EVALUATION, _arrays
from pathways.errors import DataError
from pathways.modules import Image
from pathways.task import Task
from pathways.testing import TaskSourceSuite


def images(task: Task, split: str) -> torch.Tensor:
    value = task.splits[split].inputs["image"]
    assert isinstance(value, torch.Tensor)
    return value


class TestOmniglot(TaskSourceSuite):
    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.omniglot(["Keble", "Atemayar_Qelisayer", "Braille"], seed=seed)


class TestOmniglotBackground(TaskSourceSuite):
    def tasks(self, seed: int) -> list[Task]:
        return pathways.data.omniglot_background(seed=seed)


def test_the_names_are_those_of_the_file() -> None:
    assert (*BACKGROUND, *EVALUATION) == tuple(_arrays()["alphabet_names"].tolist())
    assert _arrays()["alphabet_is_background"].tolist() == [True] * 30 + [False] * 20


def test_all_evaluation_alphabets_in_order() -> None:
    tasks = pathways.data.omniglot()
    assert [task.name for task in tasks] == [f"omniglot/{name}" for name in EVALUATION]
    assert sum(task.target.n for task in tasks) == 659
    assert {task.target.n for task in tasks} <= set(range(20, 48))
    assert {port for task in tasks for port in task.inputs.values()} == {Image(1, 28, 28)}


def test_images_are_ink_on_paper() -> None:
    [greek] = pathways.data.omniglot(["Greek"])
    train = images(greek, "train")
    assert train.dtype == torch.uint8
    assert train.unique().tolist() == [0, 1]
    assert 0.03 < greek.transform["image"](train).mean() < 0.2
    assert greek.target.names[:2] == ("character01", "character02")


def test_the_last_drawers_test_whatever_the_seed() -> None:
    prints = {pathways.data.omniglot(["Greek"], seed=seed)[0].test_fingerprint for seed in range(3)}
    assert len(prints) == 1
    [greek] = pathways.data.omniglot(["Greek"])
    arrays = _arrays()
    rows = np.flatnonzero((arrays["alphabet"] == BACKGROUND.index("Greek")) & (arrays["drawer"] >= 15))
    stored = torch.from_numpy(np.unpackbits(arrays["images"][rows], axis=1).reshape(-1, 1, 28, 28))
    assert torch.equal(images(greek, "test"), stored)


def test_the_numbers_of_drawers() -> None:
    [greek] = pathways.data.omniglot(["Greek"], validation_drawers=3, test_drawers=2)
    assert {which: len(split) for which, split in greek.splits.items()} == {
        "train": 24 * 15,
        "validation": 24 * 3,
        "test": 24 * 2,
    }
    assert all(split.targets.bincount().unique().numel() == 1 for split in greek.splits.values())


def test_equal_images_of_two_splits_are_left_out_and_told() -> None:
    # Drawers 7 and 14 drew the first character of this alphabet alike; seed 0 puts them in different splits.
    [task] = pathways.data.omniglot(["Atemayar_Qelisayer"], seed=0)
    assert sum(map(len, task.splits.values())) == 26 * 20 - 1
    assert "1 sample left out" in task.source


@pytest.mark.parametrize(("validation", "test"), [(0, 5), (5, 0), (10, 10)])
def test_some_drawers_are_left_to_train_on(validation: int, test: int) -> None:
    with pytest.raises(DataError, match=f"found {validation} and {test}"):
        pathways.data.omniglot(["Greek"], validation_drawers=validation, test_drawers=test)


def test_an_unknown_alphabet_names_close_ones() -> None:
    with pytest.raises(DataError, match=r"found 'greek': did you mean 'Greek'.*EVALUATION"):
        pathways.data.omniglot(["greek"])
    with pytest.raises(DataError, match=r"must be a list of names, found 'Greek'"):
        pathways.data.omniglot("Greek")


def test_the_background_alphabets_as_tasks() -> None:
    tasks = pathways.data.omniglot(background=True)
    assert [task.name for task in tasks] == [f"omniglot/{name}" for name in BACKGROUND]


def test_the_background_is_one_task_of_964_characters() -> None:
    [task] = pathways.data.omniglot_background(validation_drawers=3, test_drawers=2)
    assert task.target.n == len(set(task.target.names)) == 964
    assert (len(task.splits["validation"]), len(task.splits["test"])) == (964 * 3, 964 * 2)
    assert task.target.names[0] == "Arcadian/character01"


def test_rotations_are_classes_of_their_own() -> None:
    [plain] = pathways.data.omniglot_background()
    [turned] = pathways.data.omniglot_background(rotations=True)
    assert turned.target.n == 4 * 964
    assert turned.target.names[964] == "Arcadian/character01/90"
    first, ninety = (images(turned, "test")[turned.splits["test"].targets == c] for c in (5, 964 + 5))
    assert torch.equal(first.rot90(1, (2, 3)), ninety)
    assert torch.equal(first, images(plain, "test")[plain.splits["test"].targets == 5])
