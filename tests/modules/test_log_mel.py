import math

import numpy as np
import pytest
import torch

from pathways.data import log_mel as of_data_sets
from pathways.modules import BUILT_IN, Context, Image, Masked, ModuleSpec, Signal, Tokens, Vector, build, facts
from pathways.modules.io.log_mel import mel_filters
from pathways.testing import ModuleFamilySuite

CONFIG = {"rate": 1000, "bands": 4, "window": 0.016}


class TestLogMel(ModuleFamilySuite):
    spec = ModuleSpec("log_mel", CONFIG)
    ports = (Signal(2, 64),)
    refused = ((), (Vector(3),), (Tokens(4, 6),))


class TestLogMelMasked(ModuleFamilySuite):
    spec = ModuleSpec("log_mel", CONFIG)
    ports = (Signal(1, None),)


class TestLogMelImage(ModuleFamilySuite):
    spec = ModuleSpec("log_mel", {**CONFIG, "form": "image"})
    ports = (Signal(2, 64),)
    refused = ((Signal(2, None),),)


def made(port, **config):
    spec = ModuleSpec("log_mel", {"rate": 8000, "bands": 20, **config})
    return build(spec, [port], torch.Generator().manual_seed(0))


def tone(hertz, n=4000):
    return torch.sin(2 * math.pi * hertz * torch.arange(n) / 8000)


def test_t8_a_tone_is_loudest_in_its_band_and_loudness_does_not_matter():
    module = made(Signal(1, 4000))
    low, high = (module(tone(hertz)[None, None], context=Context()) for hertz in (300, 2000))
    centres = [700 * (10 ** (2595 * math.log10(1 + 4000 / 700) * (i + 1) / 21 / 2595) - 1) for i in range(20)]
    for found, hertz in ((low, 300), (high, 2000)):
        band = int(found[0, 30].argmax())
        assert band == min(range(20), key=lambda i, hertz=hertz: abs(centres[i] - hertz))
    quiet = module(tone(300)[None, None] / 128, context=Context())  # a power of 2 is exact
    assert torch.equal(quiet, low)
    assert low.max() == 1.0
    assert low.min() >= 0.0


def test_t8_it_is_the_log_mel_of_the_data_sets():
    """The same up to the framing: theirs pads by half a window and stretches to a number of frames."""
    sound = tone(300) * torch.linspace(0, 1, 4000) + 0.5 * tone(1500)
    ours = made(Signal(1, 4000), form="image")(sound[None, None], context=Context())[0, 0]
    frames = ours.shape[1]
    theirs = torch.from_numpy(of_data_sets.log_mel(sound.numpy(), 8000, 20, frames).astype(np.float32)) / 255
    inner = slice(3, frames - 3)
    assert float((ours[:, inner] - theirs[:, inner]).abs().mean()) < 0.01
    table = of_data_sets.mel_filters(20, 512, 8000)
    assert np.allclose(table, np.array(mel_filters(20, 512, 8000)))


def test_t8_a_sound_of_variable_length_is_what_it_is_alone():
    short = tone(700, 1000)
    long = torch.cat([short, torch.randn(600, generator=torch.Generator().manual_seed(0))])
    mask = torch.arange(1600)[None] < 1000
    variable = made(Signal(1, None))(Masked(long[None, None], mask), context=Context())
    alone = made(Signal(1, 1000))(short[None, None], context=Context())
    assert int(variable.mask.sum()) == alone.shape[1] == 1 + 1000 // 64
    torch.testing.assert_close(variable.value[:, : alone.shape[1]], alone, atol=1e-5, rtol=1e-5)


def test_silence_is_zero():
    assert not made(Signal(1, 500))(torch.zeros(2, 1, 500), context=Context()).any()


def test_the_family_finds_its_own_configuration():
    for port in (Signal(1, 4000), Signal(2, None)):
        config = BUILT_IN["log_mel"].fitting((port,))
        assert isinstance(facts(ModuleSpec("log_mel", config), [port]).output, Tokens)
    assert BUILT_IN["log_mel"].fitting((Vector(3),)) is None
    assert facts(ModuleSpec("log_mel", {"rate": 8000, "form": "image"}), [Signal(2, 640)]).output == Image(2, 28, 11)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"bands": 300}, "`bands` must leave a frequency to each band, found 300 at 8000 Hz: use fewer"),
        ({"range": 0.0}, "`range` must be above 0, found 0.0"),
        ({"window": 0.0001}, "`window` must hold at least 4 samples, found 0.0001 s at 8000 Hz"),
        ({"form": "sound"}, r"`form` must be one of \['tokens', 'image'\], found 'sound'"),
        ({"rate": 0}, "`rate` must be a whole number of at least 1, found 0"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        made(Signal(1, 4000), **config)
