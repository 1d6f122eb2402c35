from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pathways.errors import DataError
from pathways.modules import Ids, Masked, Signal, Vector
from pathways.task import Affine, Classes, Split, Task, Values

NAN = float("nan")


def parts() -> dict[str, Split]:
    rows = torch.arange(24.0).reshape(12, 2)
    labels = torch.arange(12) % 2
    return {
        "train": Split({"x": rows[:6].clone()}, labels[:6].clone()),
        "validation": Split({"x": rows[6:9].clone()}, labels[6:9].clone()),
        "test": Split({"x": rows[9:].clone()}, labels[9:].clone()),
    }


def make(splits: dict[str, Split], **changes: Any) -> Task:
    given: dict[str, Any] = {"inputs": {"x": Vector(2)}, "target": Classes(2), **changes}
    return Task("birds", splits=splits, **given)


def refused(splits: dict[str, Split], *said: str, **changes: Any) -> None:
    with pytest.raises(DataError) as caught:
        make(splits, **changes)
    message = str(caught.value)
    assert "birds" in message
    assert all(text in message for text in said), message
    assert "\n" not in message


def with_x(split: str, change: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, Split]:
    splits = parts()
    x = splits[split].inputs["x"]
    assert isinstance(x, torch.Tensor)
    return splits | {split: Split({"x": change(x)}, splits[split].targets)}


def with_y(split: str, targets: torch.Tensor) -> dict[str, Split]:
    return parts() | {split: Split(parts()[split].inputs, targets)}


