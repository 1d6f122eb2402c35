import pytest
import torch

from pathways.modules import BUILT_IN, Context, Image, Masked, ModuleSpec, Tokens, Vector, build, facts
from pathways.modules.io.quantise import code_entropy
from pathways.testing import ModuleFamilySuite


class TestQuantise(ModuleFamilySuite):
    spec = ModuleSpec("quantise", {"codes": 5})
    learned = None  # gradients pass the codes by; the loss that moves them has a test of its own
    ports = (Tokens(4, 6),)
    refused = ((), (Image(1, 2, 2),))


class TestQuantiseMasked(ModuleFamilySuite):
    spec = ModuleSpec("quantise", {"codes": 5})
    learned = None  # gradients pass the codes by; the loss that moves them has a test of its own
    ports = (Tokens(None, 6),)


class TestQuantiseVector(ModuleFamilySuite):
    spec = ModuleSpec("quantise", {"codes": 5})
    learned = None  # gradients pass the codes by; the loss that moves them has a test of its own
    ports = (Vector(6),)


def quantise(port=Vector(2), **config):  # noqa: B008 - immutable
    return build(ModuleSpec("quantise", {"codes": 8, **config}), [port], torch.Generator().manual_seed(0))


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_t52_each_vector_becomes_the_nearest_code_exactly():
    module, x = quantise(), noise(50, 2)
    nearest = torch.cdist(x, module.codes.detach()).argmin(1)
    assert torch.equal(module(x, context=Context()), module.codes[nearest])
    assert torch.equal(module.ids(x), nearest)


def test_t52_the_gradient_goes_straight_through():
    module, x = quantise(weight=0.0), noise(9, 2).requires_grad_()
    given = noise(9, 2, seed=2)
    module(x, context=Context()).backward(given)
    assert torch.equal(x.grad, given)
    assert module.codes.grad is None


def test_t52_the_loss_moves_codes_to_inputs_and_by_a_share_inputs_to_codes():
    module, x = quantise(commitment=0.5, weight=2.0).train(), noise(9, 2).requires_grad_()
    context = Context()
    codes = module(x, context=context).detach()
    context.total_loss().backward()
    torch.testing.assert_close(x.grad, 2.0 * 0.5 * 2 * (x.detach() - codes) / x.numel())
    pulls = torch.zeros(8, 2).index_add_(0, module.ids(x), 2.0 * 2 * (codes - x.detach()) / x.numel())
    torch.testing.assert_close(module.codes.grad, pulls)
    evaluated = Context()
    module.eval()(x, context=evaluated)
    assert evaluated.losses == []


def test_t52_padding_has_no_loss():
    module, mask = quantise(Tokens(None, 2)).train(), torch.tensor([[True, True, False]])
    losses = []
    for last in (0.0, 100.0):
        x = noise(1, 3, 2)
        x[0, 2] = last
        context = Context()
        module(Masked(x, mask), context=context)
        losses.append(context.total_loss())
    assert torch.equal(*losses)


def test_t52_more_codes_reconstruct_better_and_are_used():
    errors, entropies = [], []
    for codes in (2, 8, 32):
        module = quantise(codes=codes).train()
        optimizer = torch.optim.Adam(module.parameters(), 0.05)
        for step in range(200):
            context = Context()
            module(noise(128, 2, seed=100 + step), context=context)
            optimizer.zero_grad()
            context.total_loss().backward()
            optimizer.step()
        x = noise(1000, 2, seed=3)
        errors.append(float((module.eval()(x, context=Context()) - x).square().mean().detach()))
        entropies.append(code_entropy(module.ids(x), codes))
    assert errors[0] > 1.5 * errors[1] > 1.5**2 * errors[2]
    assert entropies[0] < entropies[1] < entropies[2] <= torch.tensor(32.0).log()
    assert entropies[2] > torch.tensor(16.0).log()  # most of 32 codes are in use


def test_the_family_finds_its_own_configuration():
    for port in (Vector(4), Tokens(None, 4)):
        assert facts(ModuleSpec("quantise", BUILT_IN["quantise"].fitting((port,))), [port]).output == port
    assert BUILT_IN["quantise"].fitting((Image(1, 2, 2),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"codes": 0}, "`codes` must be a whole number of at least 1, found 0"),
        ({"commitment": -1.0}, "`commitment` must be at least 0, found -1.0"),
        ({"weight": "much"}, "`weight` must be a finite number, found 'much'"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        quantise(**config)
