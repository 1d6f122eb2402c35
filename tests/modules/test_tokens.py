import pytest
import torch

from pathways.modules import Context, ModuleSpec, PortError, Vector, build
from pathways.testing import ModuleFamilySuite


class TestLearnedTokens(ModuleFamilySuite):
    spec = ModuleSpec("learned_tokens", {"length": 4, "dim": 6})
    ports = ()
    refused = ((Vector(3),),)


def test_one_sample_of_small_numbers():
    tokens = build(
        ModuleSpec("learned_tokens", {"length": 50, "dim": 80}), [], torch.Generator().manual_seed(0)
    )
    value = tokens(context=Context())
    assert value.shape == (1, 50, 80)
    assert float(value.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_it_says_that_it_reads_nothing():
    with pytest.raises(PortError, match=r"`learned_tokens` reads nothing, found \(Vector\(dim=3\)\)"):
        build(ModuleSpec("learned_tokens", {"length": 4, "dim": 6}), [Vector(3)])


@pytest.mark.parametrize("config", [{"length": 0, "dim": 2}, {"length": 2, "dim": 1.5}])
def test_bad_settings_are_named(config):
    with pytest.raises(ValueError, match="must be a whole number of at least 1"):
        build(ModuleSpec("learned_tokens", config), [])