def put(row: int, number: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(x: torch.Tensor) -> torch.Tensor:
        x[row, 1] = number
        return x

    return change


def test_good_data_passes_with_and_without_a_test_split() -> None:
    assert make(parts()).splits.keys() == {"train", "validation", "test"}
    del (splits := parts())["test"]
    assert make(splits).splits.keys() == {"train", "validation"}


@pytest.mark.parametrize("missing", ["train", "validation"])
def test_train_and_validation_are_required(missing: str) -> None:
    splits = parts()
    del splits[missing]
    refused(splits, "`splits`")


def test_other_split_names_are_refused() -> None:
    refused(parts() | {"val": parts()["test"]}, "'val'")


@pytest.mark.parametrize("name", ["", "  ", "a\nb"])
def test_a_name_must_be_printable(name: str) -> None:
    with pytest.raises(DataError, match="`name`"):
        Task(name, {"x": Vector(2)}, Classes(2), parts())


def test_inputs_must_be_named_alike() -> None:
    splits = parts() | {"validation": Split({"y": torch.zeros(3, 2)}, torch.tensor([0, 1, 0]))}
    refused(splits, "'validation'", "['x']", "['y']")
    refused(parts(), "`inputs`", inputs={})


def test_shapes_must_fit_the_port() -> None:
    refused(parts(), "(N, 3)", "(6, 2)", "'train'", inputs={"x": Vector(3)})
    refused(with_x("test", lambda x: x[:, :, None]), "(3, 2, 1)", "'test'")


def test_lengths_must_be_equal() -> None:
    refused(with_x("validation", lambda x: x[:2]), "2 samples for 3 targets")


def test_no_split_is_empty() -> None:
    refused(parts() | {"test": Split({"x": torch.zeros(0, 2)}, torch.zeros(0, dtype=torch.int64))}, "empty")


@pytest.mark.parametrize("number", [NAN, float("inf"), float("-inf")])
def test_inputs_are_finite(number: float) -> None:
    refused(with_x("validation", put(2, number)), "sample 2", str(number), "'validation'")


def test_types_are_alike_in_all_splits() -> None:
    refused(with_x("test", lambda x: x.to(torch.uint8)), "one type", "uint8")


def test_complex_inputs_are_refused() -> None:
    refused(with_x("train", lambda x: x.to(torch.complex64)), "complex64")


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_are_in_range(label: int) -> None:
    refused(with_y("train", torch.tensor([0, 1, 0, 1, label, 1])), "0 to 1", str(label), "sample 4")


def test_labels_are_int64_and_flat() -> None:
    refused(with_y("train", torch.zeros(6)), "int64", "float32")
    refused(with_y("train", torch.zeros(6, 1, dtype=torch.int64)), "(6, 1)")


def test_every_class_is_trained() -> None:
    refused(parts(), "'finch'", "no sample in train", target=Classes(3, ("wren", "tit", "finch")))


def test_class_names_are_as_many_as_classes() -> None:
    refused(parts(), "1 names for 2", target=Classes(2, ("wren",)))
    refused(parts(), "at least 2", target=Classes(1))


def test_values_are_finite_floats_of_their_number() -> None:
    numbers = {which: Split(s.inputs, torch.ones(len(s), 2)) for which, s in parts().items()}
    assert make(numbers, target=Values(2)).target.n == 2
    refused(numbers, "(6, 3)", target=Values(3))
    refused(with_y("train", torch.zeros(6, 2, dtype=torch.float64)), "float64", target=Values(2))
    broken = torch.ones(3, 2)
    broken[1, 0] = NAN
    refused(numbers | {"validation": Split(parts()["validation"].inputs, broken)}, "nan", target=Values(2))


def test_the_metric_measures_the_target() -> None:
    refused(parts(), "'r2'", "accuracy", metric="r2")


def test_transforms_fit_and_are_finite() -> None:
    refused(parts(), "3 numbers for 2", transform={"x": Affine((1.0, 2.0, 3.0))})
    refused(parts(), "finite", transform={"x": Affine(1.0, NAN)})


@pytest.mark.parametrize(
    ("one", "other"), [("train", "validation"), ("train", "test"), ("validation", "test")]
)
def test_a_sample_in_two_splits_is_a_leak(one: str, other: str) -> None:
    splits = parts()
    x, y = (splits[which].inputs["x"] for which in (one, other))
    assert isinstance(x, torch.Tensor)
    assert isinstance(y, torch.Tensor)
    y[1] = x[2]
    refused(splits, f"sample 2 of {one!r}", f"sample 1 of {other!r}", "allow_duplicates=True")
    assert make(splits, allow_duplicates=True).without_test().allow_duplicates


def test_equal_samples_inside_one_split_are_fine() -> None:
    make(with_x("train", lambda x: x[[0, 0, 0, 1, 1, 1]]))


def test_a_sample_is_all_of_its_inputs() -> None:
    def both(second: int) -> dict[str, Split]:
        x, labels = torch.zeros(2, 1), torch.tensor([0, 1])
        return {
            "train": Split({"x": x, "y": torch.tensor([[0.0], [1.0]])}, labels),
            "validation": Split({"x": x, "y": torch.tensor([[2.0], [float(second)]])}, labels),
        }

    ports = {"x": Vector(1), "y": Vector(1)}
    make(both(3), inputs=ports)
    refused(both(1), "sample 1 of 'train'", inputs=ports)


def ids(rows: list[list[int]], real: list[int]) -> Masked:
    return Masked(torch.tensor(rows), torch.arange(len(rows[0])) < torch.tensor(real)[:, None])


def texts(train: Masked | torch.Tensor, validation: Masked) -> dict[str, Split]:
    labels = torch.tensor([0, 1])
    return {"train": Split({"x": train}, labels), "validation": Split({"x": validation}, labels)}


TEXTS = {"inputs": {"x": Ids(None, 9)}}
OTHERS = ids([[5, 6], [7, 8]], [2, 2])


def test_variable_lengths_carry_a_mask() -> None:
    make(texts(ids([[1, 2, 3], [4, 0, 0]], [3, 1]), OTHERS), **TEXTS)
    refused(texts(torch.tensor([[1, 2], [3, 4]]), OTHERS), "Masked", **TEXTS)
    refused(parts(), "'x'", "Tensor", inputs={"x": Signal(2, None)})


def test_masks_are_bool_and_fit() -> None:
    value = torch.tensor([[1, 2], [3, 4]])
    refused(texts(Masked(value, torch.ones(2, 2)), OTHERS), "bool", **TEXTS)
    refused(texts(Masked(value, torch.ones(2, 3, dtype=torch.bool)), OTHERS), "(2, 3)", **TEXTS)


def test_every_sample_has_a_real_element() -> None:
    refused(texts(ids([[1, 2], [3, 4]], [1, 0]), OTHERS), "sample 1", "no real element", **TEXTS)


def test_ids_are_integers_below_the_vocabulary() -> None:
    refused(texts(ids([[1, 2], [3, 9]], [2, 2]), OTHERS), "0 to 8", "9", **TEXTS)
    refused(texts(ids([[1, 2], [3, -1]], [2, 1]), OTHERS), "-1", **TEXTS)
    floats = Masked(torch.ones(2, 2), torch.ones(2, 2, dtype=torch.bool))
    refused(texts(floats, OTHERS), "integer", **TEXTS)


def test_padding_does_not_hide_a_leak() -> None:
    refused(texts(ids([[5, 6, 1], [4, 0, 0]], [2, 1]), OTHERS), "sample 0 of 'train'", **TEXTS)
