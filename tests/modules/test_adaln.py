import pytest
import torch

from pathways.modules import Context, Image, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite
from pathways.testing.module_family import seeded


class TestAdaLN(ModuleFamilySuite):
    spec = ModuleSpec("adaln", {"heads": 2})
    ports = (Tokens(5, 8), Vector(3))
    refused = ((Tokens(5, 8),), (Vector(8), Vector(3)), (Tokens(5, 8), Tokens(None, 3)), (Tokens(5, 8), Image(1, 2, 2)))


class TestAdaLNMasked(ModuleFamilySuite):
    spec = ModuleSpec("adaln", {"heads": 1, "ff": 2})
    ports = (Tokens(None, 8), Tokens(2, 3))


def make(condition=3):
    return build(ModuleSpec("adaln", {"heads": 2}), [Tokens(5, 8), Vector(condition)], seeded(0)).eval()


def noise(*shape, seed=1):
    return torch.randn(shape, generator=seeded(seed))


def test_b29_it_starts_as_the_identity_and_one_step_tells_two_conditions_apart():
    block, x = make(), noise(1, 5, 8).expand(2, 5, 8)
    conditions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert torch.equal(block(x, conditions, context=Context()), x)
    optimizer = torch.optim.SGD(block.parameters(), 0.1)
    (block(x, conditions, context=Context()) * noise(2, 5, 8, seed=2)).sum().backward()
    optimizer.step()
    first, second = block(x, conditions, context=Context())
    assert not torch.allclose(first, second, atol=1e-3)


def test_b29_a_branch_is_modulated_and_gated():
    block, x, c = make(), noise(2, 5, 8), noise(2, 3, seed=2)
    with torch.no_grad():
        for parameter in block.modulate.parameters():
            parameter.copy_(noise(*parameter.shape, seed=3))
        block.modulate.weight[16:24] = 0.0  # the gate of attention
        block.modulate.bias[16:24] = 0.0
    _, _, _, s, b, g = block.modulate(c)[:, None].chunk(6, -1)
    normed = torch.nn.functional.layer_norm(x, (8,)) * (1 + s) + b
    expected = x + g * block.down(torch.nn.functional.gelu(block.up(normed)))
    torch.testing.assert_close(block(x, c, context=Context()), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [({"heads": 3}, "`heads` must divide the dim 8 of the tokens, found 3"), ({"heads": 2, "ff": 0}, "`ff` must be")],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        facts(ModuleSpec("adaln", config), [Tokens(5, 8), Vector(3)])


def test_it_fits_tokens_with_a_condition():
    assert build(ModuleSpec("adaln", {"heads": 1}), [Tokens(5, 9), Vector(3)]).fitting((Tokens(5, 9), Vector(3))) == {
        "heads": 1, "ff": 2,
    }
