import pytest
import torch

from pathways.modules import Context, Ids, Masked, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestEmbed(ModuleFamilySuite):
    spec = ModuleSpec("embed", {"dim": 6})
    ports = (Ids(5, 11),)
    refused = ((), (Vector(3),), (Tokens(4, 6),))


class TestEmbedMasked(ModuleFamilySuite):
    spec = ModuleSpec("embed", {"dim": 6, "positions": 40})
    ports = (Ids(None, 11),)


class TestEmbedWithoutPositions(ModuleFamilySuite):
    spec = ModuleSpec("embed", {"dim": 6, "positions": 0})
    ports = (Ids(5, 11),)


def test_token_plus_position():
    embed = build(ModuleSpec("embed", {"dim": 6}), [Ids(3, 11)], torch.Generator().manual_seed(0))
    found = embed(torch.tensor([[4, 4, 9]]), context=Context())
    for place, token in enumerate([4, 4, 9]):
        assert torch.equal(found[0, place], embed.token.weight[token] + embed.position.weight[place])


def test_without_positions_equal_ids_are_equal_tokens():
    embed = build(ModuleSpec("embed", {"dim": 6}), [Ids(None, 11)], torch.Generator().manual_seed(0))
    mask = torch.tensor([[True, True, False]])
    found = embed(Masked(torch.tensor([[4, 4, 0]]), mask), context=Context())
    assert torch.equal(found.value[0, 0], found.value[0, 1])
    assert found.mask is mask


def test_too_long_an_input_is_named():
    embed = build(
        ModuleSpec("embed", {"dim": 6, "positions": 4}), [Ids(None, 11)], torch.Generator().manual_seed(0)
    )
    value = Masked(torch.zeros(1, 5, dtype=torch.long), torch.ones(1, 5, dtype=torch.bool))
    with pytest.raises(
        ValueError, match="`positions` must be at least the greatest length, found 4 for a length of 5"
    ):
        embed(value, context=Context())


@pytest.mark.parametrize("positions", [4, -1, 2.0])
def test_bad_positions_are_named(positions):
    with pytest.raises(ValueError, match="`positions` must be"):
        build(ModuleSpec("embed", {"dim": 6, "positions": positions}), [Ids(5, 11)])
