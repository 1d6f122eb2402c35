import pytest
import torch

from pathways.assemble import PathModule
from pathways.modules import (
    Context,
    Draft,
    Ids,
    Image,
    Masked,
    ModuleSpec,
    PortError,
    Signal,
    Tokens,
    Vector,
    build,
    facts,
)
from pathways.path import Path, Step
from pathways.testing import ModuleFamilySuite
from pathways.testing.module_family import seeded


class TestAdd(ModuleFamilySuite):
    spec = ModuleSpec("add")
    ports = (Image(2, 3, 3), Image(2, 3, 3))
    refused = ((), (Ids(3, 5), Ids(3, 5)), (Vector(3), Vector(4)), (Vector(4), Tokens(2, 4)))


class TestAddCode(ModuleFamilySuite):
    spec = ModuleSpec("add")
    ports = (Tokens(1, 6), Tokens(4, 6), Tokens(1, 6))


class TestAddMasked(ModuleFamilySuite):
    spec = ModuleSpec("add")
    ports = (Tokens(None, 6), Tokens(1, 6))
    refused = ((Tokens(None, 6), Tokens(4, 6)), (Tokens(None, 6), Tokens(1, 5)), (Signal(2, None), Signal(3, None)))


def test_places_are_real_where_they_are_in_every_input():
    module = build(ModuleSpec("add"), [Tokens(None, 2), Tokens(None, 2), Tokens(1, 2)], seeded(0))
    x = torch.randn(3, 1, 3, 2, generator=seeded(1))
    masks = torch.tensor([[[True, True, False]], [[True, False, True]]])
    found = module(Masked(x[0], masks[0]), Masked(x[1], masks[1]), x[2][:, :1], context=Context())
    assert torch.equal(found.value, x[0] + x[1] + x[2][:, :1])
    assert found.mask.tolist() == [[True, False, False]]


def test_sizes_that_differ_are_named():
    with pytest.raises(PortError, match=r"family `add` reads values of one port.*found \(Vector\(dim=3\), Vector"):
        facts(ModuleSpec("add"), [Vector(3), Vector(4)])


CODE, DIM = "code", 8


def path_of(task, how):
    """Tokens that a shared block reads together with the learned code of a task."""
    code = Draft(f"code/{task}", ModuleSpec("learned_tokens", {"length": 1, "dim": DIM}))
    block = Draft("block", ModuleSpec("transformer", {"heads": 2, "ff": 2}))
    steps = {CODE: Step((code,))}
    if how == "condition":
        steps["out"] = Step((Draft("block", ModuleSpec("adaln", {"heads": 2})),), ("x", CODE))
    else:
        spec = ModuleSpec("add") if how == "added" else ModuleSpec("concat", {"axis": "length"})
        steps["told"] = Step((Draft("glue", spec),), ("x", CODE))
        steps["out"] = Step((block,), ("told",))
    return Path({"x": Tokens(4, DIM)}, steps, "out")


@pytest.mark.parametrize("how", ["added", "prefixed", "condition"])
def test_b17_two_tasks_with_the_same_input_get_different_outputs(how):
    shared, x = {}, torch.randn(3, 4, DIM, generator=seeded(1))
    seeds = {"code/a": 1, "code/b": 2, "block": 3, "glue": 4}
    a, b = (PathModule(path_of(task, how), lambda ref: seeded(seeds[ref.name]), shared=shared) for task in "ab")
    block = next(module for ref, module in a.drafts().items() if ref == "block")
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=seeded(5)))
    assert b.drafts()["block"] is block
    assert not torch.allclose(a(x), b(x), atol=1e-4)
    with torch.no_grad():
        b.drafts()["code/b"].tokens.copy_(a.drafts()["code/a"].tokens)
    assert torch.equal(a(x), b(x))


@pytest.mark.parametrize("how", ["added", "prefixed", "condition"])
def test_b17_a_new_task_adds_the_numbers_of_its_code(how):
    first, second = (path_of(task, how).costs().sizes for task in "ab")
    assert {name: second[name] for name in set(second) - set(first)} == {"code/b": DIM}
