"""The memo: facts come back as they were worked out, and nothing else does."""

import json
import sys

import pytest

from pathways.modules import BUILT_IN, Facts, Families, Image, Module, ModuleSpec, Vector, facts
from pathways.modules.memo import Memo, code

CONV = ModuleSpec("conv", {"channels": 4})
LINEAR = ModuleSpec("linear", {"dim": 3})
LORA = ModuleSpec("lora", {"rank": 2})


def all_of(families):
    return [
        facts(CONV, [Image(1, 8, 8)], families=families),
        facts(LINEAR, [Vector(5)], families=families),
        facts(LINEAR, [Vector(7)], families=families),
        facts(LORA, [], host=(LINEAR, (Vector(5),)), families=families),
        facts(LORA, [], host=(LINEAR, (Vector(7),)), families=families),
    ]


def test_facts_come_back_through_json_without_being_worked_out(monkeypatch):
    first = Families(memo=Memo())
    expected = all_of(BUILT_IN)
    assert all_of(first) == expected
    assert first.memo.new
    stored = json.loads(json.dumps(first.memo.to_json()))
    assert len(stored) == 5

    def fail(*arguments, **more):
        raise AssertionError("worked out again")

    monkeypatch.setattr(sys.modules["pathways.modules.build"], "_facts", fail)
    again = Families(memo=Memo(stored))
    assert all_of(again) == expected
    assert not again.memo.new
    assert again.memo.to_json() == stored


def test_what_is_not_known_is_worked_out_and_kept():
    families = Families(memo=Memo())
    facts(LINEAR, [Vector(5)], families=families)
    more = Families(memo=Memo(families.memo.to_json()))
    assert facts(LINEAR, [Vector(6)], families=more).parameters == 21
    assert more.memo.new
    assert len(more.memo.to_json()) == 1  # what nobody asks for any more is not kept


@pytest.mark.parametrize("entry", [
    None, "facts", [None, 1, 2], [None, 1, 2, -3], [None, 1, 2, True], [None, 1.5, 0, 0], [{"port": "none"}, 1, 2, 3],
    [{"port": "vector", "dim": -1}, 1, 2, 3], [["vector", 3], 1, 2, 3], [[[], []], 1, 2, 3],
])
def test_entries_that_are_no_facts_are_worked_out_again(entry):
    families = Families(memo=Memo())
    expected = facts(LINEAR, [Vector(5)], families=families)
    (key,) = families.memo.to_json()
    spoilt = Families(memo=Memo({key: entry}))
    assert facts(LINEAR, [Vector(5)], families=spoilt) == expected
    assert spoilt.memo.new


def test_errors_are_not_kept():
    families = Families(memo=Memo())
    for _ in range(2):
        with pytest.raises(ValueError, match="conv"):
            facts(CONV, [Vector(5)], families=families)
    assert families.memo.to_json() == {}


def test_a_delta_has_no_output_and_keeps_none():
    memo = Memo()
    memo.facts("delta", lambda: Facts(None, 3, 1, 2))
    assert Memo(memo.to_json()).facts("delta", dict) == Facts(None, 3, 1, 2)


def test_families_of_your_own_have_no_memo():
    class Foreign(Module):
        family = "foreign_to_the_memo"

    with pytest.raises(ValueError, match="`memo` must be of built-in families only"):
        Families([Foreign], Memo())


def test_the_code_has_one_hash():
    assert len(code()) == 64
    assert code() == code()
