"""Packing: values come back equal, and tensors are read where they lie."""

import pickle

import numpy as np
import pytest
import torch
from helpers_tiny import task_of
from hypothesis import given
from hypothesis import strategies as st

from pathways.packing import as_tensor, pack, unpack

TYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool)


@given(st.sampled_from(TYPES), st.lists(st.integers(0, 3), max_size=3))
def test_tensors_of_every_type_and_shape_come_back_to_the_bit(dtype, shape):
    tensor = (torch.rand(shape) * 5).to(dtype)
    back = unpack(pack({"x": tensor}))["x"]
    assert back.dtype == dtype
    assert back.shape == tensor.shape
    assert torch.equal(back, tensor)


def test_nothing_is_copied_on_either_side():
    tensor = torch.arange(1000.0)
    packed = pack([tensor, "text"])
    assert packed.arrays[0].ctypes.data == tensor.data_ptr()
    assert unpack(packed)[0].data_ptr() == tensor.data_ptr()
    assert len(packed.skeleton) < 200
    assert packed.nbytes == len(packed.skeleton) + 4000


def test_a_tensor_that_is_not_contiguous_comes_back_equal():
    tensor = torch.arange(12.0).reshape(3, 4).T
    assert torch.equal(unpack(pack(tensor)), tensor)


def test_arrays_and_objects_of_arrays():
    value = {"numbers": np.arange(3), "objects": np.array([{"a": 1}, None], dtype=object)}
    back = unpack(pack(value))
    assert np.array_equal(back["numbers"], value["numbers"])
    assert back["objects"][0] == {"a": 1}


def test_a_task_is_the_same_task():
    task = task_of("one")
    packed = pack(task)
    assert len(packed.arrays) == 6
    back = unpack(packed)
    assert back.fingerprint == task.fingerprint
    assert back.splits["train"].inputs["x"].data_ptr() == task.splits["train"].inputs["x"].data_ptr()


def test_read_only_memory_is_read_without_a_warning():
    array = np.arange(3.0)
    array.flags.writeable = False
    assert as_tensor(array).data_ptr() == array.ctypes.data


def test_what_cannot_travel_is_an_error():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pack(lambda: None)
