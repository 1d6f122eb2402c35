import pytest
import torch

from pathways.modules import BUILT_IN, Context, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestPathRouter(ModuleFamilySuite):
    spec = ModuleSpec("path_router", {"main": 0.7, "lr_mult": 0.5})
    ports = (Vector(5), Vector(5), Vector(5))
    refused = ((), (Vector(5),), (Vector(5), Vector(4)), (Tokens(3, 5),) * 2)
    draws = False


def make(paths=3, dim=4, **config):
    return build(ModuleSpec("path_router", config), [Vector(dim)] * paths, torch.Generator().manual_seed(0))


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("paths", [2, 3, 5])
def test_path_0_starts_at_its_weight_and_the_others_share_the_rest(paths):
    weights = make(paths).weights(noise(6, 4))
    expected = torch.tensor([0.8, *[0.2 / (paths - 1)] * (paths - 1)]).expand(6, paths)
    torch.testing.assert_close(weights, expected)


def test_with_connectors_at_zero_path_0_decides():
    first = noise(9, 4)
    found = make()(first, torch.zeros(9, 4), torch.zeros(9, 4), context=Context())
    assert torch.equal(found.argmax(1), first.argmax(1))
    torch.testing.assert_close(found, 0.8 * first)


def test_paths_learn_whatever_their_weights():
    values = [noise(3, 4, seed=i).requires_grad_() for i in range(3)]
    router = make(main=0.99, lr_mult=0.0)
    out = router(*values, context=Context())
    weight = noise(3, 4, seed=9)
    (out * weight).sum().backward()
    for value in values:
        assert torch.equal(value.grad, weight)


def test_the_routers_gradient_is_scaled():
    grads = []
    for lr_mult in (1.0, 0.05):
        router = make(lr_mult=lr_mult)
        (router(*(noise(3, 4, seed=i) for i in range(3)), context=Context()) * noise(3, 4, seed=9)).sum().backward()
        grads.append(router.gate.weight.grad)
    torch.testing.assert_close(0.05 * grads[0], grads[1])
    assert bool(grads[1].any())


def test_it_learns_to_follow_the_path_that_is_right():
    router = make(2, 2, lr_mult=1.0)
    optimizer = torch.optim.SGD(router.parameters(), lr=0.5)
    target = torch.randint(0, 2, (64,), generator=torch.Generator().manual_seed(3))
    right = 4.0 * torch.nn.functional.one_hot(target, 2).float()
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(router(-right, right, context=Context()), target).backward()
        optimizer.step()
    assert float(router.weights(-right)[:, 1].min().detach()) > 0.8


def test_the_fitting_settings_are_the_papers():
    fitting = BUILT_IN["path_router"].fitting
    assert fitting((Vector(3), Vector(3))) == {}
    assert fitting((Vector(3),)) is None
    assert fitting((Vector(3), Vector(4))) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"main": 1.0}, "`main` must be between 0 and 1, found 1.0"),
        ({"main": "most"}, "`main` must be a finite number, found 'most'"),
        ({"lr_mult": -0.1}, "`lr_mult` must be from 0 to 1, found -0.1"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("path_router", config), [Vector(4)] * 2)
