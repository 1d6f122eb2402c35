import pytest
import torch

from pathways.modules import Context, Image, Masked, ModuleSpec, Signal, Tokens, build
from pathways.testing import ModuleFamilySuite


class TestDilatedConv(ModuleFamilySuite):
    spec = ModuleSpec("dilated_conv", {"depth": 2})
    ports = (Tokens(None, 6),)
    refused = ((), (Image(3, 4, 4),), (Tokens(4, 6),) * 2)


class TestDilatedConvSignal(ModuleFamilySuite):
    spec = ModuleSpec("dilated_conv", {"depth": 3, "causal": False, "hidden": 5})
    ports = (Signal(4, 7),)


def make(port, **config):
    return build(ModuleSpec("dilated_conv", config), [port], torch.Generator().manual_seed(0)).eval()


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def support(module, length, dim, place):
    """Which places the output at `place` depends on."""
    x = noise(4, length, dim).requires_grad_()
    module(x, context=Context())[:, place].sum().backward()
    return x.grad.abs().amax((0, 2)).nonzero().flatten().tolist()


@pytest.mark.parametrize(("depth", "kernel"), [(1, 3), (2, 3), (3, 2), (3, 3), (4, 2)])
def test_b6_the_gradient_says_that_the_receptive_field_is_the_sum_over_dilations(depth, kernel):
    field = 1 + (kernel - 1) * sum(2**i for i in range(depth))
    module = make(Tokens(40, 8), depth=depth, kernel=kernel)
    assert support(module, 40, 8, 35) == list(range(36 - field, 36))


def test_b6_without_causal_it_looks_both_ways():
    reach = sum(2**i for i in range(3))
    found = support(make(Tokens(40, 8), depth=3, causal=False), 40, 8, 20)
    assert found == list(range(20 - reach, 20 + reach + 1))


def test_b6_a_residual_scale_of_zero_starts_as_the_identity():
    x = noise(2, 9, 6)
    assert torch.equal(make(Tokens(9, 6), residual_scale=0.0)(x, context=Context()), x)


def test_padding_reads_as_the_border_does():
    masked, fixed, x = make(Tokens(None, 6), causal=False), make(Tokens(4, 6), causal=False), noise(1, 6, 6)
    mask = torch.tensor([[True] * 4 + [False] * 2])
    found = masked(Masked(x, mask), context=Context()).value[:, :4]
    torch.testing.assert_close(found, fixed(x[:, :4], context=Context()), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depth": 0}, "`depth` must be a whole number of at least 1, found 0"),
        ({"kernel": 2, "causal": False}, "`kernel` must be odd where it is not causal, found 2"),
        ({"hidden": 0}, "`hidden` must be a whole number of at least 1, found 0"),
        ({"residual_scale": "1"}, "`residual_scale` must be a finite number"),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        make(Tokens(5, 8), **config)
