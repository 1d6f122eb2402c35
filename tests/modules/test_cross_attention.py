import pytest
import torch

from pathways.modules import Context, Masked, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestCrossAttention(ModuleFamilySuite):
    spec = ModuleSpec("cross_attention", {"heads": 2})
    ports = (Tokens(3, 8), Tokens(5, 6))
    refused = ((), (Tokens(3, 8),), (Tokens(3, 8), Vector(8)), (Tokens(3, 8),) * 3)


class TestCrossAttentionMasked(ModuleFamilySuite):
    spec = ModuleSpec("cross_attention", {"heads": 4})
    ports = (Tokens(None, 8), Tokens(None, 8))


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(*ports, **config):
    return build(ModuleSpec("cross_attention", {"heads": 2, **config}), ports, torch.Generator().manual_seed(0)).eval()


def test_t17_the_output_is_the_norm_of_the_sum():
    module, x, memory = made(Tokens(3, 8), Tokens(5, 8)), noise(2, 3, 8), noise(2, 5, 8, seed=1)
    found = module(x, memory, context=Context())
    torch.testing.assert_close(found.mean(-1), torch.zeros(2, 3), atol=1e-6, rtol=0)  # normalised last
    with torch.no_grad():
        module.project.weight.zero_()
    torch.testing.assert_close(module(x, memory, context=Context()), module.norm(x))


def test_agreement_with_torch():
    module, x, memory = made(Tokens(3, 8), Tokens(5, 8)), noise(2, 3, 8), noise(2, 5, 8, seed=1)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([module.query.weight, module.key_value.weight]))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.load_state_dict(module.project.state_dict())
    read = theirs(x, memory, memory, need_weights=False)[0]
    torch.testing.assert_close(module(x, memory, context=Context()), module.norm(x + read), atol=1e-5, rtol=1e-5)


def test_padded_places_are_not_read():
    module, fixed = made(Tokens(3, 8), Tokens(None, 8)), made(Tokens(3, 8), Tokens(4, 8))
    x, memory = noise(1, 3, 8), noise(1, 6, 8, seed=1)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    found = module(x, Masked(memory, mask), context=Context())
    torch.testing.assert_close(found, fixed(x, memory[:, :4], context=Context()), atol=1e-5, rtol=1e-5)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match="`heads` must divide the dim 8 of the tokens, found 3"):
        made(Tokens(3, 8), Tokens(3, 8), heads=3)
