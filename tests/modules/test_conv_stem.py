import pytest
import torch
from torch.nn import functional as F

from pathways.modules import BUILT_IN, Context, Image, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestConvStem(ModuleFamilySuite):
    spec = ModuleSpec("conv_stem", {"widths": [4, 6]})
    ports = (Image(2, 7, 6),)
    refused = ((), (Vector(3),), (Tokens(4, 6),), (Image(2, 1, 1),))


class TestConvStemDense(ModuleFamilySuite):
    spec = ModuleSpec("conv_stem", {"widths": [4], "separable": False, "form": "tokens"})
    ports = (Image(2, 6, 6),)


def stem(image=Image(2, 12, 12), **config):  # noqa: B008 - immutable
    spec = ModuleSpec("conv_stem", {"widths": [4, 6], **config})
    return build(spec, [image], torch.Generator().manual_seed(0))


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_b4_each_block_halves_the_map_and_the_exit_averages_it():
    assert stem().output == Image(6, 3, 3)
    assert stem(form="tokens").output == Tokens(9, 6)
    assert facts(ModuleSpec("pool"), [stem().output]).output == Vector(6)
    x = noise(2, 2, 12, 12)
    image, tokens = stem()(x, context=Context()), stem(form="tokens")(x, context=Context())
    assert torch.equal(tokens[:, 4], image[:, :, 1, 1])  # row by row


def test_b4_a_separable_convolution_is_a_dense_one_with_factored_kernels():
    separable, dense = stem().blocks[0], stem(separable=False).blocks[0]
    depthwise, pointwise = separable.main[0], separable.main[1]
    x = noise(2, 4, 12, 12)
    kernel = pointwise.weight * depthwise.weight[:, 0]
    assert kernel.shape == dense.main[0].weight.shape
    expected = F.conv2d(x, kernel, padding=1)
    torch.testing.assert_close(pointwise(depthwise(x)), expected, atol=1e-5, rtol=1e-5)


def test_b4_without_its_convolutions_a_block_is_its_projection():
    block, x = stem().blocks[1], noise(2, 4, 6, 6)
    with torch.no_grad():
        block.main[-1].weight.zero_()
    assert torch.equal(block(x), block.project(x))
    assert torch.equal(block(x), F.conv2d(x[:, :, ::2, ::2], block.project.weight))


def test_the_family_finds_its_own_configuration():
    config = BUILT_IN["conv_stem"].fitting((Image(1, 28, 28),))
    assert facts(ModuleSpec("conv_stem", config), [Image(1, 28, 28)]).output == Image(32, 7, 7)
    assert BUILT_IN["conv_stem"].fitting((Vector(3),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"widths": []}, r"`widths` must list the channels behind each block, found \[\]"),
        ({"widths": [4, 0]}, "`widths` must be a whole number of at least 1, found 0"),
        ({"kernel": 2}, "`kernel` must be odd, found 2: use 1 or 3"),
        ({"form": "map"}, r"`form` must be one of \['image', 'tokens'\], found 'map'"),
        ({"separable": 1}, "`separable` must be true or false, found 1"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        stem(**config)
