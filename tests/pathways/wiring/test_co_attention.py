"""Two streams that read each other."""

from __future__ import annotations

import pytest
from wired import PAIR, SMALL, accuracy, assembled, gradient, xor

from pathways.wiring.co_attention import co_attention
from pathways.wiring.fusion import late


def test_t13_gradients_cross_only_through_co_attention() -> None:
    module = assembled(co_attention(PAIR, layers=2, co_layers=2, **SMALL))
    for own, other in (("a", "b"), ("b", "a")):
        assert [gradient(module, f"{own}.layer{i}", other) for i in (1, 2)] == [0, 0]
        assert gradient(module, f"{own}.co1", other) > 0
        assert gradient(module, f"{own}.after2", other) > 0


def test_t13_without_co_attention_it_is_late_fusion() -> None:
    assert co_attention(PAIR, layers=2, co_layers=0, **SMALL) == late(PAIR, layers=2, **SMALL)


def test_t13_co_attention_solves_xor() -> None:
    assert accuracy(co_attention(PAIR, layers=1, co_layers=1, **SMALL), xor) >= 0.97


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"`inputs` must be two, which read each other, found \['a'\]"):
        co_attention({"a": PAIR["a"]})
    with pytest.raises(ValueError, match="`co_layers` must be a whole number of at least 0, found -1"):
        co_attention(PAIR, co_layers=-1)
