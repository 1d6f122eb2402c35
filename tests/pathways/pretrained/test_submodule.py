import pytest
import torch
from pretrained_networks import Layouts, Nets
from torch import nn

from pathways.modules import Context, Families, Image, ModuleSpec, Tokens, Vector, build, facts, port_to_json
from pathways.pretrained import Submodule
from pathways.pretrained.submodule import first_tensor
from pathways.testing import ModuleFamilySuite


def spec(name, reads, output, family="test_encoder", **model):
    return ModuleSpec(
        family,
        {"submodule": name, "reads": port_to_json(reads), "output": port_to_json(output), "model": model},
    )


class TestStem(ModuleFamilySuite):
    """Convolution and batch norm, buffers included."""

    spec = spec("stem", Image(1, 28, 28), Image(8, 4, 4))
    ports = (Image(1, 28, 28),)
    families = Families([Nets])
    refused = ((), (Image(1, 14, 14),), (Vector(3),))


class TestTransformerBlock(ModuleFamilySuite):
    spec = spec("blocks.1", Tokens(16, 8), Tokens(16, 8))
    ports = (Tokens(16, 8),)
    families = Families([Nets])


class TestTuple(ModuleFamilySuite):
    """It gives a tuple, and finds its places by a buffer that its network would not save."""

    spec = spec("places", Tokens(16, 8), Tokens(16, 8))
    ports = (Tokens(16, 8),)
    families = Families([Nets])


class TestDropout(ModuleFamilySuite):
    spec = spec("drop", Tokens(16, 8), Tokens(16, 8))
    ports = (Tokens(16, 8),)
    families = Families([Nets])


class TestResidualBlock(ModuleFamilySuite):
    spec = spec("layer2.0", Image(4, 7, 7), Image(8, 4, 4), "test_layouts", kind="resnet")
    ports = (Image(4, 7, 7),)
    families = Families([Layouts])


class TestTorchAttention(ModuleFamilySuite):
    """Torch has a fast form of its attention for evaluation, which its counter does not see."""

    spec = spec("block0", Tokens(17, 8), Tokens(17, 8), "test_layouts", kind="torchvision_vit")
    ports = (Tokens(17, 8),)
    families = Families([Layouts])

    def test_flops_cover_the_products_of_one_sample(self):
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            super().test_flops_cover_the_products_of_one_sample()
        finally:
            torch.backends.mha.set_fastpath_enabled(True)


def made(family, config, port, seed=0):
    return build(config, (port,), torch.Generator().manual_seed(seed), families=Families([family]))


def test_weights_begin_as_the_constructor_says():
    block = made(Nets, spec("norm", Tokens(16, 8), Tokens(16, 8)), Tokens(16, 8))
    assert torch.equal(block.piece.weight, torch.ones(8))
    places = made(Nets, spec("places", Tokens(16, 8), Tokens(16, 8)), Tokens(16, 8))
    assert torch.equal(places.piece.places, torch.arange(16)[None])


def test_noise_is_that_of_the_context():
    drop = made(Nets, spec("drop", Tokens(16, 8), Tokens(16, 8)), Tokens(16, 8)).train()
    x = torch.ones(2, 16, 8)
    first, again, other = (drop(x, context=Context(generator=torch.Generator().manual_seed(s))) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(drop.eval()(x, context=Context()), x)


def test_only_the_part_that_is_named_has_weights():
    found = facts(spec("last", Vector(8), Vector(8)), [Vector(8)], families=Families([Nets]))
    assert (found.parameters, found.flops) == (72, 128)


@pytest.mark.parametrize(("config", "port", "said"), [
    (spec("nothing", Vector(8), Vector(8)), Vector(8), "`submodule` must name one of the network that `Nets.build`"),
    (spec("last", Vector(8), Vector(8)), Vector(9), r"reads Vector\(dim=8\) in its submodule 'last', found"),
    (spec("last", Vector(8), Vector(8), depth=3), Vector(8), "does not fit"),
])  # fmt: skip
def test_bad_settings_are_named(config, port, said):
    with pytest.raises(ValueError, match=said):
        made(Nets, config, port)


class Asks(nn.Module):
    """Asks for a number in its forward pass, of which there is none on the meta device."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) if x.sum().item() < 1e9 else x


class AsksFamily(Submodule):
    family = "test_asks"
    build = staticmethod(lambda: nn.Sequential(Asks()))


def test_what_asks_for_numbers_is_counted_on_the_processor():
    asks = spec("0", Vector(4), Vector(4), "test_asks")
    assert facts(asks, [Vector(4)], families=Families([AsksFamily])).flops == 32


def test_the_class_itself_is_abstract():
    with pytest.raises(TypeError, match="`Submodule` is abstract"):
        Submodule.build()


def test_outputs_are_reduced_to_their_first_tensor():
    x = torch.ones(2)
    assert first_tensor((None, x, 2 * x)) is x
    assert first_tensor({"loss": None, "logits": x}) is x
    assert first_tensor(nn.utils.rnn.PackedSequence(x, x.long())) is x
    with pytest.raises(ValueError, match="must give a tensor"):
        first_tensor([None, 1])
