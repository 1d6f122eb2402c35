import pytest
import torch

from pathways.modules import Context, Masked, ModuleSpec, PortError, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestAnyLength(ModuleFamilySuite):
    spec = ModuleSpec("any_length")
    ports = (Tokens(4, 3),)
    refused = ((), (Vector(3),), (Tokens(4, 3), Tokens(4, 3)))


class TestAnyLengthMasked(ModuleFamilySuite):
    spec = ModuleSpec("any_length")
    ports = (Tokens(None, 3),)


class TestShiftRight(ModuleFamilySuite):
    spec = ModuleSpec("shift_right")
    ports = (Tokens(4, 3),)
    refused = ((), (Vector(3),), (Tokens(4, 3), Tokens(2, 3)), (Tokens(4, 3), Tokens(1, 2)), (Tokens(4, 3),) * 3)


class TestShiftRightFromAStart(ModuleFamilySuite):
    spec = ModuleSpec("shift_right")
    ports = (Tokens(None, 3), Tokens(1, 3))


def run(family, ports, *values):
    return build(ModuleSpec(family), ports, torch.Generator())(*values, context=Context())


def test_all_places_of_a_fixed_length_are_real():
    x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    value = run("any_length", [Tokens(4, 3)], x)
    assert torch.equal(value.value, x)
    assert bool(value.mask.all())
    masked = Masked(x, torch.tensor([[True] * 3 + [False], [True] * 4]))
    assert run("any_length", [Tokens(None, 3)], masked).mask is masked.mask


def test_t9_each_place_gets_the_one_before():
    x = torch.arange(1.0, 7.0).reshape(2, 3, 1)
    assert run("shift_right", [Tokens(3, 1)], x).flatten(1).tolist() == [[0, 1, 2], [0, 4, 5]]
    start = torch.full((1, 1, 1), 9.0)
    assert run("shift_right", [Tokens(3, 1), Tokens(1, 1)], x, start).flatten(1).tolist() == [[9, 1, 2], [9, 4, 5]]


def test_padding_in_front_is_not_shifted_in():
    x = torch.tensor([[[7.0], [1.0], [2.0]]])
    mask = torch.tensor([[False, True, True]])
    value = run("shift_right", [Tokens(None, 1)], Masked(x, mask))
    assert value.value[mask].flatten().tolist() == [0.0, 1.0]


def test_a_start_must_be_one_token_of_the_same_dim():
    with pytest.raises(PortError, match=r"reads Tokens, and Tokens of length 1 and its dim, found \(Tokens"):
        build(ModuleSpec("shift_right"), [Tokens(4, 3), Tokens(2, 3)])
