"""Limits on training samples, and images of another size."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from data_sets import write_idx_folder

import pathways.data
from pathways.data.limit import limited
from pathways.data.resize import area_average, area_weights
from pathways.errors import DataError
from pathways.task import Split


def splits(counts: list[int]) -> dict[str, Split]:
    targets = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return {which: Split({"x": torch.arange(len(targets))}, targets) for which in ("train", "validation")}


def kept(train: int, seed: int = 0, name: str = "a") -> list[int]:
    return limited(name, splits([10, 3, 20]), train, seed)["train"].inputs["x"].tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize(("train", "counts"), [(3, [1, 1, 1]), (9, [3, 3, 3]), (19, [8, 3, 8]), (99, [10, 3, 20])])
def test_classes_get_as_many_as_each_other_or_all_they_have(train: int, counts: list[int]) -> None:
    few = limited("a", splits([10, 3, 20]), train, 0)
    assert few["train"].targets.bincount().tolist() == counts
    assert len(few["validation"]) == 33


def test_a_remainder_goes_to_some_classes_by_one() -> None:
    assert sorted(limited("a", splits([9, 9, 9]), 10, 0)["train"].targets.bincount().tolist()) == [3, 3, 4]


def test_the_draw_is_that_of_name_and_seed_and_grows() -> None:
    assert kept(9) == kept(9)
    assert kept(9) != kept(9, seed=1)
    assert kept(9) != kept(9, name="b")
    assert set(kept(9)) < set(kept(10)) < set(kept(20))


def test_no_limit_changes_nothing_and_too_low_a_one_is_refused() -> None:
    whole = splits([2, 2])
    assert limited("a", whole, None, 0) == whole
    with pytest.raises(DataError, match="`train` must be at least 2, one sample for each class of task 'a', found 1"):
        limited("a", whole, 1, 0)


def test_idx_sets_take_the_limit(tmp_path: Path) -> None:
    tasks = pathways.data.load("fashion_mnist", data=write_idx_folder(tmp_path / "fashion-mnist").parent,
                               classes=[[0, 1], [1, 2]], train=10)
    for task in tasks:
        assert {which: split.targets.bincount().tolist() for which, split in task.splits.items()} == {
            "train": [5, 5], "validation": [2, 2], "test": [8, 8],
        }


@pytest.mark.parametrize(("size", "to"), [(32, 28), (105, 28), (4, 2), (5, 5), (3, 7)])
def test_area_weights_are_exact_overlaps(size: int, to: int) -> None:
    def overlap(i: int, j: int) -> Fraction:
        return min(Fraction(j + 1, size), Fraction(i + 1, to)) - max(Fraction(j, size), Fraction(i, to))

    exact = [[float(max(Fraction(0), overlap(i, j)) * to) for j in range(size)] for i in range(to)]
    np.testing.assert_allclose(area_weights(size, to), exact, atol=1e-14)


def test_area_averaging_keeps_the_mean() -> None:
    images = np.random.default_rng(0).random((3, 32, 20))
    np.testing.assert_allclose(area_average(images, 28, 7).mean((1, 2)), images.mean((1, 2)))
    np.testing.assert_allclose(area_average(images, 16, 10), images.reshape(3, 16, 2, 10, 2).mean((2, 4)))
