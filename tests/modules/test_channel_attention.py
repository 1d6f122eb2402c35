import pytest
import torch

from pathways.modules import Context, Ids, Image, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded

FUSED, LIDAR, CAMERA = Image(4, 3, 3), Image(4, 2, 2), Tokens(None, 4)


class TestChannelAttention(ModuleFamilySuite):
    spec = ModuleSpec("channel_attention", {"hidden": 3})
    ports = (FUSED, LIDAR, CAMERA)
    refused = ((), (FUSED, Image(5, 3, 3)), (Ids(3, 4),))


class TestChannelAttentionAlone(ModuleFamilySuite):
    spec = ModuleSpec("channel_attention", {"hidden": 2})
    ports = (Tokens(None, 6),)


class TestChannelAttentionVector(ModuleFamilySuite):
    spec = ModuleSpec("channel_attention", {"hidden": 2})
    ports = (Vector(6), Vector(6))


def make(moved=True):
    module = build(ModuleSpec("channel_attention", {"hidden": 3}), [FUSED, LIDAR, LIDAR], seeded(0))
    if moved:
        move(module, 1)
    return module


def noise(*shape, seed=1):
    return torch.randn(shape, generator=seeded(seed))


def test_b26_one_attention_weights_the_channels_for_both_modalities():
    module, x, lidar, camera = make(), noise(2, 4, 3, 3), noise(2, 4, 2, 2, seed=2), noise(2, 4, 2, 2, seed=3)

    def a(m):
        return 2 * torch.sigmoid(module.up(torch.relu(module.down(m.mean((2, 3))))))[:, :, None, None]

    found = module(x, lidar, camera, context=Context())
    torch.testing.assert_close(found, (x * a(lidar) + x * a(camera)) / 2, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found, module(x, camera, lidar, context=Context()))


def test_b26_it_starts_as_the_identity():
    x = noise(2, 4, 3, 3)
    assert torch.equal(make(False)(x, noise(2, 4, 2, 2), noise(2, 4, 2, 2), context=Context()), x)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="`hidden` must be a whole number of at least 1, found 0"):
        facts(ModuleSpec("channel_attention", {"hidden": 0}), [Vector(4)])
