import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pathways.modules import Context, Image, ModuleSpec, PortError, Vector, build, facts
from pathways.testing import ModuleFamilySuite
from pathways.testing.module_family import assert_fits


class TestConv(ModuleFamilySuite):
    spec = ModuleSpec("conv", {"channels": 6, "pool": 2})
    ports = (Image(3, 7, 6),)
    refused = ((), (Vector(9),), (Image(3, 1, 8),))


class TestConvResidual(ModuleFamilySuite):
    spec = ModuleSpec("conv", {"channels": 3, "norm": "layer", "residual": True, "activation": "gelu"})
    ports = (Image(3, 5, 4),)


class TestConvProjected(ModuleFamilySuite):
    spec = ModuleSpec("conv", {"channels": 8, "norm": "group", "groups": 2, "residual": True, "stride": 2})
    ports = (Image(3, 5, 4),)


class TestConvBatchNorm(ModuleFamilySuite):
    spec = ModuleSpec("conv", {"channels": 4, "norm": "batch", "kernel": 5})
    ports = (Image(2, 6, 6),)


@settings(deadline=None, max_examples=60)
@given(
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 4),
    pool=st.integers(1, 3),
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    residual=st.booleans(),
    norm=st.sampled_from(["none", "batch", "group"]),
)
def test_the_port_is_the_real_shape(kernel, stride, pool, height, width, residual, norm):
    config = {
        "channels": 4,
        "kernel": kernel,
        "stride": stride,
        "pool": pool,
        "residual": residual,
        "norm": norm,
        "groups": 2,
    }
    try:
        conv = build(ModuleSpec("conv", config), [Image(3, height, width)], torch.Generator().manual_seed(0))
    except PortError:
        assert min(height, width) <= stride * (pool - 1)
        return
    assert_fits(conv(torch.zeros(2, 3, height, width), context=Context()), conv.output, 2)


def test_order_is_conv_norm_skip_activation_pool():
    config = {"channels": 4, "norm": "group", "groups": 2, "residual": True, "pool": 2}
    conv = build(ModuleSpec("conv", config), [Image(4, 6, 6)], torch.Generator().manual_seed(0))
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    y = F.group_norm(F.conv2d(x, conv.conv.weight, padding=1), 2)
    torch.testing.assert_close(conv(x, context=Context()), F.max_pool2d(F.relu(y + x), 2))


def test_the_bias_is_there_only_without_norm():
    counts = {
        norm: facts(ModuleSpec("conv", {"channels": 8, "norm": norm}), [Image(1, 4, 4)]).parameters
        for norm in ("none", "batch", "group", "layer")
    }
    assert counts == {"none": 72 + 8, "batch": 72 + 16, "group": 72 + 16, "layer": 72 + 16}


def test_batch_norm_takes_a_training_batch_of_one_pixel():
    conv = build(
        ModuleSpec("conv", {"channels": 2, "norm": "batch"}),
        [Image(3, 1, 1)],
        torch.Generator().manual_seed(0),
    )
    x = torch.ones(1, 3, 1, 1)
    trained = conv.train()(x, context=Context())
    assert torch.equal(trained, conv.eval()(x, context=Context()))
    before = conv.norm.running_mean.clone()
    conv.train()(torch.cat([x, -x, 3 * x]), context=Context())
    assert not torch.equal(conv.norm.running_mean, before)


def test_the_fresh_buffers_of_batch_norm_are_neutral():
    conv = build(
        ModuleSpec("conv", {"channels": 2, "norm": "batch"}),
        [Image(3, 4, 4)],
        torch.Generator().manual_seed(0),
    )
    assert conv.norm.running_mean.tolist() == [0.0, 0.0]
    assert conv.norm.running_var.tolist() == [1.0, 1.0]
    assert int(conv.norm.num_batches_tracked) == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": 4, "kernel": 4}, "`kernel` must be odd, found 4: use 3 or 5"),
        ({"channels": 4, "stride": 0}, "`stride` must be a whole number of at least 1, found 0"),
        ({"channels": 4, "norm": "instance"}, "`norm` must be one of .* found 'instance'"),
        ({"channels": 6, "norm": "group"}, "`groups` must divide `channels`, found 8 groups for 6 channels"),
        ({"channels": 4, "residual": 1}, "`residual` must be true or false, found 1"),
        (
            {"channels": 4, "pool": 9},
            r"pools by 9, but Image\(channels=3, height=8, width=8\) gives maps of 8 x 8",
        ),
    ],
)
def test_bad_settings_are_named(config, message):
    with pytest.raises(ValueError, match=message):
        build(ModuleSpec("conv", config), [Image(3, 8, 8)])


def test_a_norm_over_one_value_is_refused():
    with pytest.raises(PortError, match="cannot apply `group` norm to one value"):
        build(ModuleSpec("conv", {"channels": 8, "norm": "group"}), [Image(3, 1, 1)])
