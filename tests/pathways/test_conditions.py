"""Conditions of deltas, gates of routers, and modules that a sparse router does not run."""

from typing import ClassVar

import pytest
import torch

from pathways.assemble import PathModule
from pathways.errors import PathError
from pathways.modules import (
    Context,
    Delta,
    Draft,
    Families,
    Init,
    Module,
    ModuleSpec,
    Vector,
)
from pathways.path import DeltaRef, Path, Step


class Counted(Module):
    """`x + number`, which counts the samples that it sees."""

    family = "counted"
    sites = ("sum",)
    seen: ClassVar[dict[int, int]] = {}

    def __init__(self, ports, *, number):
        super().__init__()
        self.output, self.number = ports[0], number
        self.weight = torch.nn.Parameter(torch.empty(()))

    def initialise(self, generator):
        torch.nn.init.constant_(self.weight, self.number)

    def forward(self, *inputs, context):
        self.seen[self.number] = self.seen.get(self.number, 0) + len(inputs[0])
        return context.at(self, "sum", inputs[0] + self.weight)

    def flops(self):
        return 10 * self.number


class First(Module):
    """A router that gives all its weight to the module that the first number of its input names."""

    family = "first"
    active = 1

    def __init__(self, ports, *, modules):
        super().__init__()
        self.output, self.modules_ = Vector(modules), modules

    def forward(self, *inputs, context):
        return torch.nn.functional.one_hot(inputs[0][:, 0].long(), self.modules_).float()


class Times(Delta):
    """Multiplies the host's sum by its condition."""

    family = "times"

    def __init__(self, host, ports):
        super().__init__()
        self.dim = ports[0].dim

    def inside(self, *condition):
        return {"sum": lambda value: value * condition[0]}


class AroundTimes(Delta):
    """The same around the host."""

    family = "around_times"

    def __init__(self, host, ports):
        super().__init__()

    def around(self, call, *inputs, context, **condition):
        return call(*inputs, context=context) * condition["condition"][0]


FAMILIES = Families([Counted, First, Times, AroundTimes])


def draft(name, family, **config):
    return Draft(name, ModuleSpec(family, config), Init())


def assembled(path):
    return PathModule(path, lambda ref: torch.Generator().manual_seed(0), FAMILIES)


def routed(gate=("task",), count=3):
    modules = tuple(draft(f"m{i}", "counted", number=i + 1) for i in range(count))
    step = Step(modules, ("x",), draft("r", "first", modules=count), gate=gate)
    return Path({"x": Vector(2), "task": Vector(1)}, {"out": step}, "out")


def conditioned(family="times", read="task"):
    step = Step((draft("m", "counted", number=1),), ("x",), deltas=(DeltaRef(0, draft("d", family), (read,)),))
    return Path({"x": Vector(2), "task": Vector(1), "other": Vector(1)}, {"out": step}, "out")


def test_a_gate_decides_by_what_the_modules_do_not_see():
    x = torch.zeros(4, 2)
    found = assembled(routed())({"x": x, "task": torch.tensor([[0.0], [2.0], [2.0], [1.0]])})
    assert found[:, 0].tolist() == [1.0, 3.0, 3.0, 2.0]


def test_behind_a_sparse_router_each_module_runs_on_its_own_samples():
    Counted.seen.clear()
    path = assembled(routed())
    path({"x": torch.zeros(4, 2), "task": torch.tensor([[0.0], [2.0], [2.0], [2.0]])})
    assert Counted.seen == {1: 1, 3: 3}


def test_sparse_and_dense_give_the_same_values_and_gradients():
    x, task = torch.randn(5, 2, generator=torch.Generator().manual_seed(1)), torch.tensor([[0.0], [1], [1], [2], [0]])
    grads = []
    for active in (1, None):
        module = assembled(routed())
        module.module_of(next(ref for ref in module.path.refs() if ref.name == "r")).active = active
        out = module({"x": x, "task": task})
        out.square().sum().backward()
        grads.append([out.detach(), *(p.grad for p in module.parameters())])
    for sparse, dense in zip(*grads, strict=True):
        torch.testing.assert_close(sparse, dense)


def test_a_sparse_router_is_charged_for_the_modules_that_run():
    assert routed().costs(FAMILIES).flops == 30  # the dearest of 10, 20 and 30


@pytest.mark.parametrize("family", ["times", "around_times"])
def test_a_delta_reads_its_condition(family):
    x, task = torch.ones(3, 2), torch.tensor([[1.0], [2.0], [5.0]])
    found = assembled(conditioned(family))({"x": x, "task": task, "other": task})
    assert found[:, 0].tolist() == [2.0, 4.0, 10.0]


def test_what_a_gate_or_a_delta_reads_is_part_of_the_hash():
    assert conditioned().hash != conditioned(read="other").hash
    assert routed().hash != routed(gate=("x",)).hash
    assert routed(gate=None).hash != routed(gate=("x",)).hash


def test_conditions_survive_json():
    for path in (conditioned(), routed()):
        assert Path.from_json(path.to_json()) == path


def test_a_step_behind_a_trained_condition_is_no_frozen_prefix():
    from pathways.modules import Frozen
    from pathways.prefix import frozen_prefix

    frozen = {name: Frozen(char * 64, ModuleSpec(name, {"number": 1} if name == "counted" else {}))
              for name, char in (("counted", "a"), ("times", "b"))}
    code = Step((draft("code", "linear", dim=1),), ("task",))
    step = Step((frozen["counted"],), ("x",), deltas=(DeltaRef(0, frozen["times"], ("code",)),))
    path = Path({"x": Vector(2), "task": Vector(1)}, {"code": code, "out": step}, "out")
    assert frozen_prefix(path)[0] == frozenset()


def test_names_that_nobody_gives_are_refused():
    with pytest.raises(PathError, match="step 'out' reads 'nothing'"):
        conditioned(read="nothing")
    with pytest.raises(PathError, match="`gate` must be left out without a router"):
        Step((draft("m", "counted", number=1),), ("x",), gate=("task",))


def test_changes_at_sites_stay_inside_their_module():
    module = Counted((Vector(2),), number=1)
    context = Context().changed(module, {"sum": (lambda value: value + 1, lambda value: value * 2)})
    assert float(context.at(module, "sum", torch.tensor(1.0))) == 4.0
    assert float(context.at(module, "other", torch.tensor(1.0))) == 1.0
    assert float(context.at(Counted((Vector(2),), number=1), "sum", torch.tensor(1.0))) == 1.0
    context.add_loss("a", torch.tensor(1.0))
