import pytest
import torch
from torch.nn import functional as F

from pathways.modules import Context, Image, ModuleSpec, PortError, Signal, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestSeparableConv(ModuleFamilySuite):
    spec = ModuleSpec("separable_conv", {"channels": 5, "activation": "relu", "norm": True})
    ports = (Image(3, 6, 5),)
    refused = ((), (Vector(8),), (Image(3, 6, 5),) * 2)
    flop_share = 1.0  # a third of the channels' products is for so few of them no longer small


class TestSeparableConvTokens(ModuleFamilySuite):
    spec = ModuleSpec("separable_conv", {"dilation": 2, "causal": True})
    ports = (Tokens(None, 6),)


class TestSeparableConvSignal(ModuleFamilySuite):
    spec = ModuleSpec("separable_conv", {"kernel": 5, "padding": "ring"})
    ports = (Signal(4, 9),)


class TestSeparableBlock(ModuleFamilySuite):
    spec = ModuleSpec("separable_block", {"kernels": [3, 3], "dilations": [1, 2]})
    ports = (Image(3, 6, 6),)


class TestSeparableBlockTokens(ModuleFamilySuite):
    spec = ModuleSpec("separable_block", {"causal": True})
    ports = (Tokens(None, 6),)


class TestSeparableBlockSignal(ModuleFamilySuite):
    spec = ModuleSpec("separable_block", {"kernels": [3, 3, 5, 5]})
    ports = (Signal(6, None),)


def make(family, port, **config):
    return build(ModuleSpec(family, config), [port], torch.Generator().manual_seed(0)).eval()


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_b4_it_equals_the_dense_convolution_with_the_factored_kernel():
    module, x = make("separable_conv", Image(3, 7, 7), channels=5, kernel=3, dilation=2), noise(2, 3, 7, 7)
    depthwise, pointwise = module.conv.depthwise.weight, module.conv.pointwise
    dense = pointwise.weight * depthwise[:, 0][None]  # (out, in, 1, 1) by (1, in, 3, 3)
    expected = F.conv2d(x, dense, pointwise.bias, padding=2, dilation=2)
    torch.testing.assert_close(module(x, context=Context()), expected, atol=1e-5, rtol=1e-5)


def test_b4_along_a_length_too():
    module, x = make("separable_conv", Signal(3, 9), channels=5, kernel=5), noise(2, 3, 9)
    dense = module.conv.pointwise.weight * module.conv.depthwise.weight[:, 0][None]
    expected = F.conv1d(x, dense, module.conv.pointwise.bias, padding=2)
    torch.testing.assert_close(module(x, context=Context()), expected, atol=1e-5, rtol=1e-5)
    tokens = make("separable_conv", Tokens(9, 3), channels=5, kernel=5)
    tokens.load_state_dict(module.state_dict())
    torch.testing.assert_close(tokens(x.transpose(1, 2), context=Context()), expected.transpose(1, 2))


@pytest.mark.parametrize("shift", [1, 3])
def test_b3_on_a_ring_the_block_commutes_with_translations(shift):
    x = noise(2, 4, 12, 12)
    config = {"kernels": [3, 3, 5, 5], "dilations": [1, 1, 1, 3], "padding": "ring"}
    ring = make("separable_block", Image(4, 12, 12), **config)
    moved = ring(x.roll((shift, 2), (2, 3)), context=Context())
    torch.testing.assert_close(moved, ring(x, context=Context()).roll((shift, 2), (2, 3)), atol=1e-5, rtol=1e-5)
    edged = make("separable_block", Image(4, 12, 12), **{**config, "padding": "zeros"})
    moved = edged(x.roll((shift, 2), (2, 3)), context=Context())
    assert not torch.allclose(moved, edged(x, context=Context()).roll((shift, 2), (2, 3)), atol=1e-3)


def test_b3_the_block_is_two_residuals_of_two_steps_each():
    block, x = make("separable_block", Tokens(40, 6)), noise(2, 40, 6)
    assert [step.depthwise.kernel_size for step in block.steps] == [(3,), (3,), (15,), (15,)]
    assert [step.depthwise.dilation for step in block.steps] == [(1,), (1,), (1,), (8,)]

    def step(i, value):
        conv = block.steps[i]
        y = F.pad(F.relu(value), conv.sides)
        y = conv.pointwise(conv.depthwise(y)).transpose(1, 2)
        return F.layer_norm(y, (6,), conv.norm.weight, conv.norm.bias).transpose(1, 2)

    first = x.transpose(1, 2)
    middle = first + step(1, step(0, first))
    expected = first + step(3, step(2, middle))
    torch.testing.assert_close(block(x, context=Context()).transpose(1, 2), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kernel", [3, 5, 15])
def test_b3_it_has_fewer_weights_and_products_than_a_dense_convolution(kernel):
    port = Image(16, 8, 8)
    separable = facts(ModuleSpec("separable_conv", {"kernel": kernel}), [port])
    dense = facts(ModuleSpec("conv", {"channels": 16, "kernel": kernel}), [port])
    assert separable.parameters == 16 * kernel**2 + 16 * 16 + 16
    assert dense.parameters == 16 * 16 * kernel**2 + 16
    assert separable.flops * 4 < dense.flops


def test_b3_a_block_starts_as_the_identity_where_evolution_puts_it():
    port, x = Image(4, 6, 6), noise(2, 4, 6, 6)
    block = make("separable_block", port)
    assert torch.equal(make("separable_block", port, **type(block).fitting((port,)))(x, context=Context()), x)


def test_causal_reads_only_what_came_before():
    block, x = make("separable_block", Tokens(9, 4), causal=True), noise(16, 9, 4).requires_grad_()
    (block(x, context=Context())[:, 4] * noise(4, seed=2)).sum().backward()  # the sum alone is a norm's constant
    assert x.grad.any(2).any(0).tolist() == [True] * 5 + [False] * 4


@pytest.mark.parametrize(
    ("family", "port", "config", "message"),
    [
        ("separable_conv", Image(3, 6, 6), {"kernel": 4}, "`kernel` must be odd, found 4: use 3 or 5"),
        ("separable_conv", Image(3, 6, 6), {"causal": True}, "`causal` must be false for images"),
        ("separable_conv", Signal(3, 6), {"padding": "reflect"}, r"`padding` must be one of \['zeros', 'ring'\]"),
        ("separable_conv", Signal(3, 6), {"dilation": 0}, "`dilation` must be a whole number of at least 1, found 0"),
        ("separable_block", Signal(3, 6), {"kernels": [3]}, "must be two lists of one even length, found"),
        ("separable_block", Signal(3, 6), {"dilations": [1, 1]}, "must be two lists of one even length, found"),
    ],
)
def test_bad_settings_are_named(family, port, config, message):
    with pytest.raises(ValueError, match=message):
        make(family, port, **config)


@pytest.mark.parametrize("port", [Tokens(None, 4), Tokens(3, 4), Image(4, 9, 3)], ids=str)
def test_a_ring_needs_places(port):
    with pytest.raises(PortError, match="`padding` ring needs fixed sizes of at least 4 places"):
        make("separable_conv", port, kernel=9, padding="ring")
