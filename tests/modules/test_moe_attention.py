import pytest
import torch

from pathways.modules import BUILT_IN, Context, Draft, Masked, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestMoEAttention(ModuleFamilySuite):
    spec = ModuleSpec("moe_attention", {"experts": 4, "k": 2, "dim": 4})
    ports = (Tokens(5, 8),)
    refused = ((), (Vector(8),), (Tokens(5, 8),) * 2)


class TestMoEAttentionMasked(ModuleFamilySuite):
    spec = ModuleSpec("moe_attention", {"experts": 3, "k": 2, "residual": True})
    ports = (Tokens(None, 8),)
    flop_share = 2.0  # only real tokens run through a head


class TestMoEAttentionRouter(ModuleFamilySuite):
    spec = ModuleSpec("moe_attention", {"experts": 3, "residual": True}, parts={
        "router": Draft("r", ModuleSpec("mutual_router", {"experts": 3, "k": 1})),
    })
    ports = (Tokens(5, 8),)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=1):
    return torch.randn(shape, generator=seeded(seed))


def make(port=None, **config):
    config = {"experts": 4, "k": 2, "dim": 4, **config}
    module = build(ModuleSpec("moe_attention", config), [port or Tokens(6, 8)], seeded())
    with torch.no_grad():
        module.own.gate.weight.copy_(noise(*module.own.gate.weight.shape))
    return module.eval()


def test_r5_each_token_attends_through_its_own_heads():
    module, x = make(), noise(3, 6, 8)
    weights = module.router(x.flatten(0, 1), context=Context()).reshape(3, 6, 4)
    keys, values = module.key_value(x).chunk(2, -1)
    expected = torch.zeros(3, 6, 8)
    for e in range(4):
        shares = ((x @ module.query[e].T) @ keys.transpose(1, 2) / 2).softmax(2)
        expected += weights[..., e, None] * (shares @ values @ module.project[e].T)
    torch.testing.assert_close(module(x, context=Context()), expected, atol=1e-5, rtol=1e-5)


def test_r5_flops_of_heads_are_proportional_to_k():
    def flops(k):
        return facts(ModuleSpec("moe_attention", {"experts": 4, "k": k, "dim": 4}), [Tokens(6, 8)]).flops

    assert flops(3) - flops(2) == flops(2) - flops(1) == 2 * 2 * 6 * 8 * 4 + 2 * 2 * 6 * 4 * 6


def test_masked_is_what_the_real_tokens_give():
    masked, fixed = make(Tokens(None, 8)), make(Tokens(4, 8))
    x = noise(2, 6, 8)
    found = masked(Masked(x, (torch.arange(6) < 4).expand(2, 6)), context=Context()).value
    torch.testing.assert_close(found[:, :4], fixed(x[:, :4], context=Context()), atol=1e-5, rtol=1e-5)


def test_traced_programs_give_the_same_values():
    module = make(residual=True)
    with torch.no_grad():
        module.project.copy_(noise(*module.project.shape))

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, x):
            return self.inner(x, context=Context())

    x = noise(3, 6, 8)
    program = torch.export.export(Plain(), (noise(3, 6, 8, seed=4),)).module()
    torch.testing.assert_close(program(x), module(x, context=Context()), atol=1e-5, rtol=1e-5)


def test_the_fitting_one_starts_as_the_identity():
    x = noise(3, 6, 8)
    config = BUILT_IN["moe_attention"].fitting((Tokens(6, 8),))
    assert torch.equal(build(ModuleSpec("moe_attention", config), [Tokens(6, 8)], seeded())(x, context=Context()), x)
    assert BUILT_IN["moe_attention"].fitting((Vector(3),)) is None


ROUTER = {"router": Draft("r", ModuleSpec("topk_router", {"experts": 3, "k": 1}))}


@pytest.mark.parametrize(
    ("config", "parts", "message"),
    [
        ({"experts": 2, "k": 3}, {}, "`k` must be at most `experts`, found 3 of 2"),
        ({"experts": 2}, {}, "`k` must be a whole number of at least 1, found None"),
        ({"experts": 3, "k": 1}, ROUTER, "`k` must be left out with a part `router`"),
        ({"experts": 2}, ROUTER, r"`router` must give Vector\(dim=2\), one weight a head, found Vector\(dim=3\)"),
        ({"experts": 3}, {"expert0": ROUTER["router"]}, "`parts` must be a `router` alone"),
    ],
)
def test_bad_settings_are_named(config, parts, message):
    with pytest.raises(ValueError, match=message):
        facts(ModuleSpec("moe_attention", config, parts=parts), [Tokens(3, 4)])
