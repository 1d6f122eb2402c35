import pytest
import torch

from pathways.modules import Image, ModuleSpec, Tokens, Vector, build
from pathways.testing import DeltaFamilySuite


class TestLoRA(DeltaFamilySuite):
    spec = ModuleSpec("lora", {"rank": 2})
    host = ModuleSpec("linear", {"dim": 5})
    ports = (Vector(4),)


class TestLoRAConv(DeltaFamilySuite):
    spec = ModuleSpec("lora", {"rank": 2, "target": "conv.weight", "alpha": 4.0})
    host = ModuleSpec("conv", {"channels": 4, "norm": "group", "groups": 2})
    ports = (Image(3, 5, 5),)


class TestLoRATransformer(DeltaFamilySuite):
    spec = ModuleSpec("lora", {"rank": 2, "target": "query.weight"})
    host = ModuleSpec("transformer", {"heads": 2})
    ports = (Tokens(None, 8),)


def make(host, port, **config):
    module = build(host, [port], torch.Generator().manual_seed(0))
    return module, build(ModuleSpec("lora", config), [], torch.Generator().manual_seed(1), host=module)


@pytest.mark.parametrize(
    ("host", "port", "target"),
    [
        (ModuleSpec("linear", {"dim": 5}), Vector(4), "linear.weight"),
        (ModuleSpec("conv", {"channels": 5}), Image(3, 4, 4), "conv.weight"),
    ],
)
def test_the_change_is_low_rank_and_scaled(host, port, target):
    module, lora = make(host, port, rank=2, alpha=3.0, target=target)
    with torch.no_grad():
        lora.up.copy_(torch.randn(lora.up.shape, generator=torch.Generator().manual_seed(2)))
    before = dict(module.named_parameters())
    after = lora.weights(before)
    change = (after[target] - before[target]).flatten(1)
    torch.testing.assert_close(change, 1.5 * lora.up @ lora.down, atol=1e-5, rtol=1e-5)
    assert int(torch.linalg.matrix_rank(change)) == 2
    assert all(after[name] is before[name] for name in before if name != target)


def test_a_fresh_change_leaves_the_weights_as_they_are():
    module, lora = make(ModuleSpec("linear", {"dim": 5}), Vector(4), rank=3)
    after = lora.weights(dict(module.named_parameters()))
    assert torch.equal(after["linear.weight"], module.linear.weight)
    assert bool(lora.down.any())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"rank": 2, "target": "weight"},
            r"`target` must be .*\['linear.bias', 'linear.weight'\], found 'weight'",
        ),
        (
            {"rank": 2, "target": "linear.bias"},
            r"`target` must have two or more dimensions, found 'linear.bias'",
        ),
        ({"rank": 5}, r"`rank` must be at most 4 for the target's \(5, 4\), found 5"),
        ({"rank": 0}, "`rank` must be a whole number of at least 1, found 0"),
        ({"rank": 1, "alpha": None}, "`alpha` must be a finite number, found None"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        make(ModuleSpec("linear", {"dim": 5}), Vector(4), **config)
