import pytest
import torch

from pathways.modules import Context, Ids, Image, Masked, ModuleSpec, Signal, Tokens, Vector, build
from pathways.modules.as_tokens import AsTokens
from pathways.testing import ModuleFamilySuite


class TestAsTokens(ModuleFamilySuite):
    spec = ModuleSpec("as_tokens")
    ports = (Image(3, 4, 5),)
    refused = ((), (Tokens(5, 8),), (Ids(5, 8),), (Vector(3), Vector(3)))


class TestAsTokensOfASignal(ModuleFamilySuite):
    spec = ModuleSpec("as_tokens")
    ports = (Signal(3, 7),)


class TestAsTokensOfASignalOfVariableLength(ModuleFamilySuite):
    spec = ModuleSpec("as_tokens")
    ports = (Signal(3, None),)


class TestAsTokensOfAVector(ModuleFamilySuite):
    spec = ModuleSpec("as_tokens")
    ports = (Vector(6),)


def run(port, value):
    return build(ModuleSpec("as_tokens"), [port], torch.Generator())(value, context=Context())


def test_pixels_stand_row_by_row_with_their_channels():
    x = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    found = run(Image(3, 4, 5), x)
    for row in range(4):
        for column in range(5):
            assert torch.equal(found[:, 5 * row + column], x[:, :, row, column])


def test_a_signal_keeps_its_mask_and_a_vector_is_one_token():
    x = torch.arange(24.0).reshape(2, 3, 4)
    mask = torch.tensor([[True, True, False, False], [True] * 4])
    found = run(Signal(3, None), Masked(x, mask))
    assert torch.equal(found.value, x.transpose(1, 2))
    assert found.mask is mask
    assert torch.equal(run(Vector(12), x.flatten(1)), x.flatten(1)[:, None])


@pytest.mark.parametrize(("port", "config"), [
    (Image(1, 2, 2), {}), (Signal(1, None), {}), (Vector(2), {}), (Tokens(2, 2), None), (Ids(2, 2), None),
])  # fmt: skip
def test_it_fits_what_it_reads(port, config):
    assert AsTokens.fitting((port,)) == config
