"""Early, middle and late fusion: what each can solve, and where inputs meet."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from wired import PAIR, SMALL, accuracy, assembled, gradient, values, xor

from pathways.modules import Ids, Image, Signal, Tokens, Vector
from pathways.wiring.fusion import early, late, middle


def test_t1_early_fusion_solves_xor() -> None:
    assert accuracy(early(PAIR, layers=1, **SMALL), xor) >= 0.98


def test_t2_middle_fusion_solves_xor() -> None:
    assert accuracy(middle(PAIR, layers=2, fuse_from=1, **SMALL), xor) >= 0.98


def test_t3_late_fusion_fails_xor_and_works_on_what_is_additive() -> None:
    path = late(PAIR, layers=1, **SMALL)
    assert abs(accuracy(path, xor) - 0.5) <= 0.1
    assert accuracy(path, lambda first, second: (first + second) > 0) >= 0.98


def test_t1_inputs_meet_in_the_first_layer() -> None:
    module = assembled(early(PAIR, layers=2, **SMALL))
    assert gradient(module, "layer1", "a") > 0
    assert gradient(module, "layer1", "b") > 0


def test_t2_no_gradient_crosses_before_the_fusion_layer() -> None:
    module = assembled(middle(PAIR, layers=3, fuse_from=2, **SMALL))
    for own, other in (("a", "b"), ("b", "a")):
        for i in (1, 2):
            assert gradient(module, f"{own}.layer{i}", own) > 0
            assert gradient(module, f"{own}.layer{i}", other) == 0
    assert min(gradient(module, "layer1", name) for name in PAIR) > 0


def test_t3_nothing_crosses_at_all() -> None:
    module = assembled(late(PAIR, layers=2, **SMALL))
    given = values(PAIR)
    changed = {**given, "b": given["b"] + 1}
    first, second = (module.eval()(each).split(8, 1) for each in (given, changed))
    assert torch.equal(first[0], second[0])
    assert not torch.allclose(first[1], second[1])


ALL: dict[str, Any] = {
    "vector": Vector(5), "image": Image(1, 8, 8), "ids": Ids(4, 9), "tokens": Tokens(None, 6), "signal": Signal(2, 7),
}


@pytest.mark.parametrize("wiring", [early, middle, late])
def test_all_kinds_of_inputs_have_an_encoder(wiring: Any) -> None:
    path = wiring(ALL, **SMALL)
    module = assembled(path)
    assert bool(module.eval()(values(ALL)).isfinite().all())


def test_encoders_are_said_as_plain_data() -> None:
    said = [{"family": "conv", "config": {"channels": 3, "stride": 2}}, {"family": "adapter", "config": {"dim": 2}}]
    path = early({"image": Image(1, 8, 8)}, encoders={"image": said}, **SMALL)
    families = [step.modules[0].spec.family for step in path.steps.values()]
    assert families[:4] == ["conv", "adapter", "as_tokens", "linear"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"fuse_from": 3}, r"`fuse_from` must be in \[0, 2\], the layers, found 3"),
        ({"layers": -1, "fuse_from": 0}, r"`fuse_from` must be in \[0, -1\]"),
        ({"encoders": {"c": []}}, r"`encoders` must be of inputs \['a', 'b'\], found \['c'\]"),
        ({"encoders": {"a": [{"famly": "linear"}]}}, r"a module has `family`, .* found \['famly'\]"),
    ],
)
def test_bad_settings_are_named(config: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        middle(PAIR, **{**SMALL, **config})
    with pytest.raises(ValueError, match="`inputs` must hold at least one port"):
        early({})
