import pytest
import torch

from pathways.modules import Context, Image, Masked, ModuleSpec, PortError, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestLinear(ModuleFamilySuite):
    spec = ModuleSpec("linear", {"dim": 7, "activation": "relu"})
    ports = (Vector(5),)
    refused = ((), (Image(1, 2, 2),), (Vector(5), Vector(5)))


class TestLinearTokens(ModuleFamilySuite):
    spec = ModuleSpec("linear", {"dim": 7, "activation": "tanh", "bias": False})
    ports = (Tokens(4, 5),)


class TestLinearMasked(ModuleFamilySuite):
    spec = ModuleSpec("linear", {"dim": 7})
    ports = (Tokens(None, 5),)


def test_formula():
    linear = build(ModuleSpec("linear", {"dim": 2, "activation": "relu"}), [Vector(3)], torch.Generator())
    with torch.no_grad():
        linear.linear.weight.copy_(torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]))
        linear.linear.bias.copy_(torch.tensor([0.5, -1.0]))
    found = linear(torch.tensor([[1.0, 3.0, 2.0]]), context=Context())
    assert found.tolist() == [[0.0, 5.0]]


def test_tokens_are_treated_one_by_one():
    spec = ModuleSpec("linear", {"dim": 3, "activation": "gelu"})
    tokens = build(spec, [Tokens(None, 4)], torch.Generator().manual_seed(0))
    vector = build(spec, [Vector(4)], torch.Generator().manual_seed(0))
    x, mask = (
        torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1)),
        torch.ones(2, 5, dtype=torch.bool),
    )
    found = tokens(Masked(x, mask), context=Context())
    for place in range(5):
        expected = vector(x[:, place], context=Context())
        torch.testing.assert_close(found.value[:, place], expected)
    assert found.mask is mask


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"dim": 0}, "`dim` must be a whole number of at least 1, found 0"),
        ({"dim": "8"}, "`dim` must be a whole number of at least 1, found '8'"),
        ({"dim": 3, "activation": "swish"}, "`activation` must be one of .* found 'swish'"),
        ({"dim": 3, "bias": "no"}, "`bias` must be true or false, found 'no'"),
        ({"dim": 3, "width": 4}, "configuration of family `linear` does not fit.*width"),
        ({}, "configuration of family `linear` does not fit.*dim"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("linear", config), [Vector(5)])


def test_the_port_error_says_what_was_found():
    with pytest.raises(
        PortError, match=r"family `linear` reads one Vector or Tokens, found \(Image\(channels=1, height=2"
    ):
        build(ModuleSpec("linear", {"dim": 3}), [Image(1, 2, 2)])
