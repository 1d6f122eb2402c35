import pytest
import torch

from pathways.modules import BUILT_IN, Context, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestCosine(ModuleFamilySuite):
    spec = ModuleSpec("cosine", {"classes": 3})
    ports = (Vector(6),)
    refused = ((), (Tokens(4, 6),))


def cosine(**config):
    return build(ModuleSpec("cosine", {"classes": 3, **config}), [Vector(4)], torch.Generator().manual_seed(0))


def test_b16_scores_are_bounded_and_do_not_depend_on_lengths():
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    head = cosine(scale=5.0)
    scores = head(x, context=Context())
    assert float(scores.abs().max().detach()) <= 5.0 + 1e-5
    torch.testing.assert_close(head(100 * x, context=Context()), scores)
    along = head(7 * head.weight.detach(), context=Context())
    torch.testing.assert_close(along.diagonal(), torch.full((3,), 5.0))


def test_the_family_finds_its_own_configuration():
    assert facts(ModuleSpec("cosine", BUILT_IN["cosine"].fitting((Vector(4),))), [Vector(4)]).output == Vector(4)
    assert BUILT_IN["cosine"].fitting((Tokens(4, 6),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"classes": 0}, "`classes` must be a whole number of at least 1, found 0"),
        ({"scale": 0.0}, "`scale` must be above 0, found 0.0"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        cosine(**config)
