import pytest
import torch

from pathways.modules import Context, Masked, ModuleSpec, PortError, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestTabular(ModuleFamilySuite):
    spec = ModuleSpec("tabular", {"tasks": 2, "heads": 2})
    ports = (Tokens(7, 8),)
    refused = ((), (Vector(8),), (Tokens(2, 8),), (Tokens(7, 8),) * 2)


class TestTabularMasked(ModuleFamilySuite):
    spec = ModuleSpec("tabular", {"tasks": 1, "heads": 2, "ff": 1, "features_read_tasks": True})
    ports = (Tokens(None, 8),)


class TestTabularRows(ModuleFamilySuite):
    """Rows attend to one another, so that one check is of the opposite."""

    spec = ModuleSpec("tabular", {"tasks": 1, "heads": 2, "ff": 1, "rows": True})
    ports = (Tokens(5, 8),)
    flop_share = 0.6  # a nominal batch is larger than the two samples that the check counts

    def test_a_batch_gives_what_its_samples_give(self) -> None:
        module, values = self.trained().eval(), self.values(batch=4)
        together, half = self.run(module, values), self.run(module, [values[0][:2]])
        assert not torch.allclose(together[:2], half, atol=1e-3)


def make(port, **config):
    return build(ModuleSpec("tabular", {"heads": 2, **config}), [port], torch.Generator().manual_seed(0)).eval()


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def stack_of(length, tasks, **config):
    """Three blocks in a row: a leak would go through the features of the first to the tasks of the second."""
    blocks = [
        build(ModuleSpec("tabular", {"heads": 2, "tasks": tasks, **config}), [Tokens(length, 8)],
              torch.Generator().manual_seed(seed)).eval()
        for seed in range(3)
    ]

    def run(x):
        for block in blocks:
            x = block(x, context=Context())
        return x

    return run


MASKS = [(features, tasks) for features in (False, True) for tasks in (False, True)]


@pytest.mark.parametrize(("features", "tasks"), MASKS)
def test_b27_without_a_tasks_token_the_other_is_the_same_only_under_both_masks(features, tasks):
    config = {"features_read_tasks": features, "tasks_read_tasks": tasks}
    x = noise(3, 7, 8)
    both, alone = stack_of(7, 2, **config)(x), stack_of(6, 1, **config)(x[:, [0, 2, 3, 4, 5, 6]])
    same = torch.allclose(both[:, 0], alone[:, 0], atol=1e-5)
    assert same == (not features and not tasks)


@pytest.mark.parametrize(("features", "tasks"), MASKS)
def test_b27_the_masks_are_those_that_the_gradients_show(features, tasks):
    block = make(Tokens(6, 8), tasks=2, features_read_tasks=features, tasks_read_tasks=tasks)
    reads = torch.zeros(6, 6, dtype=torch.bool)
    for place in range(6):
        x = noise(1, 6, 8).requires_grad_()
        block(x, context=Context())[0, place].sum().backward()
        reads[place] = x.grad[0].any(1)
    expected = torch.ones(6, 6, dtype=torch.bool)
    expected[2:, :2] = features
    expected[:2, :2] = tasks
    assert torch.equal(reads, expected | torch.eye(6, dtype=torch.bool))


def test_b27_rows_attend_to_one_another_only_where_asked():
    x, other = noise(3, 6, 8), noise(3, 6, 8)
    other[2] = noise(6, 8, seed=2)
    for rows in (False, True):
        block = make(Tokens(6, 8), tasks=1, rows=rows)
        first, second = block(x, context=Context())[0], block(other, context=Context())[0]
        assert torch.allclose(first, second, atol=1e-6) == (not rows)


def test_b27_the_order_of_rows_and_their_padding_do_not_matter_to_rows():
    block, x = make(Tokens(None, 8), tasks=1, rows=True), noise(4, 6, 8)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [True] * 5 + [False], [True] * 6])
    order = torch.tensor([2, 0, 3, 1])
    found = block(Masked(x, mask), context=Context()).value
    permuted = block(Masked(x[order], mask[order]), context=Context()).value
    torch.testing.assert_close(permuted, found[order], atol=1e-5, rtol=1e-5)
    changed = block(Masked(torch.where(mask[..., None], x, noise(4, 6, 8, seed=5)), mask), context=Context()).value
    torch.testing.assert_close(changed[mask], found[mask], atol=1e-5, rtol=1e-5)


def test_a_residual_scale_of_zero_starts_as_the_identity():
    x = noise(2, 6, 8)
    assert torch.equal(make(Tokens(6, 8), tasks=1, rows=True, residual_scale=0.0)(x, context=Context()), x)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tasks": -1}, "`tasks` must be a whole number of at least 0, found -1"),
        ({"tasks": 1, "heads": 3}, "`heads` must divide the dim 8 of the tokens, found 3"),
        ({"tasks": 1, "rows": "all"}, "`rows` must be true or false, found 'all'"),
        ({"tasks": 1, "tasks_read_tasks": 0}, "`tasks_read_tasks` must be true or false, found 0"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        make(Tokens(5, 8), **config)


def test_no_features_are_refused():
    with pytest.raises(PortError, match="reads 5 task tokens and features behind them, found Tokens"):
        make(Tokens(5, 8), tasks=5)
