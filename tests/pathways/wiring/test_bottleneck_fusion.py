"""Bottleneck tokens: all that passes from one input to another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from wired import PAIR, SMALL, accuracy, assembled, gradient, values, xor

from pathways.modules import Tokens
from pathways.wiring.bottleneck import bottleneck
from pathways.wiring.fusion import late


def test_t4_without_bottlenecks_xor_is_out_of_reach() -> None:
    assert accuracy(bottleneck(PAIR, layers=2, bottlenecks=0, **SMALL), xor) <= 0.6


@pytest.mark.parametrize("mode", ["mean", "sequential"])
@pytest.mark.parametrize("count", [1, 4])
def test_t4_one_bottleneck_is_enough_for_xor(mode: str, count: int) -> None:
    assert accuracy(bottleneck(PAIR, layers=2, bottlenecks=count, mode=mode, **SMALL), xor, steps=300) >= 0.97


@pytest.mark.parametrize("mode", ["mean", "sequential"])
def test_t4_no_gradient_crosses_before_the_fusion_layer(mode: str) -> None:
    never = assembled(bottleneck(PAIR, layers=3, fuse_from=3, mode=mode, **SMALL))
    assert [gradient(never, "a.layer3", "b"), gradient(never, "b.layer3", "a")] == [0, 0]
    last = assembled(bottleneck(PAIR, layers=3, fuse_from=1, mode=mode, **SMALL))
    assert [gradient(last, f"a.layer{i}", "b") for i in (1, 2)] == [0, 0]
    assert gradient(last, "a.layer3", "b") > 0  # in the first layer with bottlenecks they have not met yet
    assert gradient(last, "b.layer2", "a") == 0 if mode == "mean" else gradient(last, "b.layer2", "a") > 0


def test_t4_without_fusion_it_is_late_fusion() -> None:
    never = bottleneck(PAIR, layers=2, fuse_from=2, **SMALL)
    assert never == late(PAIR, layers=2, **SMALL)


def test_t4_bottlenecks_are_averaged_over_inputs() -> None:
    path = bottleneck(PAIR, layers=2, bottlenecks=3, **SMALL)
    module, given = assembled(path).eval(), values(PAIR)
    wanted = ("bottlenecks1", "a.bottlenecks1", "b.bottlenecks1")
    found = module.compute(given, wanted)
    expected = (found["a.bottlenecks1"] + found["b.bottlenecks1"]) / 2
    torch.testing.assert_close(found["bottlenecks1"], expected)
    assert path.ports()["bottlenecks1"] == Tokens(3, 8)


def test_inputs_may_be_of_any_length_and_number() -> None:
    ports = {"a": Tokens(None, 4), "b": Tokens(3, 4), "c": Tokens(None, 8)}
    path = bottleneck(ports, layers=2, bottlenecks=2, **SMALL)
    module, given = assembled(path).eval(), values(ports)
    found = module(given)
    assert found.shape == (3, 24)
    longer = dict(given)
    for name in ("a", "c"):
        value, mask = given[name]
        padded = torch.cat([value, torch.full_like(value, 7.0)], 1)
        longer[name] = type(given[name])(padded, torch.cat([mask, torch.zeros_like(mask)], 1))
    torch.testing.assert_close(module(longer), found, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"mode": "max"}, r"`mode` must be one of \('mean', 'sequential'\), found 'max'"),
        ({"fuse_from": 3}, r"`fuse_from` must be in \[0, 2\], the layers, found 3"),
        ({"bottlenecks": -1}, "`bottlenecks` must be a whole number of at least 0, found -1"),
    ],
)
def test_bad_settings_are_named(config: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bottleneck(PAIR, layers=2, **SMALL, **config)
