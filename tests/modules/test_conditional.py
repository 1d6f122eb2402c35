import pytest
import torch

from pathways.modules import Context, Draft, ModuleSpec, Tokens, build, facts
from pathways.testing import DeltaFamilySuite
from pathways.testing.delta_family import move
from pathways.testing.module_family import seeded

BLOCK = ModuleSpec("transformer", {"heads": 2, "ff": 2})
CODE = Draft("code", ModuleSpec("learned_tokens", {"length": 1, "dim": 3}))


class TestConditionalAttention(DeltaFamilySuite):
    spec = ModuleSpec("conditional_attention", {"blocks": 2, "length": 4, "code": 3})
    host, ports = BLOCK, (Tokens(None, 8),)


class TestConditionalAttentionCausal(DeltaFamilySuite):
    spec = ModuleSpec("conditional_attention", {"blocks": 2, "code": 3}, parts={"code": CODE})
    host, ports = ModuleSpec("transformer", {"heads": 2, "causal": True}), (Tokens(6, 8),)


class TestConditionalNorm(DeltaFamilySuite):
    spec = ModuleSpec("conditional_norm", {"code": 3})
    host, ports = BLOCK, (Tokens(None, 8),)


class TestConditionalNormOfParts(DeltaFamilySuite):
    spec = ModuleSpec("conditional_norm", {"code": 3}, parts={"code": CODE})
    host, ports = BLOCK, (Tokens(5, 8),)
    draws = False


def make(family, **config):
    host = build(BLOCK, [Tokens(6, 8)], seeded(0)).eval().requires_grad_(False)
    delta = build(ModuleSpec(family, {"code": 3, **config}), [], seeded(1), host=host)
    move(delta, 2)
    return host, delta


def test_b24_the_bias_is_block_diagonal_and_film_of_the_code():
    _, delta = make("conditional_attention", blocks=2)
    bias, z = delta.bias(), delta.code.numbers
    gain, shift = (half.reshape(2, 3) for half in (delta.film.weight @ z + delta.film.bias).chunk(2))
    for i, cells in enumerate((bias[:3, :3], bias[3:, 3:])):
        torch.testing.assert_close(cells, gain[i] * delta.cells[i] + shift[i], atol=1e-6, rtol=1e-6)
    assert not bool(bias[:3, 3:].any())
    assert not bool(bias[3:, :3].any())


def test_b24_a_zero_condition_is_plain_attention_to_the_bit():
    host, delta = make("conditional_attention", blocks=2)
    x = torch.randn(2, 6, 8, generator=seeded(3))
    suite, plain = TestConditionalAttention(), host(x, context=Context())
    assert not torch.allclose(suite.run_all(host, [delta], [x], ()), plain, atol=1e-3)
    torch.nn.init.zeros_(delta.code.numbers)
    torch.nn.init.zeros_(delta.film.bias)
    assert torch.equal(suite.run_all(host, [delta], [x], ()), plain)


def test_b24_tokens_behind_the_last_block_are_not_shifted():
    host = build(BLOCK, [Tokens(None, 8)], seeded(0))
    spec = ModuleSpec("conditional_attention", {"length": 2, "code": 3})
    delta = build(spec, [], seeded(1), host=host)
    move(delta, 2)
    for places in (1, 2, 4):
        shifted = delta.inside()["logits"](torch.zeros(1, 2, places, places))
        expected = torch.zeros(4, 4)
        expected[:2, :2] = delta.bias()
        assert torch.equal(shifted[0, 0], expected[:places, :places])


def test_b24_scales_of_norms_are_film_of_the_code():
    host, delta = make("conditional_norm")
    torch.nn.init.normal_(host.norm.weight, generator=seeded(4))
    before = dict(host.named_parameters())
    after = delta.weights(before)
    gains, shifts = (delta.film.weight @ delta.code.numbers + delta.film.bias).chunk(2)
    torch.testing.assert_close(after["norm.weight"], (1 + gains[:8]) * host.norm.weight + shifts[:8])
    assert {name for name in before if after[name] is not before[name]} == {"norm.weight", "norm_ff.weight"}


@pytest.mark.parametrize(
    ("family", "config", "host", "ports", "message"),
    [
        ("conditional_attention", {"blocks": 4}, BLOCK, [Tokens(6, 8)], "`blocks` must divide the length 6, found 4"),
        ("conditional_attention", {}, BLOCK, [Tokens(None, 8)], "`length` must be a whole number of at least 1, found"),
        ("conditional_attention", {}, BLOCK, [Tokens(6, 8)] * 2, "`host` must attend to itself, found"),
        ("conditional_attention", {}, ModuleSpec("pool"), [Tokens(6, 8)], r"`host` must have the sites \['logits'\]"),
        ("conditional_norm", {}, ModuleSpec("pool"), [Tokens(6, 8)], "`host` must have norms with scales, found none"),
        ("conditional_norm", {"code": 0}, BLOCK, [Tokens(6, 8)], "`code` must be a whole number of at least 1, found"),
    ],
)
def test_bad_settings_are_named(family, config, host, ports, message):
    with pytest.raises(ValueError, match=message):
        facts(ModuleSpec(family, config), [], host=(host, tuple(ports)))
