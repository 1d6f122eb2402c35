import pytest
import torch

from pathways.modules import Context, Image, ModuleSpec, Tokens, Vector, build
from pathways.testing import DeltaFamilySuite
from pathways.testing.module_family import seeded


class TestIA3(DeltaFamilySuite):
    spec = ModuleSpec("ia3")
    host, ports = ModuleSpec("transformer", {"heads": 2}), (Tokens(None, 8),)
    draws = False


class TestIA3Conv(DeltaFamilySuite):
    spec = ModuleSpec("ia3", {"outputs": ["conv"], "inputs": ["conv"]})
    host, ports = ModuleSpec("conv", {"channels": 4}), (Image(3, 5, 5),)
    draws = False


class TestIA3Decoder(DeltaFamilySuite):
    spec = ModuleSpec("ia3")
    host, ports = ModuleSpec("decoder", {"heads": 2}), (Tokens(None, 8), Tokens(4, 6))
    draws = False


class TestIA3Linear(DeltaFamilySuite):
    spec = ModuleSpec("ia3")
    host, ports = ModuleSpec("linear", {"dim": 4, "activation": "relu"}), (Vector(3),)
    draws = False


def test_b30_keys_values_and_hidden_units_are_scaled():
    host = build(ModuleSpec("transformer", {"heads": 2}), [Tokens(5, 8)], seeded(0)).eval()
    delta = build(ModuleSpec("ia3"), [], seeded(1), host=host)
    x = torch.randn(2, 5, 8, generator=seeded(2))
    with torch.no_grad():
        for i, factor in enumerate(delta.factors):
            factor.copy_(torch.rand(factor.shape, generator=seeded(3 + i)) + 0.5)
    normed = host.norm(x)
    query, both = host.query(normed), delta.factors[0] * host.key_value(normed)
    key, value = (host._per_head(part) for part in both.chunk(2, -1))
    mixed = torch.nn.functional.scaled_dot_product_attention(host._per_head(query), key, value)
    h = x + host.project(mixed.transpose(1, 2).flatten(2))
    expected = h + host.down(delta.factors[1] * torch.nn.functional.gelu(host.up(host.norm_ff(h))))
    found = torch.func.functional_call(host, delta.weights(dict(host.named_parameters())), x, {"context": Context()})
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "config", [{"outputs": []}, {"inputs": ["norm"]}, {"outputs": ["linear"], "inputs": ["other"]}]
)
def test_layers_that_are_not_there_are_named(config):
    host = build(ModuleSpec("linear", {"dim": 5}), [Vector(4)], seeded(0))
    with pytest.raises(ValueError, match=r"`inputs` must name layers of the host, .* \['linear'\], found"):
        build(ModuleSpec("ia3", config), [], host=host)
