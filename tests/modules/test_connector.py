import pytest
import torch

from pathways.modules import BUILT_IN, Context, Image, ModuleSpec, PortError, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestConnector(ModuleFamilySuite):
    spec = ModuleSpec("connector", {"dim": 3})
    ports = (Vector(6),)
    refused = ((), (Image(3, 6, 6),), (Vector(6), Vector(6)))
    draws = False


class TestConnectorTokens(ModuleFamilySuite):
    spec = ModuleSpec("connector", {"dim": 6, "residual": True})
    ports = (Tokens(None, 6),)
    draws = False


def test_it_starts_as_nothing_and_a_residual_one_as_the_identity():
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    for config, expected in (({"dim": 3}, torch.zeros(4, 3)), ({"dim": 6, "residual": True}, x)):
        module = build(ModuleSpec("connector", config), [Vector(6)], torch.Generator().manual_seed(0))
        assert torch.equal(module(x, context=Context()), expected)


@pytest.mark.parametrize("port", [Vector(6), Tokens(None, 6), Tokens(3, 6)])
def test_the_fitting_connector_keeps_the_port(port):
    assert build(ModuleSpec("connector", BUILT_IN["connector"].fitting((port,))), [port]).output == port


def test_nothing_fits_where_it_reads_nothing():
    assert BUILT_IN["connector"].fitting((Image(1, 2, 2),)) is None
    assert BUILT_IN["connector"].fitting(()) is None


def test_bad_settings_are_named():
    with pytest.raises(PortError, match="with `residual` reads vectors of its `dim` 3, found Vector"):
        build(ModuleSpec("connector", {"dim": 3, "residual": True}), [Vector(4)])
    with pytest.raises(ValueError, match="`dim` must be a whole number of at least 1, found 0"):
        build(ModuleSpec("connector", {"dim": 0}), [Vector(4)])
