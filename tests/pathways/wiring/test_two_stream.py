"""A stream that all inputs share, and one of each input's own above it."""

from __future__ import annotations

import pytest
import torch
from wired import SMALL, assembled, gradient, values

from pathways.modules import Ids, Masked, Tokens
from pathways.modules.ports import split
from pathways.wiring.two_stream import two_stream

PORTS = {"text": Ids(5, 11), "image": Tokens(None, 8)}
ENCODERS = {"image": [{"family": "linear", "config": {"dim": 8}}]}
SETTINGS = {"layers": 2, "own_layers": 2, **SMALL}


def test_t15_the_text_path_does_not_need_the_images_stream() -> None:
    both = two_stream(PORTS, encoders=ENCODERS, **SETTINGS)
    text = two_stream(PORTS, encoders=ENCODERS, read="text", **SETTINGS)
    own = {"image.layer1", "image.layer2", "image.stream", "image.pooled"}
    assert own <= set(both.steps)
    assert not own & set(text.steps)


def test_t15_text_alone_gives_what_the_text_path_gives() -> None:
    both = assembled(two_stream(PORTS, encoders=ENCODERS, read="text", **SETTINGS)).eval()
    alone = assembled(two_stream({"text": PORTS["text"]}, **SETTINGS)).eval()
    given = values(PORTS)
    image, _ = split(given["image"])
    without = {**given, "image": Masked(image, torch.zeros(image.shape[:2], dtype=torch.bool))}
    expected = alone({"text": given["text"]})
    torch.testing.assert_close(both(without), expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(both(given), expected, atol=1e-3)  # with an image it does say something


def test_t15_inputs_meet_in_the_shared_stream_only() -> None:
    module = assembled(two_stream({"a": Tokens(2, 4), "b": Tokens(3, 4)}, layers=1, own_layers=1, **SMALL))
    assert gradient(module, "a.stream", "b") > 0
    apart = assembled(two_stream({"a": Tokens(2, 4), "b": Tokens(3, 4)}, layers=0, own_layers=2, **SMALL))
    assert gradient(apart, "a.layer2", "b") == 0


def test_streams_are_cut_where_they_were_joined() -> None:
    ports = {"a": Tokens(None, 4), "b": Tokens(3, 4), "c": Tokens(2, 4)}  # what varies is put last
    module, given = assembled(two_stream(ports, layers=0, own_layers=0, dim=4)).eval(), values(ports)
    found = module.compute(given, ("a.stream", "b.stream", "c.stream"))
    for name in ports:
        (x, mask), (y, own) = split(given[name]), split(found[f"{name}.stream"])
        assert torch.equal(x, y)
        assert own is None or bool((own == (True if mask is None else mask)).all())


def test_bad_settings_are_named() -> None:
    with pytest.raises(ValueError, match=r"`read` must be one of the inputs \['text', 'image'\], found 'sound'"):
        two_stream(PORTS, read="sound")
    with pytest.raises(ValueError, match="`inputs` must have at most one of variable length"):
        two_stream({"a": Tokens(None, 4), "b": Tokens(None, 4)})
