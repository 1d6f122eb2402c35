import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.modules import Draft, Frozen, Init, ModuleSpec, Warm, content_hash, ref_from_json
from pathways.modules.spec import canonical_json, thaw

BLOB, OTHER = "a" * 64, "b" * 64
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CONFIG = st.dictionaries(st.text(), PLAIN, max_size=4)


@settings(deadline=None, max_examples=80)
@given(config=CONFIG, version=st.integers(1, 9))
def test_specs_survive_json_and_can_be_hashed(config, version):
    spec = ModuleSpec("linear", config, version)
    again = ModuleSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert hash(again) == hash(spec)
    assert thaw(spec.config) == config
    assert content_hash(again.to_json()) == content_hash(spec.to_json())


@settings(deadline=None, max_examples=50)
@given(CONFIG)
def test_hashes_ignore_the_order_of_keys(config):
    backwards = dict(reversed(config.items()))
    assert content_hash(ModuleSpec("x", config).identity()) == content_hash(
        ModuleSpec("x", backwards).identity()
    )


@pytest.mark.parametrize("start", [Init(), Init(7), Warm(BLOB), Warm(BLOB, OTHER)])
def test_references_survive_json(start):
    part = Draft("expert", ModuleSpec("linear", {"dim": 2}), start)
    holder = ModuleSpec("moe", {"k": 1}, parts={"first": part, "second": Frozen(OTHER, ModuleSpec("linear"))})
    for ref in (part, Frozen(BLOB, holder), Draft("holder", holder, start)):
        assert ref_from_json(json.loads(json.dumps(ref.to_json()))) == ref


def test_the_name_of_a_draft_is_a_label_and_its_start_is_not():
    spec = ModuleSpec("linear", {"dim": 2})
    assert Draft("a", spec).identity() == Draft("b", spec).identity()
    assert Draft("a", spec).identity() != Draft("a", spec, Init(1)).identity()
    assert (
        ModuleSpec("x", parts={"p": Draft("a", spec)}).identity()
        == ModuleSpec("x", parts={"p": Draft("b", spec)}).identity()
    )


def test_a_configuration_cannot_be_changed_from_outside():
    config = {"dims": [1, 2]}
    spec = ModuleSpec("x", config)
    config["dims"].append(3)
    assert thaw(spec.config) == {"dims": [1, 2]}


def test_canonical_json_has_one_form():
    assert canonical_json({"b": [1.5, None], "a": "é"}) == '{"a":"é","b":[1.5,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


@pytest.mark.parametrize(
    "data",
    [
        {"frozen": "short", "spec": {"family": "x"}},
        {"frozen": BLOB},
        {"draft": "a", "spec": {"family": "x"}, "start": {"blob": "nothing"}},
        {"draft": "a", "spec": {"family": "x"}, "start": {}},
    ],
)
def test_bad_references_are_named(data):
    with pytest.raises(ValueError, match="a module reference is a frozen blob id or a draft"):
        ref_from_json(data)


@pytest.mark.parametrize("data", [{"family": 3}, {"config": {}}, {"family": "x", "code": "import os"}])
def test_bad_specs_are_named(data):
    with pytest.raises(ValueError, match="a module spec has `family`, `version`, `config` and `parts`"):
        ModuleSpec.from_json(data)
