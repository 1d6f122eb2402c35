import pytest
import torch

from pathways.modules import Context, Masked, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestDecoder(ModuleFamilySuite):
    spec = ModuleSpec("decoder", {"heads": 2})
    ports = (Tokens(5, 8), Tokens(4, 6))
    refused = ((), (Tokens(5, 8),), (Tokens(5, 8), Vector(8)), (Tokens(5, 8),) * 3)


class TestDecoderMasked(ModuleFamilySuite):
    spec = ModuleSpec("decoder", {"heads": 4, "ff": 2})
    ports = (Tokens(None, 8), Tokens(None, 8))


class TestDecoderNotCausal(ModuleFamilySuite):
    spec = ModuleSpec("decoder", {"heads": 2, "causal": False})
    ports = (Tokens(None, 8), Tokens(3, 8))


class TestDecoderChained(ModuleFamilySuite):
    spec = ModuleSpec("decoder", {"heads": 2, "chained": True})
    ports = (Tokens(4, 8), Tokens(None, 8))


def make(*ports, **config):
    block = build(ModuleSpec("decoder", {"heads": 2, **config}), ports, torch.Generator().manual_seed(0))
    return block.eval()


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def silenced(block, *parts):
    """The block with the named writers of its residual stream at zero."""
    for part in parts:
        for parameter in block.get_submodule(part).parameters():
            torch.nn.init.zeros_(parameter)
    return block


def test_b2_a_causal_decoder_does_not_see_the_future_of_its_tokens_but_all_of_the_memory():
    block = make(Tokens(6, 8), Tokens(5, 8))
    x, memory = noise(1, 6, 8).requires_grad_(), noise(1, 5, 8, seed=2).requires_grad_()
    block(x, memory, context=Context())[0, 2].sum().backward()
    assert bool(x.grad[0, :3].any(1).all())
    assert not bool(x.grad[0, 3:].any())
    assert bool(memory.grad[0].any(1).all())


def test_b2_without_causal_and_positions_a_permutation_of_the_tokens_permutes_the_output():
    block = make(Tokens(6, 8), Tokens(5, 8), causal=False)
    x, memory, order = noise(2, 6, 8), noise(2, 5, 8, seed=2), torch.tensor([3, 0, 5, 1, 4, 2])
    permuted = block(x[:, order], memory[:, [4, 2, 0, 1, 3]], context=Context())
    torch.testing.assert_close(permuted, block(x, memory, context=Context())[:, order], atol=1e-5, rtol=1e-5)


def test_b2_each_of_the_three_parts_adds_to_the_residual_stream():
    writers = ("attend_self.project", "attend.project", "down")
    x, memory = noise(2, 4, 8), noise(2, 5, 6, seed=2)
    ports = (Tokens(4, 8), Tokens(5, 6))
    assert torch.equal(silenced(make(*ports), *writers)(x, memory, context=Context()), x)
    for alone in writers:
        block = silenced(make(*ports), *(part for part in writers if part != alone))
        assert not torch.allclose(block(x, memory, context=Context()), x, atol=1e-2)
    # Only the attention to the encoder reads the memory.
    block = silenced(make(*ports), "attend.project")
    assert torch.equal(block(x, memory, context=Context()), block(x, -memory, context=Context()))


def test_b2_chained_the_three_parts_are_the_input_and_both_attentions():
    block = silenced(make(Tokens(4, 8), Tokens(5, 6), chained=True, causal=False), "down")
    x, memory = noise(2, 4, 8), noise(2, 5, 6, seed=2)
    normed = block.norm_self(x)
    own = block.attend_self(normed, normed)
    read = block.attend(block.norm(own), block.norm_memory(memory))
    torch.testing.assert_close(block(x, memory, context=Context()), x + own + read, atol=1e-6, rtol=1e-6)
    serial = silenced(make(Tokens(4, 8), Tokens(5, 6), causal=False), "down")
    assert not torch.allclose(serial(x, memory, context=Context()), x + own + read, atol=1e-2)


def test_b2_agreement_with_the_decoder_of_torch():
    ours = make(Tokens(5, 8), Tokens(4, 8))
    theirs = torch.nn.TransformerDecoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    with torch.no_grad():
        for mine, other in ((ours.attend_self, theirs.self_attn), (ours.attend, theirs.multihead_attn)):
            other.in_proj_weight.copy_(torch.cat([mine.query.weight, mine.key_value.weight]))
            other.in_proj_bias.copy_(torch.cat([mine.query.bias, mine.key_value.bias]))
            other.out_proj.load_state_dict(mine.project.state_dict())
        theirs.linear1.load_state_dict(ours.up.state_dict())
        theirs.linear2.load_state_dict(ours.down.state_dict())
    x, memory = noise(3, 5, 8), noise(3, 4, 8, seed=2)
    # Torch normalises the memory outside of the layer.
    expected = theirs(x, ours.norm_memory(memory), tgt_mask=torch.ones(5, 5).triu(1).bool())
    torch.testing.assert_close(ours(x, memory, context=Context()), expected, atol=1e-5, rtol=1e-5)


def test_changes_at_its_sites_that_change_nothing_leave_the_bits():
    block, shapes = make(Tokens(5, 8), Tokens(4, 6)), {}

    def note(site):
        def change(value):
            shapes[site] = tuple(value.shape)
            return value

        return change

    x, memory = noise(2, 5, 8), noise(2, 4, 6, seed=2)
    context = Context().changed(block, {site: (note(site),) for site in block.sites})
    assert torch.equal(block(x, memory, context=context), block(x, memory, context=Context()))
    token = (2, 5, 8)
    assert shapes == {"self_attended": token, "attended": token, "inner": (2, 5, 32), "transformed": token}


def test_padding_in_front_stays_finite_and_changes_nothing():
    block = make(Tokens(None, 8), Tokens(4, 8))
    mask = torch.tensor([[False, False, True, True, True]])
    x, memory = noise(1, 5, 8), noise(1, 4, 8, seed=2)
    found = block(Masked(x, mask), memory, context=Context()).value
    assert bool(found.isfinite().all())
    alone = make(Tokens(3, 8), Tokens(4, 8))(x[:, 2:], memory, context=Context())
    torch.testing.assert_close(found[:, 2:], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"heads": 3}, "`heads` must divide the dim 8 of the tokens, found 3"),
        ({"heads": 2, "ff": 0}, "`ff` must be a whole number of at least 1, found 0"),
        ({"heads": 2, "causal": 1}, "`causal` must be true or false, found 1"),
        ({"heads": 2, "residual_scale": None}, "`residual_scale` must be a finite number"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("decoder", config), [Tokens(5, 8), Tokens(5, 8)])
