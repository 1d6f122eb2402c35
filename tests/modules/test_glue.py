import pytest
import torch

from pathways.modules import Context, Ids, Image, Masked, ModuleSpec, PortError, Signal, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestFlatten(ModuleFamilySuite):
    spec = ModuleSpec("flatten")
    ports = (Image(2, 3, 4),)
    refused = ((), (Vector(3),), (Tokens(None, 4),), (Signal(2, None),))


class TestFlattenSignal(ModuleFamilySuite):
    spec = ModuleSpec("flatten")
    ports = (Signal(2, 5),)


class TestPool(ModuleFamilySuite):
    spec = ModuleSpec("pool")
    ports = (Image(3, 4, 5),)
    refused = ((), (Vector(3),), (Ids(4, 9),))


class TestPoolTokens(ModuleFamilySuite):
    spec = ModuleSpec("pool")
    ports = (Tokens(None, 4),)


class TestPoolMaxTokens(ModuleFamilySuite):
    spec = ModuleSpec("pool", {"over": "max"})
    ports = (Tokens(None, 4),)


class TestPoolSignal(ModuleFamilySuite):
    spec = ModuleSpec("pool", {"over": "max"})
    ports = (Signal(3, None),)


class TestConcat(ModuleFamilySuite):
    spec = ModuleSpec("concat")
    ports = (Vector(3), Vector(4))
    refused = (
        (),
        (Vector(3), Tokens(1, 3)),
        (Image(1, 2, 2), Image(1, 2, 3)),
        (Ids(3, 9), Ids(3, 9)),
        (Tokens(None, 3), Tokens(4, 3)),
        (Tokens(3, 3), Tokens(4, 3)),
    )


class TestConcatImages(ModuleFamilySuite):
    spec = ModuleSpec("concat")
    ports = (Image(3, 2, 2), Image(1, 2, 2))


class TestConcatLength(ModuleFamilySuite):
    spec = ModuleSpec("concat", {"axis": "length"})
    ports = (Tokens(2, 3), Tokens(None, 3), Tokens(None, 3))
    refused = ((Vector(3), Vector(3)), (Tokens(2, 3), Tokens(2, 4)))


class TestSlice(ModuleFamilySuite):
    spec = ModuleSpec("slice", {"start": 1, "stop": 3})
    ports = (Image(4, 2, 2),)
    refused = ((), (Vector(1),), (Ids(4, 9),))


class TestSliceTokens(ModuleFamilySuite):
    spec = ModuleSpec("slice", {"start": -2})
    ports = (Tokens(None, 5),)


class TestSliceLength(ModuleFamilySuite):
    spec = ModuleSpec("slice", {"start": 1, "axis": "length"})
    ports = (Tokens(3, 5),)
    refused = ((Vector(5),), (Tokens(1, 5),))


class TestDetach(ModuleFamilySuite):
    spec = ModuleSpec("detach")
    ports = (Tokens(None, 5),)


class TestScaleGradient(ModuleFamilySuite):
    spec = ModuleSpec("scale_gradient", {"factor": -0.5})
    ports = (Vector(4),)
    refused = ((), (Ids(4, 9),))


def make(family, ports, **config):
    return build(ModuleSpec(family, config), ports, torch.Generator().manual_seed(0))


X = torch.arange(12.0).reshape(2, 3, 2)
MASK = torch.tensor([[True, True, False], [True, False, False]])


def test_pool_sees_real_places_only():
    value = Masked(X, MASK)
    assert make("pool", [Tokens(None, 2)])(value, context=Context()).tolist() == [[1.0, 2.0], [6.0, 7.0]]
    found = make("pool", [Tokens(None, 2)], over="max")(value, context=Context())
    assert found.tolist() == [[2.0, 3.0], [6.0, 7.0]]
    signal = Masked(X.transpose(1, 2), MASK)
    assert make("pool", [Signal(2, None)])(signal, context=Context()).tolist() == [[1.0, 2.0], [6.0, 7.0]]


