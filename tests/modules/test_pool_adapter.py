import pytest
import torch
from torch.nn import functional as F

from pathways.modules import Context, ModuleSpec, PortError, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestPoolAdapter(ModuleFamilySuite):
    spec = ModuleSpec("pool_adapter", {"side": 2, "dim": 5, "hidden": 7})
    ports = (Tokens(16, 6),)
    refused = ((), (Vector(6),), (Tokens(None, 6),), (Tokens(15, 6),), (Tokens(16, 6),) * 2)


def make(length, width, **config):
    return build(ModuleSpec("pool_adapter", config), [Tokens(length, width)], torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("grid", "side"), [(6, 1), (6, 2), (6, 3), (6, 6)])
def test_b25_the_blocks_are_those_of_adaptive_pooling(grid, side):
    module = make(grid * grid, 4, side=side, dim=4)
    x = torch.randn(3, grid * grid, 4, generator=torch.Generator().manual_seed(1))
    image = x.transpose(1, 2).unflatten(2, (grid, grid))
    pooled = F.adaptive_avg_pool2d(image, side).flatten(2).transpose(1, 2)
    expected = module.down(F.gelu(module.up(pooled)))
    torch.testing.assert_close(module(x, context=Context()), expected, atol=1e-6, rtol=1e-5)


def probe(side, x, corner):
    """The share of held-out grids whose marked corner a linear probe finds behind the adapter."""
    module = make(x.shape[1], x.shape[2], side=side, dim=8)
    head = torch.nn.Linear(8 * side * side, 4)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.Adam([*module.parameters(), *head.parameters()], lr=0.02)
    half = len(x) // 2
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(head(module(x[:half], context=Context()).flatten(1)), corner[:half]).backward()
        optimizer.step()
    with torch.no_grad():
        found = head(module(x[half:], context=Context()).flatten(1)).argmax(1)
    return float((found == corner[half:]).float().mean())


def test_b25_a_probe_of_the_location_beats_global_pooling():
    generator = torch.Generator().manual_seed(3)
    n, grid = 256, 4
    x = torch.randn(n, grid, grid, 6, generator=generator) * 0.1
    corner = torch.randint(0, 4, (n,), generator=generator)
    for i, c in enumerate(corner.tolist()):
        row, column = torch.randint(0, 2, (2,), generator=generator).tolist()
        x[i, 2 * (c // 2) + row, 2 * (c % 2) + column] += 1.0  # one marked token in a quarter of the grid
    x = x.flatten(1, 2)
    kept, lost = probe(2, x, corner), probe(1, x, corner)
    assert kept >= 0.95  # 1.0 here
    assert lost <= 0.45  # chance is 0.25


@pytest.mark.parametrize("side", [4, 5])
def test_b25_a_side_that_does_not_divide_the_grid_is_an_error(side):
    with pytest.raises(ValueError, match=f"`side` must divide the 6 rows of the grid, found {side}"):
        make(36, 4, side=side, dim=4)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"side": 0, "dim": 4}, "`side` must be a whole number of at least 1, found 0"),
        ({"side": 2, "dim": 0}, "`dim` must be a whole number of at least 1, found 0"),
        ({"side": 2, "dim": 4, "hidden": 0}, "`hidden` must be a whole number of at least 1, found 0"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        make(16, 4, **config)


def test_what_is_not_a_square_is_refused():
    with pytest.raises(PortError, match="reads a square grid of tokens"):
        make(17, 4, side=1, dim=4)
