import pytest
import torch

from pathways.modules import BUILT_IN, Context, Module, ModuleSpec, Port, PortError, Tokens, Value, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestTaskToken(ModuleFamilySuite):
    spec = ModuleSpec("task_token", {"place": -2})
    ports = (Tokens(5, 6),)
    refused = ((), (Vector(3),))
    draws = False


class TestTaskTokenMasked(ModuleFamilySuite):
    """The first place of each sample is real."""

    spec = ModuleSpec("task_token")
    ports = (Tokens(None, 6),)
    draws = False


def made(family: str, *ports: Port, **config: object) -> Module:
    return build(ModuleSpec(family, config), ports, torch.Generator().manual_seed(0))


def test_t44_a_heads_loss_reaches_the_trunk_through_its_token_alone():
    head, x = made("task_token", Tokens(5, 6), place=3), torch.randn(2, 5, 6, requires_grad=True)
    head(x, context=Context()).square().sum().backward()
    assert [bool(x.grad[:, i].any()) for i in range(5)] == [False, False, False, True, False]


def test_t44_another_token_leaves_other_outputs_equal():
    """Task tokens read the content by cross-attention, or stand behind it in a causal trunk: they are not read."""
    content = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(1))
    tokens = torch.randn(1, 3, 6, generator=torch.Generator().manual_seed(2)).expand(2, -1, -1)

    def crossed(n: int) -> Value:
        return made("transformer", Tokens(n, 6), Tokens(4, 6), heads=2)(tokens[:, :n], content, context=Context())

    def causal(n: int) -> Value:
        joined = torch.cat([content, tokens[:, :n]], 1)
        return made("transformer", Tokens(4 + n, 6), heads=2, causal=True)(joined, context=Context())

    for trunk in (crossed, causal):
        fewer, more = trunk(2), trunk(3)
        torch.testing.assert_close(more[:, : fewer.shape[1]], fewer, atol=1e-6, rtol=1e-6)
    full = made("transformer", Tokens(6, 6), heads=2), made("transformer", Tokens(7, 6), heads=2)
    seen = [m(torch.cat([content, tokens[:, :n]], 1), context=Context()) for m, n in zip(full, (2, 3), strict=True)]
    assert not torch.allclose(seen[1][:, :6], seen[0], atol=1e-3)  # where all attend to all, it does matter


def test_a_place_must_be_there():
    for place in (5, -6):
        with pytest.raises(PortError, match=f"reads a token that is there, found place {place} of Tokens"):
            made("task_token", Tokens(5, 6), place=place)
    with pytest.raises(PortError, match="found place -1 of"):
        made("task_token", Tokens(None, 6), place=-1)
    with pytest.raises(ValueError, match=r"`place` must be a whole number, found 1\.0"):
        made("task_token", Tokens(5, 6), place=1.0)


def test_the_family_finds_its_own_configuration():
    spec = ModuleSpec("task_token", BUILT_IN["task_token"].fitting((Tokens(5, 4),)))
    assert facts(spec, [Tokens(5, 4)]).output == Vector(4)
    assert BUILT_IN["task_token"].fitting((Vector(4),)) is None
