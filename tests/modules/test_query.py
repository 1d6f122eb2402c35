import pytest
import torch

from pathways.modules import BUILT_IN, Context, Masked, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestQuery(ModuleFamilySuite):
    spec = ModuleSpec("query", {"outputs": 3})
    ports = (Tokens(5, 6),)
    refused = ((), (Vector(3),), (Tokens(4, 6), Tokens(4, 6)))


class TestQueryMasked(ModuleFamilySuite):
    spec = ModuleSpec("query", {"outputs": 3, "dim": 4})
    ports = (Tokens(None, 6),)


def query(outputs=3, port=Tokens(5, 6), **config):  # noqa: B008 - immutable
    return build(ModuleSpec("query", {"outputs": outputs, **config}), [port], torch.Generator().manual_seed(0))


def test_another_output_leaves_those_there_are_as_they_are():
    three, four, x = query(3), query(4), torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
    four.norm.load_state_dict(three.norm.state_dict())
    four.key_value.load_state_dict(three.key_value.state_dict())
    with torch.no_grad():
        for name in ("queries", "weight", "bias"):
            getattr(four, name)[:3] = getattr(three, name)
    expected = three(x, context=Context())
    torch.testing.assert_close(four(x, context=Context())[:, :3], expected, atol=1e-6, rtol=1e-6)


def test_the_order_of_tokens_does_not_matter_and_padding_is_not_read():
    module, x = query(port=Tokens(None, 6)), torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))
    real = torch.ones(2, 5, dtype=torch.bool)
    expected = module(Masked(x, real), context=Context())
    torch.testing.assert_close(module(Masked(x.flip(1), real), context=Context()), expected)
    padded = Masked(torch.cat([x, 100 * x], 1), torch.cat([real, ~real], 1))
    torch.testing.assert_close(module(padded, context=Context()), expected)


def test_the_family_finds_its_own_configuration():
    spec = ModuleSpec("query", BUILT_IN["query"].fitting((Tokens(None, 4),)))
    assert facts(spec, [Tokens(None, 4)]).output == Vector(4)
    assert BUILT_IN["query"].fitting((Vector(4),)) is None


@pytest.mark.parametrize("name", ["outputs", "dim"])
def test_bad_settings_are_named(name):
    with pytest.raises(ValueError, match=f"`{name}` must be a whole number of at least 1, found 0"):
        query(**{name: 0})
