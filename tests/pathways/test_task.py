from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
import torch

from pathways.modules import Ids, Image, Masked, Signal, Tokens, Vector
from pathways.task import Affine, Classes, Split, Task, Values, take


def splits(offset: float = 0.0) -> dict[str, Split]:
    rows = torch.arange(24.0).reshape(12, 2) + offset
    labels = torch.arange(12) % 2
    bounds = {"train": slice(0, 6), "validation": slice(6, 9), "test": slice(9, 12)}
    return {which: Split({"x": rows[part]}, labels[part]) for which, part in bounds.items()}


def task(**changes: object) -> Task:
    made = {"name": "t", "inputs": {"x": Vector(2)}, "target": Classes(2), "splits": splits(), **changes}
    return Task(**made)  # type: ignore[arg-type]


def test_the_metric_follows_the_target() -> None:
    assert task().measured_by.name == "accuracy"
    numbers = {which: Split(s.inputs, s.targets.float()[:, None]) for which, s in splits().items()}
    assert task(target=Values(1), splits=numbers).measured_by.name == "r2"


def test_class_labels_are_names_or_numbers() -> None:
    assert Classes(3).labels == ("0", "1", "2")
    assert Classes(2, ("cat", "dog")).labels == ("cat", "dog")


def test_a_transform_for_every_input() -> None:
    assert task().transform == {"x": Affine()}


def test_affine_numbers_run_along_channels_or_features() -> None:
    affine = Affine((2.0, 3.0), (0.0, 1.0))
    assert affine(torch.ones(1, 2, 1, 1)).flatten().tolist() == [2.0, 4.0]
    assert affine(torch.ones(1, 2)).tolist() == [[2.0, 4.0]]
    assert Affine(1 / 255)(torch.tensor([[255]], dtype=torch.uint8)).item() == pytest.approx(1.0)


@pytest.mark.parametrize("affine", [Affine(), Affine(0.5, -1.0), Affine((1.0, 2.0), (0.0, 3.0))])
def test_affine_json_round_trip(affine: Affine) -> None:
    assert Affine.from_json(affine.to_json()) == affine


def test_the_fingerprint_covers_what_training_reads() -> None:
    one = task()
    assert one.fingerprint == task().fingerprint
    assert one.fingerprint == task(name="other", source="elsewhere").fingerprint
    changed = [
        task(splits=splits(0.5)),
        task(transform={"x": Affine(2.0)}),
        task(metric="balanced_accuracy"),
        task(splits={**splits(), "train": flipped(splits()["train"])}),
    ]
    assert all(other.fingerprint != one.fingerprint for other in changed)


def flipped(split: Split) -> Split:
    return Split(split.inputs, 1 - split.targets)


def test_the_test_split_has_a_fingerprint_of_its_own() -> None:
    other = splits() | {"test": flipped(splits()["test"])}
    assert task(splits=other).fingerprint == task().fingerprint
    assert task(splits=other).test_fingerprint != task().test_fingerprint


def test_without_test_hides_the_test_split_and_keeps_the_rest() -> None:
    whole = task()
    assert whole.test_fingerprint
    blind = whole.without_test()
    assert set(blind.splits) == {"train", "validation"}
    assert blind.test_fingerprint is None
    assert whole.test_fingerprint is not None
    assert "test" in whole.splits
    assert blind.fingerprint == whole.fingerprint
    assert blind.splits["train"] is whole.splits["train"]


def test_without_test_does_not_check_again(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = task()
    monkeypatch.setattr("pathways.task_checks.check_task", lambda _: pytest.fail("checked again"))
    whole.without_test()


def test_pickle_round_trip() -> None:
    one = task()
    assert pickle.loads(pickle.dumps(one)).fingerprint == one.fingerprint
    assert copy.deepcopy(one).fingerprint == replace(one).fingerprint


def test_take_keeps_masks_with_their_values() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    split = Split({"ids": Masked(torch.tensor([[1, 0], [2, 3]]), mask)}, torch.tensor([0, 1]))
    taken = take(split, torch.tensor([1]))
    value = taken.inputs["ids"]
    assert isinstance(value, Masked)
    assert value.value.tolist() == [[2, 3]]
    assert value.mask.tolist() == [[True, True]]
    assert (len(taken), taken.targets.tolist()) == (1, [1])


@pytest.mark.parametrize(
    ("port", "values"),
    [
        (Image(1, 2, 2), torch.arange(48).reshape(12, 1, 2, 2).to(torch.uint8)),
        (Tokens(2, 3), torch.arange(72.0).reshape(12, 2, 3)),
        (Signal(2, 3), torch.arange(72.0).reshape(12, 2, 3)),
        (Ids(4, 48), torch.arange(48).reshape(12, 4)),
    ],
)
def test_every_port_has_tasks(port: object, values: torch.Tensor) -> None:
    parts = {w: Split({"x": values[i : i + 4]}, torch.tensor([0, 1, 0, 1])) for w, i in
             (("train", 0), ("validation", 4), ("test", 8))}  # fmt: skip
    assert len(task(inputs={"x": port}, splits=parts).fingerprint) == 64
