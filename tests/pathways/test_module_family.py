"""The suites themselves: they pass a good family, and each check fails for one that breaks its rule."""

import contextlib
from unittest import SkipTest

import pytest
import torch
from torch import nn

from pathways.modules import Delta, Families, Masked, Module, ModuleSpec, Tokens, Vector
from pathways.modules.module import one_port
from pathways.modules.ports import like, split
from pathways.modules.stacked import Stack, affine
from pathways.testing import DeltaFamilySuite, ModuleFamilySuite


class Good(Module):
    """Linear on vectors or tokens, written as a user would."""

    family = "good"

    def __init__(self, ports):
        super().__init__()
        port = one_port(self.family, ports, Vector, Tokens)
        self.linear = nn.Linear(port.dim, port.dim)
        self.output = port

    def forward(self, *inputs, context):
        return like(inputs[0], self.linear(split(inputs[0])[0]))

    def flops(self):
        rows = 32 if isinstance(self.output, Tokens) else 1
        return 2 * rows * self.linear.in_features**2


class Stacks(Good):
    stacks = ("cpu",)

    def stacked(self, stack, *inputs):
        return affine(stack, "linear", inputs[0])


class StacksWithoutBias(Good):
    stacks = ("cpu",)

    def stacked(self, stack, *inputs):
        return affine(Stack({"linear.weight": stack["linear.weight"]}), "linear", inputs[0])


class StacksOneForAll(Good):
    stacks = ("cpu",)

    def stacked(self, stack, *inputs):
        first = {name: tensor[:1, :1].expand_as(tensor) for name, tensor in stack.tensors.items()}
        return affine(Stack(first), "linear", inputs[0])


class WrongPort(Good):
    def forward(self, *inputs, context):
        return super().forward(*inputs, context=context)[:, :2]


class WrongFlops(Good):
    def flops(self):
        return 7


class FarTooManyFlops(Good):
    def flops(self):
        return 1000 * super().flops()


class TakesAnything(Good):
    def __init__(self, ports):
        super().__init__(ports[:1])


class GlobalNoise(Good):
    def forward(self, *inputs, context):
        return super().forward(*inputs, context=context) + torch.rand(())


class GlobalInit(Good):
    def initialise(self, generator):
        nn.init.normal_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)


class ConstantInit(Good):
    def initialise(self, generator):
        nn.init.ones_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)


class UnusedParameter(Good):
    def __init__(self, ports):
        super().__init__(ports)
        self.spare = nn.Linear(2, 2)


class MixesSamples(Good):
    def forward(self, *inputs, context):
        y = super().forward(*inputs, context=context)
        return y - y.mean(0)


class WritesToItsInput(Good):
    def forward(self, *inputs, context):
        inputs[0].mul_(2)
        return super().forward(*inputs, context=context)


class CountsPasses(Good):
    def __init__(self, ports):
        super().__init__(ports)
        self.register_buffer("passes", torch.zeros(1))

    def initialise(self, generator):
        super().initialise(generator)
        self.passes.zero_()

    def forward(self, *inputs, context):
        self.passes += 1
        return super().forward(*inputs, context=context)


class HiddenState(Good):
    def initialise(self, generator):
        super().initialise(generator)
        self.scale = 2.0

    def forward(self, *inputs, context):
        return getattr(self, "scale", 1.0) * super().forward(*inputs, context=context)


class SeesPadding(Good):
    def forward(self, *inputs, context):
        y = super().forward(*inputs, context=context)
        return Masked(y.value - y.value.mean(1, keepdim=True), y.mask)


class FitsWhatItCannotRead(Good):
    @classmethod
    def fitting(cls, ports):
        return {}


class FitsWithUnknownSettings(Good):
    @classmethod
    def fitting(cls, ports):
        return {"dim": 3} if all(isinstance(port, Vector) for port in ports) else None


class Stuck(Good):
    def forward(self, *inputs, context):
        return like(inputs[0], self.linear(split(inputs[0])[0]).detach() + 0 * self.linear.bias.sum())


class ThirtyTwoBits(Good):
    def forward(self, *inputs, context):
        return like(inputs[0], super().forward(*inputs, context=context).float())


class DropsTheMask(Good):
    def forward(self, *inputs, context):
        return self.linear(split(inputs[0])[0])


def suite_of(cls, port=None):
    """A suite about `cls`."""
    found = ModuleFamilySuite()
    found.spec, found.ports, found.families = ModuleSpec("good"), (port or Vector(4),), Families([cls])
    return found


