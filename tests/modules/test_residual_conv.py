import pytest
import torch

from pathways.modules import Context, Image, ModuleSpec, PortError, Vector, build
from pathways.testing import ModuleFamilySuite


class TestResidualConv(ModuleFamilySuite):
    spec = ModuleSpec("residual_conv")
    ports = (Image(4, 6, 5),)
    refused = ((), (Vector(8),), (Image(3, 6, 5),) * 2, (Image(1, 1, 1),))


class TestResidualConvStrided(ModuleFamilySuite):
    spec = ModuleSpec("residual_conv", {"channels": 6, "stride": 2, "groups": 2, "activation": "silu"})
    ports = (Image(4, 7, 6),)


class TestResidualConvRing(ModuleFamilySuite):
    spec = ModuleSpec("residual_conv", {"padding": "ring", "groups": 0})
    ports = (Image(3, 5, 5),)


def make(port=Image(4, 6, 6), **config):  # noqa: B008
    return build(ModuleSpec("residual_conv", config), [port], torch.Generator().manual_seed(0)).eval()


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_b7_with_a_residual_of_zero_it_is_the_identity():
    x = noise(2, 4, 6, 6)
    block = make(residual_scale=0.0)
    assert torch.equal(block(x, context=Context()), x)
    assert not torch.allclose(make()(x, context=Context()), x, atol=1e-1)
    # What evolution puts in, too; and its residual is not stuck at zero.
    assert type(block).fitting((block.output,)) == {"residual_scale": 0.0}
    block(x, context=Context()).square().sum().backward()
    assert bool(block.conv2.weight.grad.any())


def test_b7_where_shapes_differ_only_the_projection_is_left():
    block, x = make(channels=6, stride=2, residual_scale=0.0), noise(2, 4, 6, 6)
    expected = torch.nn.functional.conv2d(x, block.skip.weight, stride=2)
    torch.testing.assert_close(block(x, context=Context()), expected)


def test_on_a_ring_it_commutes_with_translations():
    block, x = make(padding="ring"), noise(2, 4, 6, 6)
    moved = block(x.roll((2, 1), (2, 3)), context=Context())
    torch.testing.assert_close(moved, block(x, context=Context()).roll((2, 1), (2, 3)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": 0}, "`channels` must be a whole number of at least 1, found 0"),
        ({"kernel": 2}, "`kernel` must be odd, found 2: use 1 or 3"),
        ({"groups": 3}, "`groups` must divide the channels before each norm, found 3 for 4"),
        ({"padding": "same"}, "`padding` must be one of"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        make(**config)


def test_images_too_small_are_refused():
    with pytest.raises(PortError, match="`padding` ring needs images of at least 2 rows and columns"):
        make(Image(4, 1, 6), kernel=5, padding="ring")
    with pytest.raises(PortError, match="cannot normalise one value: set `groups` to 0"):
        make(Image(1, 1, 1))
