import pytest
import torch

from pathways.modules import Context, Image, Masked, ModuleSpec, PortError, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded


class TestInvertible(ModuleFamilySuite):
    spec = ModuleSpec("invertible", {"hidden": 3})
    ports = (Tokens(None, 7),)
    refused = ((), (Vector(1),), (Image(2, 3, 3),), (Vector(4), Vector(4)))


class TestInvertibleVector(ModuleFamilySuite):
    spec = ModuleSpec("invertible", {"hidden": 4})
    ports = (Vector(8),)


def make(port, moved=True):
    module = build(ModuleSpec("invertible", {"hidden": 5}), [port], seeded(0))
    if moved:
        move(module, 1)
    return module


@pytest.mark.parametrize("dim", [2, 7, 16])
def test_b20_the_inverse_undoes_it(dim):
    module, x = make(Vector(dim)), torch.randn(32, dim, generator=seeded(2))
    y = module(x, context=Context())
    assert not torch.allclose(y, x, atol=1e-2)
    torch.testing.assert_close(module.inverse(y), x, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(module(module.inverse(x), context=Context()), x, atol=1e-6, rtol=1e-6)


def test_b20_masks_pass_both_ways_and_it_starts_as_the_identity():
    value = Masked(torch.randn(2, 4, 6, generator=seeded(2)), torch.ones(2, 4, dtype=torch.bool))
    assert torch.equal(make(Tokens(None, 6), moved=False)(value, context=Context()).value, value.value)
    module = make(Tokens(None, 6))
    back = module.inverse(module(value, context=Context()))
    torch.testing.assert_close(back.value, value.value, atol=1e-6, rtol=1e-6)
    assert back.mask is value.mask


def test_b20_each_half_is_moved_by_the_other():
    module, x = make(Vector(4)), torch.randn(3, 4, generator=seeded(2))
    y = module(x, context=Context())
    first = x[:, :2] + module.up_f(torch.relu(module.down_f(x[:, 2:])))
    second = x[:, 2:] + module.up_g(torch.relu(module.down_g(first)))
    torch.testing.assert_close(y, torch.cat([first, second], 1))


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="`hidden` must be a whole number of at least 1, found 0"):
        facts(ModuleSpec("invertible", {"hidden": 0}), [Vector(4)])
    with pytest.raises(PortError, match=r"family `invertible` couples two halves, found Vector\(dim=1\)"):
        facts(ModuleSpec("invertible", {"hidden": 1}), [Vector(1)])
