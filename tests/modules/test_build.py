from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pathways.modules import (
    Context,
    Delta,
    Draft,
    Facts,
    Families,
    Module,
    ModuleSpec,
    PortError,
    Vector,
    build,
    facts,
)
from pathways.modules.module import initialise_layer
from pathways.testing import ModuleFamilySuite


class Doubled(Module):
    """Adds to its input what its part `inner` makes of it."""

    family = "doubled"
    version = 3

    def __init__(self, ports, *, parts):
        super().__init__()
        self.parts = dict(parts)
        self.output = ports[0]
        if len(ports) != 1 or self.parts["inner"].output != ports[0]:
            raise PortError("family `doubled` needs a part of its own port")

    def forward(self, *inputs: Any, context: Context) -> Any:
        return inputs[0] + self.parts["inner"](*inputs, context=context)

    def flops(self) -> int:
        return self.parts["inner"].flops()

    @classmethod
    def part_ports(cls, ports, config) -> Callable[[str], tuple]:
        return lambda name: ports[:1]


PARTS = {"inner": Draft("d", ModuleSpec("linear", {"dim": 4}))}


class TestFamilyWithParts(ModuleFamilySuite):
    spec = ModuleSpec("doubled", version=3, parts=PARTS)
    ports = (Vector(4),)
    families = Families([Doubled])


def test_facts_allocate_nothing_and_count_no_parts():
    spec = ModuleSpec("doubled", version=3, parts=PARTS)
    assert facts(spec, [Vector(4)], families=Families([Doubled])) == Facts(Vector(4), 0, 0, 32)
    huge = facts(ModuleSpec("linear", {"dim": 10**6}), [Vector(10**6)])
    assert huge == Facts(Vector(10**6), 10**12 + 10**6, 0, 2 * 10**12)


class Scaled(Module):
    """As many parameters as its setting asks for: a whole number of them, a share of the input, or one."""

    family = "scaled"

    def __init__(self, ports, *, amount):
        super().__init__()
        self.output = ports[0]
        n = 1 if amount is True else amount if isinstance(amount, int) else round(amount * ports[0].dim)
        self.weight = nn.Parameter(torch.empty(n))


@pytest.mark.parametrize("order", [(2, 2.0), (2.0, 2)])
def test_facts_tell_settings_apart_that_are_equal_numbers(order):
    families = Families([Scaled])
    found = [facts(ModuleSpec("scaled", {"amount": amount}), [Vector(4)], families=families) for amount in order]
    assert [f.parameters for f in found] == [2 if isinstance(amount, int) else 8 for amount in order]
    one, yes, share = (ModuleSpec("scaled", {"amount": amount}) for amount in (1, True, 1.0))
    assert one == yes == share
    assert len({one.canonical, yes.canonical, share.canonical}) == 3
    assert facts(one, [Vector(4)], families=families).parameters == 1
    assert facts(share, [Vector(4)], families=families).parameters == 4


def test_facts_of_hosts_that_are_equal_numbers_are_told_apart():
    families = Families([Scaled, Sized])
    counts = [
        facts(ModuleSpec("sized"), [], host=(ModuleSpec("scaled", {"amount": amount}), (Vector(4),)), families=families)
        for amount in (2, 2.0)
    ]
    assert [found.parameters for found in counts] == [2, 8]


class Sized(Delta):
    """As many parameters as its host has."""

    family = "sized"

    def __init__(self, host):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(sum(p.numel() for p in host.parameters())))


def test_facts_reach_parts_of_parts():
    inner = ModuleSpec("doubled", version=3, parts=PARTS)
    outer = ModuleSpec("doubled", version=3, parts={"inner": Draft("e", inner)})
    families = Families([Doubled, Sized])
    assert facts(outer, [Vector(4)], families=families) == Facts(Vector(4), 0, 0, 32)
    delta = facts(ModuleSpec("sized"), [], host=(outer, (Vector(4),)), families=families)
    assert delta == Facts(None, 0, 0, 0)
    wrong = ModuleSpec("doubled", version=3, parts={"inner": Draft("f", ModuleSpec("linear", {"dim": 5}))})
    with pytest.raises(PortError, match="needs a part of its own port"):
        facts(ModuleSpec("doubled", version=3, parts={"inner": Draft("e", wrong)}), [Vector(4)], families=families)


def test_another_version_is_refused():
    with pytest.raises(
        ValueError, match="`linear` is at version 1 here and at version 2 in the spec: use the release"
    ):
        build(ModuleSpec("linear", {"dim": 3}, version=2), [Vector(4)])


def test_without_a_generator_nothing_is_allocated():
    module = build(ModuleSpec("linear", {"dim": 3}), [Vector(4)])
    assert all(parameter.is_meta for parameter in module.parameters())


def test_layers_are_initialised_inside_containers_and_to_neutral_norms():
    layers = nn.Sequential(nn.Linear(200, 100), nn.Sequential(nn.LayerNorm(3), nn.BatchNorm1d(2)))
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.fill_(9.0)
    layers[1][1].running_mean.fill_(9.0)
    initialise_layer(layers, torch.Generator().manual_seed(0))
    assert float(layers[0].weight.detach().std()) == pytest.approx((2 / 200) ** 0.5, rel=0.05)
    assert not layers[0].bias.any()
    for norm in layers[1]:
        assert norm.weight.tolist() == [1.0] * len(norm.weight)
        assert not norm.bias.any()
    assert not layers[1][1].running_mean.any()


def test_the_base_class_cannot_run():
    with pytest.raises(TypeError, match="Module is abstract: call a module family"):
        Module()(context=Context())


def test_losses_of_a_pass_are_summed():
    context = Context()
    assert context.total_loss() is None
    context.add_loss("a", torch.tensor(1.0))
    context.add_loss("b", torch.tensor(0.5))
    assert float(context.total_loss()) == 1.5
