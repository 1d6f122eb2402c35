from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.data.split import divide, split_indices, split_pool, without_leaks
from pathways.errors import DataError
from pathways.modules import Vector
from pathways.task import Classes, Split, Values

SAMPLES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=2, max_size=60)
PORTS = {"x": Vector(1)}


def split_of(numbers: list[int], labels: list[int] | None = None) -> Split:
    column = torch.tensor(numbers, dtype=torch.float32)[:, None]
    return Split({"x": column}, torch.tensor(labels if labels is not None else [0] * len(numbers)))


def numbers(split: Split) -> list[float]:
    x = split.inputs["x"]
    assert isinstance(x, torch.Tensor)
    return x.flatten().tolist()


@settings(deadline=None, max_examples=200)
@given(SAMPLES, st.floats(0.05, 0.95), st.integers(0, 5))
def test_divide_is_a_partition_that_keeps_equal_samples_together(
    samples: list[tuple[int, int]], share: float, seed: int
) -> None:
    contents, strata = [c for c, _ in samples], [s for _, s in samples]
    rest, part = divide(contents, strata, share, np.random.default_rng(seed))
    assert sorted(rest + part) == list(range(len(samples)))
    assert not {contents[i] for i in rest} & {contents[i] for i in part}
    assert divide(contents, strata, share, np.random.default_rng(seed)) == (rest, part)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(2, 40), min_size=1, max_size=4), st.floats(0.05, 0.95))
def test_divide_takes_its_share_of_every_class(sizes: list[int], share: float) -> None:
    strata = [c for c, size in enumerate(sizes) for _ in range(size)]
    rest, part = divide(range(len(strata)), strata, share, np.random.default_rng(0))
    for c, size in enumerate(sizes):
        taken = sum(strata[i] == c for i in part)
        assert abs(taken - share * size) <= 1
        assert 1 <= taken < size
    assert rest == sorted(rest)


def test_a_class_of_one_sample_stays_in_train() -> None:
    assert divide("abc", [0, 0, 1], 0.5, np.random.default_rng(0))[0][-1] == 2


def test_groups_larger_than_their_share_still_give_one() -> None:
    rest, part = divide("aaaabb", [0] * 6, 0.1, np.random.default_rng(0))
    assert (rest, part) == ([0, 1, 2, 3], [4, 5])


def test_test_depends_on_the_name_and_validation_on_the_seed_too() -> None:
    def drawn(name: str, seed: int) -> dict[str, list[int]]:
        return split_indices(name, range(100), [0] * 100, seed=seed, validation=0.2, test=0.2)

    one, other, renamed = drawn("a", 0), drawn("a", 1), drawn("b", 0)
    assert {which: len(part) for which, part in one.items()} == {"train": 64, "test": 20, "validation": 16}
    assert one["test"] == other["test"] != renamed["test"]
    assert one["validation"] != other["validation"]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 20])
def test_shares_lie_between_0_and_1(share: float) -> None:
    with pytest.raises(DataError, match=f"`validation` must be a share between 0 and 1, found {share}"):
        split_indices("a", range(9), [0] * 9, seed=0, validation=share, test=None)


def test_a_pool_gives_three_disjoint_splits() -> None:
    pool = split_of([i // 2 for i in range(80)], [i // 2 % 2 for i in range(80)])
    splits, note = split_pool("a", PORTS, Classes(2), pool, seed=0, validation=0.25, test=0.25)
    assert list(splits) == ["train", "validation", "test"]
    assert note == ""
    found = [set(numbers(split)) for split in splits.values()]
    assert len(set.union(*found)) == sum(map(len, found)) == 40
    assert sum(map(len, splits.values())) == 80


def test_samples_of_a_fixed_test_split_are_not_trained_on() -> None:
    pool, test = split_of(list(range(20))), split_of([3, 4, 50])
    splits, note = split_pool("a", PORTS, Values(1), pool, test, seed=0, validation=0.25)
    assert splits["test"] is test
    assert sorted(numbers(splits["train"]) + numbers(splits["validation"])) == [i for i in range(20) if i not in (3, 4)]
    assert "2 samples left out" in note
    kept, note = split_pool("a", PORTS, Values(1), pool, test, seed=0, validation=0.25, allow_duplicates=True)
    assert len(kept["train"]) + len(kept["validation"]) == 20
    assert note == ""


def test_without_leaks_keeps_what_measures() -> None:
    given = {"train": split_of([1, 2, 3, 4]), "validation": split_of([3, 5]), "test": split_of([4, 5])}
    kept, note = without_leaks("a", given, PORTS)
    assert {which: numbers(split) for which, split in kept.items()} == {
        "train": [1, 2],
        "validation": [3],
        "test": [4, 5],
    }
    assert "3 samples left out" in note
    clean, note = without_leaks("a", kept, PORTS)
    assert clean["train"] is kept["train"]
    assert note == ""


def test_without_leaks_never_empties_a_split() -> None:
    with pytest.raises(DataError, match=r"all 2 samples of 'train' of task 'a'.*allow_duplicates=True"):
        without_leaks("a", {"train": split_of([1, 2]), "validation": split_of([1, 2])}, PORTS)


def test_a_split_that_would_be_empty_is_refused():
    with pytest.raises(DataError, match=r"samples for 'validation'.*12 samples have 2 different"):
        split_indices("a", [0, 1] * 6, [0, 1] * 6, seed=0, validation=0.2, test=0.2)
    with pytest.raises(DataError, match=r"samples for 'validation', found none of its 2: get more samples"):
        split_indices("a", [0, 1], [0, 0], seed=0, validation=0.2, test=0.2)
