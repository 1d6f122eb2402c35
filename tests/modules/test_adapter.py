import pytest
import torch

from pathways.modules import Context, Ids, Image, Masked, ModuleSpec, PortError, Tokens, Vector, build
from pathways.modules.ports import example, split
from pathways.testing import ModuleFamilySuite


class TestAdapter(ModuleFamilySuite):
    spec = ModuleSpec("adapter", {"dim": 3})
    ports = (Vector(6),)
    refused = ((), (Ids(4, 9),), (Vector(3), Vector(3)))


class TestAdapterTokens(ModuleFamilySuite):
    spec = ModuleSpec("adapter", {"dim": 3, "activation": "gelu"})
    ports = (Tokens(None, 6),)


class TestAdapterImage(ModuleFamilySuite):
    spec = ModuleSpec("adapter", {"dim": 3, "kernel": 3})
    ports = (Image(4, 5, 5),)


class TestAdapterImageNorm(ModuleFamilySuite):
    spec = ModuleSpec("adapter", {"dim": 3, "norm": True})
    ports = (Image(4, 5, 5),)


@pytest.mark.parametrize("port", [Vector(6), Tokens(4, 6), Tokens(None, 6), Image(4, 3, 3)], ids=str)
@pytest.mark.parametrize("norm", [None, False, True])
def test_a_fresh_adapter_is_exactly_the_identity(port, norm):
    adapter = build(ModuleSpec("adapter", {"dim": 3, "norm": norm}), [port], torch.Generator().manual_seed(0))
    value = example(port, 8, torch.Generator().manual_seed(1))
    found = adapter(value, context=Context())
    assert torch.equal(split(found)[0], split(value)[0])
    assert not isinstance(value, Masked) or found.mask is value.mask


def test_norm_is_on_for_vectors_and_off_for_images():
    assert isinstance(build(ModuleSpec("adapter", {"dim": 3}), [Vector(6)]).norm, torch.nn.LayerNorm)
    assert isinstance(build(ModuleSpec("adapter", {"dim": 3}), [Image(6, 2, 2)]).norm, torch.nn.Identity)


@pytest.mark.parametrize(
    ("port", "config", "message"),
    [
        (Vector(6), {"dim": 0}, "`dim` must be a whole number of at least 1, found 0"),
        (Vector(6), {"dim": 3, "kernel": 3}, "`kernel` must be 1 where no image is read, found 3"),
        (Image(4, 5, 5), {"dim": 3, "kernel": 5}, "`kernel` must be 1 or 3, found 5"),
        (Vector(6), {"dim": 3, "norm": "layer"}, "`norm` must be true or false, found 'layer'"),
    ],
)
def test_bad_settings_are_named(port, config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("adapter", config), [port])


def test_a_norm_over_one_value_is_refused():
    with pytest.raises(PortError, match="cannot normalise the one value of Image"):
        build(ModuleSpec("adapter", {"dim": 3, "norm": True}), [Image(1, 1, 1)])
