import pytest
import torch

from pathways.modules import BUILT_IN, Context, ModuleSpec, PortError, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestClassifier(ModuleFamilySuite):
    spec = ModuleSpec("classifier", {"classes": 4})
    ports = (Vector(6),)
    refused = ((), (Tokens(3, 6),), (Vector(6), Vector(6)))


class TestRegressor(ModuleFamilySuite):
    spec = ModuleSpec("regressor", {"values": 2})
    ports = (Vector(6),)
    refused = ((), (Tokens(3, 6),))


@pytest.mark.parametrize(
    "spec", [ModuleSpec("classifier", {"classes": 50}), ModuleSpec("regressor", {"values": 50})]
)
def test_a_head_is_one_linear_layer_of_unit_scale(spec):
    head = build(spec, [Vector(400)], torch.Generator().manual_seed(0)).requires_grad_(False)
    assert BUILT_IN[spec.family].head
    assert {name for name, _ in head.named_parameters()} == {"linear.weight", "linear.bias"}
    assert float(head.linear.weight.std()) == pytest.approx(1 / 20, rel=0.05)
    assert not head.linear.bias.any()
    x = torch.randn(300, 400, generator=torch.Generator().manual_seed(1))
    assert float(head(x, context=Context()).std()) == pytest.approx(1.0, rel=0.1)


def test_tokens_must_be_pooled_first():
    with pytest.raises(PortError, match="family `classifier` reads one Vector, found"):
        build(ModuleSpec("classifier", {"classes": 3}), [Tokens(2, 4)])


@pytest.mark.parametrize(
    ("family", "config"), [("classifier", {"classes": 0}), ("regressor", {"values": True})]
)
def test_bad_settings_are_named(family, config):
    with pytest.raises(ValueError, match=f"`{next(iter(config))}` must be a whole number of at least 1"):
        build(ModuleSpec(family, config), [Vector(4)])
