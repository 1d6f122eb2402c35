import torch

from pathways.modules.attention import Attention, causal_mask, draw_residual, fitting_heads


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_attention_of_torch():
    ours, theirs = Attention(8, 6, 2), torch.nn.MultiheadAttention(8, 2, kdim=6, vdim=6, batch_first=True)
    draw_residual(ours, (ours.project,), 0.5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs.q_proj_weight.copy_(ours.query.weight)
        theirs.k_proj_weight.copy_(ours.key_value.weight[:8])
        theirs.v_proj_weight.copy_(ours.key_value.weight[8:])
        theirs.in_proj_bias.zero_()
        theirs.out_proj.load_state_dict(ours.project.state_dict())
    x, memory = noise(3, 5, 8), noise(3, 4, 6, seed=2)
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2, [False] + [True] * 3])
    expected, _ = theirs(x, memory, memory, key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, memory, mask[:, None, None]), expected, atol=1e-6, rtol=1e-5)


def test_a_causal_mask_lets_each_place_read_itself_and_real_ones_before_it():
    mask = torch.tensor([[False, True, True, False], [True] * 4])
    found = causal_mask(4, mask, mask.device)
    assert found.shape == (2, 1, 4, 4)
    assert found[0, 0].int().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    assert torch.equal(found[1, 0], torch.ones(4, 4).tril().bool())
    assert torch.equal(causal_mask(4, None, mask.device)[0, 0], torch.ones(4, 4).tril().bool())


def test_what_writes_into_the_residual_stream_is_drawn_smaller():
    full, half = Attention(64, 64, 4), Attention(64, 64, 4)
    for layer, scale in ((full, 1.0), (half, 0.5)):
        draw_residual(layer, (layer.project,), scale, torch.Generator().manual_seed(0))
    assert torch.equal(half.project.weight, full.project.weight / 2)
    assert torch.equal(half.query.weight, full.query.weight)
    assert abs(float(full.query.weight.detach().std()) - 64**-0.5) < 5e-3
    assert not bool(full.query.bias.any())


def test_heads_divide_the_dim():
    assert [fitting_heads(dim) for dim in (1, 2, 3, 4, 6, 7, 30, 64)] == [1, 2, 3, 4, 3, 1, 3, 4]
