from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.data.arrays import (
    as_port,
    as_tensor,
    class_targets,
    pixel_transform,
    standardise,
    to_port,
    value_targets,
)
from pathways.errors import DataError
from pathways.modules import Ids, Image, Port, Signal, Vector
from pathways.task import Affine


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (np.dtype("u1"), torch.uint8),
        (np.dtype("?"), torch.uint8),
        (np.dtype("i1"), torch.int64),
        (np.dtype(">u2"), torch.int64),
        (np.dtype("i8"), torch.int64),
        (np.dtype("f2"), torch.float32),
        (np.dtype(">f8"), torch.float32),
    ],
)
def test_types_as_tasks_hold_them(given: np.dtype, stored: torch.dtype) -> None:
    tensor = as_tensor(np.array([[0, 1], [1, 0]]).astype(given))
    assert tensor.dtype == stored
    assert tensor.tolist() == [[0, 1], [1, 0]]


def test_tensors_are_copied() -> None:
    original = torch.zeros(2)
    as_tensor(original)[0] = 1
    assert original[0] == 0
    assert as_tensor(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.float32


def test_texts_are_no_data() -> None:
    with pytest.raises(DataError, match="must be numbers, found an array of <U1"):
        as_tensor(np.array(["a"]))


@pytest.mark.parametrize(
    ("shape", "dtype", "port", "becomes"),
    [
        ((4, 3), torch.float32, Vector(3), (4, 3)),
        ((4, 28, 27), torch.uint8, Image(1, 28, 27), (4, 1, 28, 27)),
        ((4, 3, 8, 9), torch.float32, Image(3, 8, 9), (4, 3, 8, 9)),
        ((4, 8, 9, 3), torch.uint8, Image(3, 8, 9), (4, 3, 8, 9)),
    ],
)
def test_ports_are_inferred(shape: tuple[int, ...], dtype: torch.dtype, port: Port, becomes: tuple[int, ...]) -> None:
    values, inferred = to_port("t", torch.zeros(shape, dtype=dtype), None)
    assert inferred == port
    assert tuple(values.shape) == becomes


@pytest.mark.parametrize(("shape", "dtype"), [((4, 3), torch.int64), ((4, 8, 9), torch.float32), ((4,), torch.float32)])
def test_what_the_shape_does_not_say_is_asked(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    with pytest.raises(DataError, match="`port` of task 'letters' cannot be inferred"):
        to_port("letters", torch.zeros(shape, dtype=dtype), None)


def test_a_given_port_is_kept() -> None:
    assert to_port("t", torch.zeros(4, 8, 9), Signal(8, 9))[1] == Signal(8, 9)
    assert to_port("t", torch.zeros(4, 8, 9), Image(1, 8, 9))[0].shape == (4, 1, 8, 9)


def test_ports_in_plain_data() -> None:
    assert as_port({"port": "ids", "length": None, "vocabulary": 9}) == Ids(None, 9)
    assert as_port(Vector(2)) == Vector(2)
    with pytest.raises(DataError, match="found 'picture'"):
        as_port({"port": "picture"})


def test_only_byte_images_are_scaled() -> None:
    assert pixel_transform(torch.zeros(1, dtype=torch.uint8), Image(1, 2, 2)) == Affine(1 / 255)
    assert pixel_transform(torch.zeros(1), Image(1, 2, 2)) == Affine()
    assert pixel_transform(torch.zeros(1, dtype=torch.uint8), Vector(1)) == Affine()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(-50, 50), st.just(7)), min_size=3, max_size=30), st.floats(-1e3, 1e3))
def test_standardised_columns(rows: list[tuple[int, int]], offset: float) -> None:
    values = torch.tensor(rows, dtype=torch.float32) + offset
    columns = standardise(values)(values).double()
    deviation = float(columns[:, 0].std(correction=0))
    assert abs(float(columns[:, 0].mean())) < 1e-2
    assert deviation == pytest.approx(1.0, abs=1e-2) or len({row[0] for row in rows}) == 1
    assert columns[:, 1].abs().max() < 1e-3


def test_classes_are_numbered() -> None:
    targets, classes = class_targets("t", np.array([7, 3, 7]))
    assert (targets.tolist(), classes.names) == ([1, 0, 1], ("3", "7"))
    targets, classes = class_targets("t", [1, 0], ["wren", "tit", "finch"])
    assert (targets.tolist(), classes.n, classes.names[2]) == ([1, 0], 3, "finch")


def test_labels_that_are_no_classes() -> None:
    with pytest.raises(DataError, match="whole numbers or texts, found float64"):
        class_targets("t", [0.5, 1.0])
    with pytest.raises(DataError, match="found 0 to 2"):
        class_targets("t", [0, 2], ["a", "b"])


def test_values_have_a_column_each() -> None:
    targets, values = value_targets(np.arange(3.0))
    assert (tuple(targets.shape), targets.dtype, values.n) == ((3, 1), torch.float32, 1)
    assert value_targets(np.ones((3, 2), dtype=np.int32))[1].n == 2
