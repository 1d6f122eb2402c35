"""What a worker without a disk in common trains on: arrays in place, whose changes are seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pathways.errors import BlobError
from pathways.evolve.far_pool import FarPool, FarPrefixes, Lent, checksum, lendable
from pathways.modules import ModuleSpec
from pathways.pool import Pool

SPEC = ModuleSpec("linear", {"dim": 2})
TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}


class Store(dict):
    """An object store."""

    def share(self, value):
        self[len(self)] = value
        return len(self) - 1

    def fetch(self, refs):
        return [self[ref] for ref in refs]


def lent(store):
    packed, total = lendable({name: tensor.clone() for name, tensor in TENSORS.items()})
    return Lent(store.share(packed), total, packed.nbytes)


@given(arrays(np.uint8, st.integers(1, 20000)), st.data())
def test_a_checksum_tells_of_any_byte(array, data):
    other = array.copy()
    other[data.draw(st.integers(0, len(array) - 1))] ^= data.draw(st.integers(1, 255))
    assert checksum([array]) != checksum([other])
    assert checksum([array]) == checksum([array.copy()])


def test_a_checksum_tells_of_values_that_change_places():
    array = np.random.default_rng(0).normal(size=10000)
    assert checksum([array]) != checksum([array[::-1].copy()])


def test_what_is_lent_is_read_where_it_lies():
    store = Store()
    pool = FarPool(store.fetch)
    pool.begin({"a": lent(store)}, {})
    tensors = pool.get("a")
    assert torch.equal(tensors["weight"], TENSORS["weight"])
    assert tensors["weight"].data_ptr() == store[0].arrays[0].ctypes.data
    assert pool.fetched == store[0].nbytes
    assert pool.get("a") is tensors


def test_what_is_made_has_the_id_and_the_bytes_of_a_pool_on_disk(tmp_path):
    far, near = FarPool(Store().fetch), Pool(tmp_path)
    blob = far.put(SPEC, TENSORS)
    assert blob == near.put(SPEC, TENSORS)
    assert far.taken([blob])[blob].tobytes() == near.raw(blob)
    assert torch.equal(far.get(blob)["weight"], TENSORS["weight"])
    far.begin({}, {})
    assert far.taken([blob]) == {}


def test_what_a_draft_starts_from_comes_as_bytes_and_is_there_for_one_dispatch(tmp_path):
    blob = Pool(tmp_path).put(SPEC, TENSORS)
    pool = FarPool(Store().fetch)
    pool.begin({}, {blob: Pool(tmp_path).raw(blob)})
    assert torch.equal(pool.get(blob)["bias"], TENSORS["bias"])
    pool.begin({}, {})
    with pytest.raises(BlobError, match=f"module {blob[:12]} must be sent before it is used"):
        pool.get(blob)


def test_a_write_past_torch_is_seen_and_copies_keep_it_from_others():
    store = Store()
    pool = FarPool(store.fetch)
    pool.begin({"a": lent(store)}, {})
    pool.get("a")["weight"].data[0, 0] = 7.0
    assert pool.changed() == ["a"]
    pool.reset()
    pool.begin({"a": lent(store)}, {}, copies=True)
    pool.get("a")["weight"].data[0, 0] = 7.0
    assert pool.changed() == ["a"]
    assert store[1].arrays[0][0, 0] == TENSORS["weight"][0, 0]
    pool.begin({}, {})
    assert pool.get("a")["weight"][0, 0] == TENSORS["weight"][0, 0]
    assert pool.changed() == []


def test_forgotten_blobs_are_not_read_any_more():
    store = Store()
    pool = FarPool(store.fetch)
    pool.begin({"a": lent(store)}, {})
    pool.get("a")
    pool.begin({}, {}, forget=["a"])
    with pytest.raises(BlobError):
        pool.get("a")


def test_activations_that_are_lost_are_computed_again():
    store = Store()
    one, two = (FarPrefixes(store.fetch, store.share, 10_000) for _ in range(2))
    one.put("key", torch.ones(3))
    made = one.taken()
    two.begin({key: ref for key, (ref, _) in made.items()})
    assert torch.equal(two.get("key"), torch.ones(3))
    store.clear()
    assert two.get("key") is None
    assert two.get("key") is None


def test_activations_that_are_too_large_are_not_shared():
    store = Store()
    prefixes = FarPrefixes(store.fetch, store.share, 100)
    prefixes.put("key", torch.ones(100))
    assert not store
    assert prefixes.get("key") is None


def test_on_copies_nothing_is_shared():
    store = Store()
    prefixes = FarPrefixes(store.fetch, store.share, 10_000)
    prefixes.begin({}, copies=True)
    prefixes.put("key", torch.ones(3))
    assert not store
