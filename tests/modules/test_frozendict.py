import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.modules import FrozenDict


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(), st.integers()))
def test_equality_and_hash_ignore_order(items):
    forwards, backwards = FrozenDict(items), FrozenDict(dict(reversed(items.items())))
    assert forwards == backwards == items
    assert hash(forwards) == hash(backwards)
    assert dict(forwards) == items


def test_it_survives_pickling():
    original = FrozenDict({"a": FrozenDict({"b": 1})})
    assert pickle.loads(pickle.dumps(original)) == original


def test_it_cannot_be_changed():
    source = {"a": 1}
    frozen = FrozenDict(source)
    source["a"] = 2
    assert frozen["a"] == 1
    with pytest.raises(TypeError):
        frozen["a"] = 3