def test_pool_of_an_image():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    assert make("pool", [Image(1, 2, 2)])(image, context=Context()).tolist() == [[3.0]]
    assert make("pool", [Image(1, 2, 2)], over="max")(image, context=Context()).tolist() == [[6.0]]


def test_concat_joins_masks():
    a, b = Masked(X, MASK), X + 100
    joined = make("concat", [Tokens(None, 2), Tokens(3, 2)], axis="length")(a, b, context=Context())
    assert torch.equal(joined.value, torch.cat([X, X + 100], 1))
    assert joined.mask.tolist() == [
        [True, True, False, True, True, True],
        [True, False, False, True, True, True],
    ]
    other = Masked(X + 100, torch.tensor([[True, False, False], [True, True, True]]))
    features = make("concat", [Tokens(None, 2)] * 2)(a, other, context=Context())
    assert torch.equal(features.value, torch.cat([X, X + 100], 2))
    assert features.mask.tolist() == [[True, False, False], [True, False, False]]


@pytest.mark.parametrize(
    ("ports", "axis", "output"),
    [
        ([Vector(2), Vector(3), Vector(4)], "features", Vector(9)),
        ([Tokens(4, 2), Tokens(4, 3)], "features", Tokens(4, 5)),
        ([Tokens(None, 2), Tokens(None, 3)], "features", Tokens(None, 5)),
        ([Signal(2, None), Signal(3, None)], "features", Signal(5, None)),
        ([Image(2, 4, 5), Image(1, 4, 5)], "features", Image(3, 4, 5)),
        ([Tokens(4, 2), Tokens(5, 2)], "length", Tokens(9, 2)),
        ([Tokens(4, 2), Tokens(None, 2)], "length", Tokens(None, 2)),
        ([Vector(2)], "features", Vector(2)),
    ],
)
def test_output_ports_of_concat(ports, axis, output):
    assert make("concat", ports, axis=axis).output == output


def test_slice_undoes_concat():
    joined = make("concat", [Tokens(2, 2), Tokens(None, 2)], axis="length")(
        X[:, :2], Masked(X, MASK), context=Context()
    )
    rest = make("slice", [Tokens(None, 2)], start=2, axis="length")(joined, context=Context())
    assert torch.equal(rest.value, X)
    assert torch.equal(rest.mask, MASK)
    assert make("slice", [Tokens(3, 2)], start=1)(X, context=Context()).tolist() == X[:, :, 1:].tolist()
    assert make("slice", [Vector(5)], stop=-1).output == Vector(4)


def test_an_empty_slice_is_refused():
    with pytest.raises(PortError, match=r"keeps nothing of Vector\(dim=3\) from 2 to 2"):
        make("slice", [Vector(3)], start=2, stop=2)


def test_detach_and_scaled_gradients():
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert not make("detach", [Vector(3)])(x, context=Context()).requires_grad
    y = make("scale_gradient", [Vector(3)], factor=-0.25)(x, context=Context())
    assert torch.equal(y, x)
    y.sum().backward()
    assert torch.equal(x.grad, torch.full((4, 3), -0.25))


@pytest.mark.parametrize(
    ("family", "config", "message"),
    [
        ("pool", {"over": "median"}, "`over` must be one of .* found 'median'"),
        ("concat", {"axis": "channels"}, "`axis` must be one of .* found 'channels'"),
        ("slice", {"start": 0.5}, "`start` must be a whole number, found 0.5"),
        ("slice", {"stop": True}, "`stop` must be a whole number, found True"),
        ("scale_gradient", {"factor": float("inf")}, "`factor` must be a finite number, found inf"),
    ],
)
def test_bad_settings_are_named(family, config, message):
    with pytest.raises(ValueError, match=message):
        make(family, [Tokens(3, 4)], **config)
