"""The nearest name: what is suggested, and that nothing is where nothing is near."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathways.modules.near import did_you_mean, nearest

NAMES = ["munet", "pathnet", "fine-tune", "fine-tune-all", "omniglot/Greek", "omniglot/Korean", "head-only"]


@pytest.mark.parametrize(("typed", "meant"), [
    ("munte", "munet"), ("MuNet", "munet"), ("fine_tune_all", "fine-tune-all"), ("headonly", "head-only"),
    ("Greek", "omniglot/Greek"),
    ("omniglot/Grek", "omniglot/Greek"), ("korea", "omniglot/Korean"), ("omniglto/Greek", "omniglot/Greek"),
])
def test_a_slip_finds_what_was_meant(typed: str, meant: str) -> None:
    assert nearest(typed, NAMES) == [meant]
    assert did_you_mean(typed, NAMES) == f": did you mean {meant!r}?"


def test_a_folder_that_names_share_does_not_make_them_alike() -> None:
    assert nearest("digits/9", ["digits/0-1", "digits/2-3"]) == []
    assert nearest("digits/01", ["digits/2-3", "digits/0-1"]) == ["digits/0-1"]


@pytest.mark.parametrize("typed", ["", "xyzzy", "transformer", 17, None, "é"])
def test_what_is_far_from_all_suggests_nothing(typed: object) -> None:
    assert did_you_mean(typed, NAMES, ".") == "."
    assert did_you_mean(typed, []) == ""


@given(st.text(max_size=12), st.lists(st.text(max_size=12), max_size=6))
def test_what_is_suggested_is_known(typed: str, known: list[str]) -> None:
    found = nearest(typed, known, 3)
    assert set(found) <= set(known)
    assert len(found) == len(set(found)) <= 3
    assert typed not in known or found[0] == typed
