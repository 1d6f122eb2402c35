import pytest
import torch

from pathways.modules import Context, Masked, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestTransformer(ModuleFamilySuite):
    spec = ModuleSpec("transformer", {"heads": 2})
    ports = (Tokens(5, 8),)
    refused = ((), (Vector(8),), (Tokens(5, 8), Vector(8)), (Tokens(5, 8),) * 3)


class TestTransformerMasked(ModuleFamilySuite):
    spec = ModuleSpec("transformer", {"heads": 4, "ff": 2})
    ports = (Tokens(None, 8),)


class TestTransformerCausal(ModuleFamilySuite):
    spec = ModuleSpec("transformer", {"heads": 2, "causal": True})
    ports = (Tokens(None, 8),)


class TestTransformerCross(ModuleFamilySuite):
    spec = ModuleSpec("transformer", {"heads": 2})
    ports = (Tokens(3, 8), Tokens(None, 6))


class TestTransformerCrossMaskedQueries(ModuleFamilySuite):
    spec = ModuleSpec("transformer", {"heads": 2})
    ports = (Tokens(None, 8), Tokens(4, 8))


class TestTransformerParallel(ModuleFamilySuite):
    spec = ModuleSpec("transformer", {"heads": 2, "parallel": True})
    ports = (Tokens(None, 8),)


def make(*ports, **config):
    block = build(ModuleSpec("transformer", {"heads": 2, **config}), ports, torch.Generator().manual_seed(0))
    return block.eval()


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("masked", [False, True])
def test_a_causal_block_does_not_see_the_future(masked):
    block = make(Tokens(None if masked else 6, 8), causal=True)
    mask = torch.ones(2, 6, dtype=torch.bool)
    x, changed = noise(2, 6, 8), noise(2, 6, 8)
    changed[:, 4:] += noise(2, 2, 8, seed=2)

    def run(value):
        return (
            block(Masked(value, mask), context=Context()).value if masked else block(value, context=Context())
        )

    torch.testing.assert_close(run(changed)[:, :4], run(x)[:, :4], atol=1e-6, rtol=0)
    assert not torch.allclose(run(changed)[:, 4:], run(x)[:, 4:], atol=1e-2)


def test_without_causal_the_past_sees_the_future():
    block = make(Tokens(6, 8))
    x, changed = noise(1, 6, 8), noise(1, 6, 8)
    changed[:, 5] = noise(1, 8, seed=2)
    assert not torch.allclose(
        block(x, context=Context())[:, :5], block(changed, context=Context())[:, :5], atol=1e-4
    )


def test_a_permutation_of_the_tokens_permutes_the_output():
    block, x = make(Tokens(6, 8)), noise(2, 6, 8)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    permuted = block(x[:, order], context=Context())
    torch.testing.assert_close(permuted, block(x, context=Context())[:, order], atol=1e-5, rtol=1e-5)


def test_masked_attention_is_attention_to_the_real_tokens():
    block, fixed = make(Tokens(None, 8)), make(Tokens(4, 8))
    x = noise(1, 6, 8)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    found = block(Masked(x, mask), context=Context())
    torch.testing.assert_close(found.value[:, :4], fixed(x[:, :4], context=Context()), atol=1e-5, rtol=1e-5)
    assert found.mask is mask


def test_padding_in_front_of_a_causal_block_stays_finite():
    block = make(Tokens(None, 8), causal=True)
    mask = torch.tensor([[False, False, True, True, True]])
    x = noise(1, 5, 8)
    found = block(Masked(x, mask), context=Context()).value
    assert bool(found.isfinite().all())
    alone = make(Tokens(3, 8), causal=True)(x[:, 2:], context=Context())
    torch.testing.assert_close(found[:, 2:], alone, atol=1e-5, rtol=1e-5)


def test_the_order_of_a_memory_does_not_matter():
    block = make(Tokens(3, 8), Tokens(5, 6))
    x, memory = noise(2, 3, 8), noise(2, 5, 6)
    found, flipped = (block(x, m, context=Context()) for m in (memory, memory.flip(1)))
    torch.testing.assert_close(found, flipped, atol=1e-5, rtol=1e-5)


def test_agreement_with_the_block_of_torch():
    ours = make(Tokens(5, 8))
    theirs = torch.nn.TransformerEncoderLayer(
        8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True
    ).train()
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key_value.weight]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
        theirs.self_attn.out_proj.load_state_dict(ours.project.state_dict())
        theirs.linear1.load_state_dict(ours.up.state_dict())
        theirs.linear2.load_state_dict(ours.down.state_dict())
    x = noise(3, 5, 8)
    torch.testing.assert_close(ours(x, context=Context()), theirs(x), atol=1e-5, rtol=1e-5)


