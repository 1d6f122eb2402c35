import pytest
import torch

from pathways.modules import Context, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestSequence(ModuleFamilySuite):
    spec = ModuleSpec("sequence", {"classes": 4})
    ports = (Tokens(5, 6),)
    refused = ((), (Vector(3),), (Tokens(4, 6), Tokens(4, 6)))


class TestSequenceMasked(ModuleFamilySuite):
    spec = ModuleSpec("sequence", {"classes": 4})
    ports = (Tokens(None, 6),)


def test_each_token_is_scored_by_the_same_weights():
    head = build(ModuleSpec("sequence", {"classes": 3}), [Tokens(4, 6)], torch.Generator().manual_seed(0))
    x = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(1))
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(head(x[:, order], context=Context()), head(x, context=Context())[:, order])


def test_bad_classes_are_named():
    with pytest.raises(ValueError, match="`classes` must be a whole number of at least 1, found 0"):
        build(ModuleSpec("sequence", {"classes": 0}), [Tokens(4, 6)])
