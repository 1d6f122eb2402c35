import math

import pytest
import torch

from pathways.modules import Context, Masked, ModuleSpec, PortError, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestPositions(ModuleFamilySuite):
    spec = ModuleSpec("positions")
    ports = (Tokens(None, 6),)
    refused = ((), (Vector(6),), (Tokens(4, 1),))


class TestPositionsLearned(ModuleFamilySuite):
    spec = ModuleSpec("positions", {"kind": "learned", "length": 40})
    ports = (Tokens(None, 6),)


class TestPositionsFourier(ModuleFamilySuite):
    spec = ModuleSpec("positions", {"kind": "fourier", "grid": [2, 3], "bands": 2})
    ports = (Tokens(6, 5),)
    draws = False


class TestPositionsFourierVariable(ModuleFamilySuite):
    spec = ModuleSpec("positions", {"kind": "fourier", "length": 32})
    ports = (Tokens(None, 5),)
    draws = False


def added(port, seed=0, **config):
    """What is added to tokens of zeros."""
    module = build(ModuleSpec("positions", config), [port], torch.Generator().manual_seed(seed)).eval()
    return module(torch.zeros(1, port.length, port.dim), context=Context())[0].detach(), module


def test_the_sinusoidal_signal_is_that_of_the_paper():
    found, _ = added(Tokens(7, 6))
    for place in range(7):
        for i in range(3):
            angle = place / 10000 ** (i / 3)
            assert found[place, i] == pytest.approx(math.sin(angle), abs=1e-6)
            assert found[place, 3 + i] == pytest.approx(math.cos(angle), abs=1e-6)


def test_a_grid_shares_the_dim_among_its_axes():
    found, _ = added(Tokens(6, 9), grid=[2, 3])
    places = found.unflatten(0, (2, 3))
    assert torch.equal(places[..., :4], places[:, :1, :4].expand(2, 3, 4))  # rows
    assert torch.equal(places[..., 4:8], places[:1, :, 4:8].expand(2, 3, 4))  # columns
    assert not bool(found[:, 8:].any())
    assert len(found.unique(dim=0)) == 6


def test_fourier_features_are_those_of_the_paper_and_start_as_nothing():
    found, module = added(Tokens(8, 17), kind="fourier", bands=8)
    assert not bool(found.any())
    with torch.no_grad():
        module.project.weight.copy_(torch.eye(17))
    features = module(torch.zeros(1, 8, 17), context=Context())[0].detach()
    for place in range(8):
        p = 2 * place / 7 - 1
        for band in range(8):
            frequency = 1 + band * (4 - 1) / 7
            assert features[place, band] == pytest.approx(math.sin(math.pi * frequency * p), abs=1e-5)
            assert features[place, 8 + band] == pytest.approx(math.cos(math.pi * frequency * p), abs=1e-5)
        assert features[place, 16] == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize("kind", ["sinusoidal", "learned", "fourier"])
def test_equal_tokens_can_be_told_apart_by_their_places(kind):
    found, module = added(Tokens(6, 8), kind=kind)
    if kind == "fourier":
        torch.nn.init.normal_(module.project.weight, generator=torch.Generator().manual_seed(1))
        found = module(torch.zeros(1, 6, 8), context=Context())[0].detach()
    assert float(torch.cdist(found, found)[~torch.eye(6, dtype=torch.bool)].min()) > 1e-2


def test_longer_values_than_learned_positions_are_refused():
    module = build(ModuleSpec("positions", {"kind": "learned", "length": 4}), [Tokens(None, 6)])
    value = Masked(torch.zeros(1, 5, 6), torch.ones(1, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="`length` must be at least the greatest length, found 4 for a length of 5"):
        module(value, context=Context())


@pytest.mark.parametrize(
    ("port", "config", "message"),
    [
        (Tokens(6, 8), {"kind": "rotary"}, r"`kind` must be one of \['sinusoidal', 'learned', 'fourier'\]"),
        (Tokens(6, 8), {"length": 6}, "`length` must be left out where the length is fixed, found 6"),
        (Tokens(None, 8), {"kind": "learned"}, "`length` must be given for `learned`, where the length is variable"),
        (Tokens(None, 8), {"length": 9}, "`length` must be left out of `sinusoidal`"),
        (Tokens(6, 8), {"kind": "fourier", "bands": 0}, "`bands` must be a whole number of at least 1, found 0"),
    ],
)
def test_bad_settings_are_named(port, config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("positions", config), [port])


def test_a_grid_of_another_length_is_refused():
    with pytest.raises(PortError, match=r"with `grid` \[2, 4\] reads that many tokens, found Tokens\(length=6"):
        build(ModuleSpec("positions", {"grid": [2, 4]}), [Tokens(6, 8)])