def test_a_residual_scale_of_zero_starts_as_the_identity():
    x = noise(2, 5, 8)
    assert torch.equal(make(Tokens(5, 8), residual_scale=0.0)(x, context=Context()), x)
    full, half = make(Tokens(5, 8)), make(Tokens(5, 8), residual_scale=0.5)
    assert torch.equal(half.down.weight, full.down.weight / 2)
    assert torch.equal(half.up.weight, full.up.weight)


def test_t34_parallel_differs_from_serial_with_the_same_parameters():
    serial, parallel = make(Tokens(5, 8)), make(Tokens(5, 8), parallel=True)
    x = noise(2, 5, 8)
    state = serial.state_dict()
    assert list(state) == list(parallel.state_dict())
    assert all(torch.equal(state[name], tensor) for name, tensor in parallel.state_dict().items())
    assert parallel.flops() == serial.flops()
    found = parallel(x, context=Context())
    assert not torch.allclose(found, serial(x, context=Context()), atol=1e-2)
    branches = []
    for silent in ("project", "down"):
        alone = make(Tokens(5, 8))
        for parameter in getattr(alone, silent).parameters():
            torch.nn.init.zeros_(parameter)
        branches.append(alone(x, context=Context()) - x)
    torch.testing.assert_close(found, x + branches[0] + branches[1], atol=1e-5, rtol=1e-5)


def test_b1_a_causal_output_does_not_depend_on_any_later_token():
    block, x = make(Tokens(6, 8), causal=True), noise(1, 6, 8).requires_grad_()
    block(x, context=Context())[0, 3].sum().backward()
    assert bool(x.grad[0, :4].any(1).all())
    assert not bool(x.grad[0, 4:].any())


def test_b5_what_the_parts_of_a_block_read_is_normalised():
    block, x = make(Tokens(6, 8)), 5 * noise(2, 6, 8) + 3
    for norm in (block.norm, block.norm_ff):
        normed = norm(x)
        torch.testing.assert_close(normed.mean(-1), torch.zeros(2, 6), atol=1e-5, rtol=0)
        torch.testing.assert_close(normed.var(-1, unbiased=False), torch.ones(2, 6), atol=1e-4, rtol=0)


def shapes(*ports, **config):
    """By site, the shape of the value there."""
    block, found = make(*ports, **config), {}

    def note(site):
        def change(value):
            found[site] = tuple(value.shape)
            return value

        return change

    context = Context().changed(block, {site: (note(site),) for site in block.sites})
    x = [noise(2, port.length, port.dim) for port in ports]
    assert torch.equal(block(*x, context=context), block(*x, context=Context()))
    return found


@pytest.mark.parametrize("config", [{}, {"causal": True}])
def test_changes_at_its_sites_that_change_nothing_leave_the_bits(config):
    token, head = (2, 5, 8), (2, 2, 5, 4)
    assert shapes(Tokens(5, 8), **config) == {
        "normed": token, "query": head, "logits": (2, 2, 5, 5), "mixed": head, "attended": token,
        "normed_ff": token, "inner": (2, 5, 32), "transformed": token,
    }


def test_the_logits_of_cross_attention_are_those_of_the_memory():
    assert shapes(Tokens(3, 8), Tokens(5, 6))["logits"] == (2, 2, 3, 5)


@pytest.mark.parametrize("causal", [False, True])
def test_a_change_of_the_logits_is_a_bias_of_attention(causal):
    block, x, bias = make(Tokens(None, 8), causal=causal), noise(2, 6, 8), noise(2, 1, 6, 6, seed=3)
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    context = Context().changed(block, {"logits": (lambda logits: logits + bias,)})
    found = block._attend(block.norm(x), block.norm(x), mask, context)
    allowed = mask[:, None, None, :] & (torch.ones(6, 6).tril().bool() if causal else True)
    allowed = allowed | torch.eye(6, dtype=torch.bool) if causal else allowed
    query, (key, value) = block.query(block.norm(x)), block.key_value(block.norm(x)).chunk(2, -1)
    logits = block._per_head(query) @ block._per_head(key).transpose(-1, -2) / 2 + bias
    mixed = logits.masked_fill(~allowed, float("-inf")).softmax(-1) @ block._per_head(value)
    expected = block.project(mixed.transpose(1, 2).flatten(2))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("ports", "config", "message"),
    [
        ([Tokens(5, 8)], {"heads": 3}, "`heads` must divide the dim 8 of the tokens, found 3"),
        ([Tokens(5, 8)], {"heads": 2, "ff": 0}, "`ff` must be a whole number of at least 1, found 0"),
        (
            [Tokens(5, 8)] * 2,
            {"heads": 2, "causal": True},
            "`causal` must be false where a second input is read",
        ),
        ([Tokens(5, 8)], {"heads": 2, "residual_scale": "small"}, "`residual_scale` must be a finite number"),
    ],
)
def test_bad_settings_are_named(ports, config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("transformer", config), ports)