def checks(suite):
    return [name for name in dir(suite) if name.startswith("test_")]


@pytest.mark.parametrize("cls", [Good, Stacks])
@pytest.mark.parametrize("port", [Vector(4), Tokens(32, 4), Tokens(None, 4)], ids=str)
def test_a_good_family_passes(cls, port):
    suite = suite_of(cls, port)
    assert len(checks(suite)) == 21
    for check in checks(suite):
        with contextlib.suppress(SkipTest):
            getattr(suite, check)()


@pytest.mark.parametrize(
    ("cls", "port", "check"),
    [
        (WrongPort, Vector(4), "test_output_fits_its_port"),
        (DropsTheMask, Tokens(None, 4), "test_output_fits_its_port"),
        (WrongFlops, Vector(4), "test_flops_cover_the_products_of_one_sample"),
        (FarTooManyFlops, Vector(4), "test_flops_cover_the_products_of_one_sample"),
        (TakesAnything, Vector(4), "test_ports_that_do_not_fit_are_refused"),
        (GlobalNoise, Vector(4), "test_global_generators_are_left_alone"),
        (GlobalNoise, Vector(4), "test_noise_comes_from_the_context"),
        (GlobalInit, Vector(4), "test_equal_seeds_give_equal_bytes"),
        (GlobalInit, Vector(4), "test_global_generators_are_left_alone"),
        (ConstantInit, Vector(4), "test_other_seeds_give_other_weights"),
        (UnusedParameter, Vector(4), "test_gradients_reach_all_parameters"),
        (MixesSamples, Vector(4), "test_a_batch_gives_what_its_samples_give"),
        (FitsWhatItCannotRead, Vector(4), "test_what_fitting_gives_for_other_ports_fits_too"),
        (FitsWithUnknownSettings, Vector(4), "test_what_fitting_gives_fits"),
        (Stuck, Vector(4), "test_it_learns"),
        (ThirtyTwoBits, Vector(4), "test_it_computes_in_64_bits"),
        (SeesPadding, Tokens(None, 4), "test_padding_does_not_matter"),
        (WritesToItsInput, Vector(4), "test_evaluation_changes_nothing"),
        (CountsPasses, Vector(4), "test_evaluation_changes_nothing"),
        (HiddenState, Vector(4), "test_saved_weights_give_the_same_module"),
        (StacksWithoutBias, Vector(4), "test_a_stack_gives_what_its_modules_give"),
        (StacksOneForAll, Tokens(32, 4), "test_a_stack_gives_what_its_modules_give"),
    ],
)
def test_a_broken_family_is_caught(cls, port, check):
    with pytest.raises((AssertionError, ValueError)):
        getattr(suite_of(cls, port), check)()


class Shift(Delta):
    """Adds a learned number to the outputs."""

    family = "shift"
    start = 0.0

    def __init__(self, host):
        super().__init__()
        self.by = nn.Parameter(torch.empty(1))

    def initialise(self, generator):
        nn.init.constant_(self.by, self.start)

    def around(self, call, *inputs, context):
        return call(*inputs, context=context) + self.by


class Loud(Shift):
    start = 1.0


class LoudWhereFitted(Loud):
    @classmethod
    def fitting(cls, host):
        return {}


class Stiff(Shift):
    def around(self, call, *inputs, context):
        return call(*inputs, context=context) + self.by.detach() + 0 * self.by


class Silent(Shift):
    def around(self, call, *inputs, context):
        return call(*inputs, context=context)


def delta_suite_of(cls):
    found = DeltaFamilySuite()
    found.spec, found.host, found.ports = ModuleSpec("shift"), ModuleSpec("linear", {"dim": 3}), (Vector(4),)
    found.families = Families([cls])
    found.draws = False
    return found


def test_a_good_delta_passes():
    suite = delta_suite_of(Shift)
    assert len(checks(suite)) >= 13
    for check in checks(suite):
        with contextlib.suppress(SkipTest):
            getattr(suite, check)()


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (Loud, "test_the_neutral_condition_is_exact"),
        (Silent, "test_training_changes_the_output"),
        (Stiff, "test_it_learns_and_the_host_stays"),
        (LoudWhereFitted, "test_its_fitting_configuration_is_neutral"),
    ],
)
def test_a_broken_delta_is_caught(cls, check):
    with pytest.raises(AssertionError):
        getattr(delta_suite_of(cls), check)()
