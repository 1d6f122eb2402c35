"""What frozen modules of mixed steps add up to is computed once, and training agrees with and without."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_stack import assert_agree, grid_path
from tiny import candidate, clusters

from pathways import prefix, stack_plan
from pathways.assemble import PathModule
from pathways.modules import Draft, Frozen
from pathways.modules.linear import Linear
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.prefix import frozen_parts, part_of
from pathways.stack_plan import plan
from pathways.trainer import Trainer
from pathways.trainer import train as train_module

TASK = clusters(n=60)
MIXED = {(0, 0), (0, 1), (0, 2), (1, 1)}
CELLS = [[[0, 3], [1, 2], [0]], [[0, 1, 4], [2], [1]], [[3, 4], [0, 1], [2]], [[1, 2, 5], [3], [0, 1]]]


@pytest.fixture
def trainer(tmp_path):
    made = Trainer(Pool(tmp_path / "pool"))
    made.provide(TASK)
    return made


def candidates_of(trainer, **settings):
    settings = {"optimizer": "sgd", "lr": 0.03, "steps": 20, **settings}
    return [candidate(grid_path(trainer.pool, own, frozen_cells=MIXED), TASK, **settings) for own in CELLS]


def test_which_steps_are_mixed(trainer):
    path = grid_path(trainer.pool, [[0, 3], [1, 2], [0]], frozen_cells=MIXED)
    [(step, modules)] = frozen_parts(path).items()
    assert step == "layer0"  # layer1 holds a frozen module, too, but reads what is trained
    assert modules == path.steps["layer0"].modules[:1]
    late = Step(tuple(reversed(path.steps["layer0"].modules)), ("x",))
    assert not frozen_parts(Path(path.inputs, {**path.steps, "layer0": late}, path.output)), "frozen ones stand first"
    named = {part_of("layer0") if name == "head" else name: step for name, step in path.steps.items()}
    assert not frozen_parts(Path(path.inputs, named, part_of("layer0"))), "the name is taken"


def test_a_sum_that_is_given_takes_the_place_of_its_modules(trainer):
    path = grid_path(trainer.pool, [[0, 1, 4], [2], [1]], frozen_cells=MIXED)
    made = {}
    def weights(ref):
        return trainer.pool.get(ref.id) if isinstance(ref, Frozen) else made.setdefault(ref, torch.Generator())
    model, x = PathModule(path, weights).eval(), torch.randn(5, 4)
    first = [model.module_of(ref)(x, context=None) for ref in frozen_parts(path)["layer0"]]
    given = {"x": x, part_of("layer0"): first[0] + first[1]}
    assert torch.equal(model(given), model(x))
    assert not torch.equal(model({**given, part_of("layer0"): first[0]}), model(x))


@pytest.mark.parametrize("combine", ["sum", "mean"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_training_agrees_with_and_without(trainer, monkeypatch, combine, optimizer):
    asked = candidates_of(trainer, optimizer=optimizer, evaluate_every=8)
    if combine == "mean":
        asked = [replace(c, paths={t: averaged(p) for t, p in c.paths.items()}) for c in asked]
    assert_agree(trainer, asked)
    with_sums = trainer.run(asked)
    monkeypatch.setattr(train_module, "frozen_parts", lambda path: {})
    for ours, theirs in zip(with_sums, trainer.run(asked), strict=True):
        for draft, blob in theirs.blobs.items():
            mine, other = trainer.pool.get(ours.blobs[draft]), trainer.pool.get(blob)
            assert all(torch.allclose(mine[name], other[name], atol=1e-5) for name in other)


def averaged(path):
    first = replace(path.steps["layer0"], combine="mean")
    return Path(path.inputs, {**path.steps, "layer0": first}, path.output)


def test_each_frozen_module_is_run_once(trainer, monkeypatch):
    """Not in each step, and not once a path that draws it; whether paths train in a stack or one by one."""
    seen = []
    def forward(self, *inputs, context):
        if not any(p.requires_grad for p in self.parameters()) and inputs[0].shape[1] == 4:
            seen.append(len(inputs[0]))
        return plain(self, *inputs, context=context)
    plain = Linear.forward
    monkeypatch.setattr(Linear, "forward", forward)
    trainer.run(candidates_of(trainer))
    assert sum(seen) == 3 * 2 * 60, "three frozen cells of layer 0, on training and validation data"
    [group] = plan(candidates_of(trainer), 100, trainer.families).stacks
    trainer.run(candidates_of(trainer), True, group.slots)
    assert sum(seen) == 3 * 2 * 60


def test_slots_are_for_what_trains(trainer):
    [group] = plan(candidates_of(trainer), 100, trainer.families).stacks
    steps = [c.paths[TASK.name].steps["layer0"] for c in group.candidates]
    drafts = [sum(isinstance(ref, Draft) for ref in step.modules) for step in steps]
    assert group.slots[0] == max(drafts) == 2


def test_a_result_does_not_depend_on_who_else_is_in_the_stack(trainer):
    asked = candidates_of(trainer, lr=0.05)
    [group] = plan(asked, 100, trainer.families).stacks
    together = trainer.run(asked, True, group.slots)
    for some in ([0], [2], [1, 3], [3, 0, 2]):
        for i, again in zip(some, trainer.run([asked[i] for i in some], True, group.slots), strict=True):
            assert again.blobs == together[i].blobs
            assert again.measures == together[i].measures


def test_sums_too_large_to_hold_are_computed_in_each_step(trainer):
    small = Trainer(trainer.pool, cache_bytes=1)
    small.provide(TASK)
    asked = candidates_of(trainer)
    [group] = plan(asked, 100, trainer.families).stacks
    for one, other in zip(small.run(asked, True, group.slots), trainer.run(asked), strict=True):
        assert one.alone == "its prefix is too large to be held"
        for draft, blob in other.blobs.items():
            mine, theirs = trainer.pool.get(one.blobs[draft]), trainer.pool.get(blob)
            assert all(torch.allclose(mine[name], theirs[name], atol=1e-5) for name in theirs)


def test_the_parts_of_a_path_are_worked_out_once(trainer, monkeypatch):
    path = grid_path(trainer.pool, CELLS[0], frozen_cells=MIXED)
    first = frozen_parts(path)
    monkeypatch.setattr(prefix, "_frozen_parts", lambda path: pytest.fail("again"))
    assert frozen_parts(path) is first
    assert stack_plan.summed(path, candidate(path, TASK, steps=0).training) == {}
