import pytest
import torch

from pathways.modules import BUILT_IN, Context, ModuleSpec, Tokens, Vector, build, facts
from pathways.modules.io.mu_law import bins_of, values_of
from pathways.testing import ModuleFamilySuite


class TestMuLaw(ModuleFamilySuite):
    spec = ModuleSpec("mu_law", {"dim": 6, "bins": 16})
    ports = (Vector(4),)
    refused = ((), (Tokens(4, 6),))


def test_t11_bins_are_monotone_and_finer_where_numbers_are_small():
    x = torch.linspace(-300, 300, 60001)
    ids = bins_of(x)
    assert bool((ids.diff() >= 0).all())
    assert (int(ids.min()), int(ids.max())) == (0, 1023)
    inside = torch.linspace(-1, 1, 200001)
    used = bins_of(inside)
    assert len(used.unique()) == 466
    error = (values_of(used) - inside).abs()
    assert 0.0098 < float(error.max()) < 0.00995  # half of the last whole bin
    assert float(error[inside.abs() < 0.01].max()) < 0.0002


def test_t11_the_relative_error_is_below_one_percent():
    x = torch.cat([torch.linspace(-256, 256, 100001), torch.linspace(-1, 1, 100001)])
    error = (values_of(bins_of(x)) - x).abs() / (x.abs() + 1 / 100)
    assert float(error.max()) < 0.01


def test_t11_numbers_share_one_table_and_have_positions():
    module = build(ModuleSpec("mu_law", {"dim": 6}), [Vector(3)], torch.Generator().manual_seed(0))
    found = module(torch.tensor([[0.3, -2.0, 0.3]]), context=Context())[0]
    row = module.table.weight[bins_of(torch.tensor(0.3))]
    assert torch.equal(found[0], row + module.position[0])
    assert torch.equal(found[2], row + module.position[2])


def test_the_family_finds_its_own_configuration():
    assert facts(ModuleSpec("mu_law", BUILT_IN["mu_law"].fitting((Vector(4),))), [Vector(4)]).output == Tokens(4, 16)
    assert BUILT_IN["mu_law"].fitting((Tokens(4, 6),)) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"bins": 1}, "`bins` must be a whole number of at least 2, found 1"),
        ({"mu": 0.0}, "`mu` must be above 0, found 0.0"),
        ({"largest": -1.0}, "`largest` must be above 0, found -1.0"),
        ({"mu": "small"}, "`mu` must be a finite number, found 'small'"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("mu_law", {"dim": 4, **config}), [Vector(3)])
