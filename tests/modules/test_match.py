from math import log

import pytest
import torch

from pathways.modules import Context, ModuleSpec, Vector, build
from pathways.testing import ModuleFamilySuite


class TestMatch(ModuleFamilySuite):
    spec = ModuleSpec("match")
    ports = (Vector(6), Vector(6))
    refused = ((), (Vector(6),), (Vector(6), Vector(5)), (Vector(6),) * 3)
    draws = False


def made(dim=8, **config):
    return build(ModuleSpec("match", config), [Vector(dim)] * 2, torch.Generator())


def loss_of(module, a, b):
    context = Context()
    module.train()(a, b, context=context)
    [(name, value)] = context.losses
    assert name == "contrastive"
    return value.item()


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_t18_the_loss_is_log_n_of_what_is_all_alike_and_zero_of_what_is_matched():
    n, same = 16, torch.ones(16, 8)
    assert loss_of(made(), same, same) == pytest.approx(log(n), abs=1e-5)  # nothing tells who belongs to whom
    own = torch.eye(n)
    assert loss_of(made(n, temperature=0.01), own, own) < 1e-6
    assert loss_of(made(n, temperature=0.01), own, own.roll(1, 0)) > log(n)  # each matched to another


def test_t18_at_chance_unrelated_vectors_cost_log_n_or_more():
    n = 64
    found = [loss_of(made(temperature=1.0), noise(n, 8, seed=i), noise(n, 8, seed=100 + i)) for i in range(5)]
    assert all(abs(loss - log(n)) < 0.2 for loss in found)


def test_the_loss_is_symmetric_and_the_similarity_is_the_cosine():
    module, a, b = made(temperature=0.5), noise(5, 8), noise(5, 8, seed=1)
    assert loss_of(module, a, b) == pytest.approx(loss_of(module, b, a))
    found = module.eval()(a, 3 * b, context=Context())
    torch.testing.assert_close(found[:, 0], 2 * torch.cosine_similarity(a, b))


def test_in_evaluation_nothing_is_lost():
    context = Context()
    made().eval()(noise(3, 8), noise(3, 8), context=context)
    made(weight=0).train()(noise(3, 8), noise(3, 8), context=context)
    assert context.losses == []


def test_the_scale_is_at_most_a_hundred():
    module = made(temperature=0.01)
    with torch.no_grad():
        module.scale.fill_(50.0)
    a = noise(2, 8)
    torch.testing.assert_close(module.eval()(a, a, context=Context()), torch.full((2, 1), 100.0))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"temperature": 0.001}, r"`temperature` must be at least 0\.01, found 0\.001"),
        ({"temperature": "cold"}, "`temperature` must be a finite number"),
        ({"weight": -1}, "`weight` must be at least 0, found -1"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        made(**config)
