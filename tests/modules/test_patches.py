import pytest
import torch

from pathways.modules import BUILT_IN, Context, Image, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestPatches(ModuleFamilySuite):
    spec = ModuleSpec("patches", {"size": 2, "dim": 6})
    ports = (Image(3, 4, 6),)
    refused = ((), (Vector(3),), (Tokens(4, 6),))


class TestPatchesOblong(ModuleFamilySuite):
    spec = ModuleSpec("patches", {"size": [4, 1], "dim": 6, "positions": False})
    ports = (Image(1, 4, 6),)


def patches(image=Image(3, 4, 6), **config):  # noqa: B008 - immutable
    return build(ModuleSpec("patches", {"size": 2, "dim": 5, **config}), [image], torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("height", "width", "size"), [(28, 28, 7), (8, 12, 4), (6, 4, 1)])
def test_b8_there_are_as_many_tokens_as_patches(height, width, size):
    found = facts(ModuleSpec("patches", {"size": size, "dim": 8}), [Image(3, height, width)]).output
    assert found == Tokens((height // size) * (width // size), 8)


def test_b8_patches_permuted_with_their_positions_give_permuted_tokens():
    module, x = patches(), torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(6, generator=torch.Generator().manual_seed(2))
    assert not torch.equal(order, torch.arange(6))
    before = module(x, context=Context())
    mixed = x.unflatten(3, (3, 2)).unflatten(2, (2, 2)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)[:, order]
    image = mixed.unflatten(1, (2, 3)).permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
    assert not torch.equal(module(image, context=Context()), before[:, order])  # positions stayed behind
    with torch.no_grad():
        module.position.copy_(module.position[order])
    assert torch.equal(module(image, context=Context()), before[:, order])


def test_b8_patches_are_a_convolution_that_does_not_overlap():
    module, x = patches(positions=False), torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    conv = torch.nn.Conv2d(3, 5, 2, 2)
    with torch.no_grad():
        conv.weight.copy_(module.linear.weight.view(5, 3, 2, 2))
        conv.bias.copy_(module.linear.bias)
    expected = conv(x).flatten(2).transpose(1, 2)
    torch.testing.assert_close(module(x, context=Context()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("image", [Image(1, 28, 28), Image(3, 8, 12), Image(1, 13, 7)])
def test_the_family_finds_its_own_configuration(image):
    config = BUILT_IN["patches"].fitting((image,))
    assert isinstance(facts(ModuleSpec("patches", config), [image]).output, Tokens)
    assert BUILT_IN["patches"].fitting((Vector(3),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"size": 3}, r"`size` must divide height and width of Image\(channels=3, height=4, width=6\), found 3"),
        ({"size": [2, 2, 2]}, "`size` must be a whole number or a pair of them"),
        ({"size": 0}, "`size` must be a whole number of at least 1, found 0"),
        ({"dim": 0}, "`dim` must be a whole number of at least 1, found 0"),
        ({"positions": 1}, "`positions` must be true or false, found 1"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        patches(**config)
