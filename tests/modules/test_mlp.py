import pytest
import torch
from torch.nn import functional as F

from pathways.modules import Context, Image, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestMLP(ModuleFamilySuite):
    spec = ModuleSpec("mlp", {"hidden": 7, "dim": 3})
    ports = (Vector(5),)
    refused = ((), (Image(1, 2, 2),), (Vector(5), Vector(5)))


class TestMLPResidual(ModuleFamilySuite):
    spec = ModuleSpec("mlp", {"hidden": 7, "norm": True, "residual": True, "activation": "relu"})
    ports = (Tokens(4, 6),)


class TestMLPTokens(ModuleFamilySuite):
    spec = ModuleSpec("mlp", {"hidden": 7, "norm": True})
    ports = (Tokens(None, 6),)


def make(port, **config):
    return build(ModuleSpec("mlp", config), [port], torch.Generator().manual_seed(0))


def test_it_is_two_layers():
    mlp, x = make(Vector(4), hidden=6, dim=2), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    inner = F.gelu(x @ mlp.up.weight.T + mlp.up.bias)
    torch.testing.assert_close(mlp(x, context=Context()), inner @ mlp.down.weight.T + mlp.down.bias)


def test_a_delta_changes_what_stands_between_the_layers():
    mlp, x = make(Vector(4), hidden=6, dim=2), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    context = Context().changed(mlp, {"inner": (lambda inner: 0 * inner,)})
    assert torch.equal(mlp(x, context=context), mlp.down.bias.expand(3, 2))


def test_it_starts_as_the_identity_where_evolution_puts_it():
    port = Vector(6)
    config = type(make(port, hidden=2)).fitting((port,))
    x = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(make(port, **config)(x, context=Context()), x)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden": 0}, "`hidden` must be a whole number of at least 1, found 0"),
        ({"hidden": 3, "dim": 4, "residual": True}, "`dim` must be that of the input, 5, where it is added, found 4"),
        ({"hidden": 3, "activation": "swish"}, "`activation` must be one of"),
        ({"hidden": 3, "norm": "layer"}, "`norm` must be true or false, found 'layer'"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        make(Vector(5), **config)
