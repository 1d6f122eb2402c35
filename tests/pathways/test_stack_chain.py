"""Chains of affine maps train by hand what autograd trains."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_stack import OPTIMIZERS, grid_path
from tiny import candidate, chain, clusters, head, linear, plane

from pathways.modules import Draft, Init, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.stack_plan import plan
from pathways.trainer import Trainer, stack_fit
from pathways.trainer.stack import StackedPaths
from pathways.trainer.stack_chain import chain_of
from pathways.trainer.stack_losses import losses_and_pulls, losses_of

CLASSES, VALUES = clusters(n=40), plane()


@pytest.fixture
def trainer(tmp_path):
    made = Trainer(Pool(tmp_path / "pool"))
    for task in (CLASSES, VALUES):
        made.provide(task)
    return made


def regressor(seed):
    return Draft("head", ModuleSpec("regressor", {"values": 2}), Init(seed))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("task", [CLASSES, VALUES], ids=["classes", "values"])
def test_by_hand_as_by_autograd(trainer, monkeypatch, task, optimizer):
    end = head if task is CLASSES else lambda seed: regressor(seed)
    candidates = [
        candidate(chain(Vector(4), linear("a", 7, seed=i), linear("b", 5, seed=9, activation="none"), end(seed=i)),
                  task, fitness="training", label_smoothing=0.1 * (i % 2), evaluate_every=7, steps=30,
                  **{**OPTIMIZERS[optimizer], "lr": OPTIMIZERS[optimizer]["lr"] * (1 + i)})
        for i in range(4)
    ]
    found = compared(trainer, monkeypatch, candidates)
    assert any(len(result.curve) > 2 for result in found)


@pytest.mark.parametrize("last", ["sum", "mean"])
def test_several_modules_in_a_step(trainer, monkeypatch, last):
    cells = [[[0, 1, 2], [3], [1, 2]], [[0], [1, 4], [2]], [[5, 6], [0], [3, 1, 0]]]
    paths = [grid_path(trainer.pool, own, frozen_cells={(1, 4), (2, 1)}) for own in cells]
    steps = [{name: Step(s.modules, s.reads, last if name == "layer2" else s.combine) for name, s in p.steps.items()}
             for p in paths]
    candidates = [candidate(Path(p.inputs, own, p.output), CLASSES, optimizer="sgd", lr=0.05)
                  for p, own in zip(paths, steps, strict=True)]
    compared(trainer, monkeypatch, candidates)


def compared(trainer, monkeypatch, candidates):
    """The results by hand, which agree with those by autograd to rounding."""
    [group] = plan(candidates, 100, trainer.families).stacks
    made = []
    monkeypatch.setattr(stack_fit, "chain_of", lambda program: made.append(chain_of(program)) or made[-1])
    by_hand = trainer.run(candidates, True, group.slots)
    assert made
    assert None not in made
    monkeypatch.setattr(stack_fit, "chain_of", lambda program: None)
    for ours, theirs in zip(by_hand, trainer.run(candidates, True, group.slots), strict=True):
        assert (ours.ok, theirs.ok) == (True, True)
        for task, measures in theirs.measures.items():
            assert ours.measures[task].loss == pytest.approx(measures.loss, abs=1e-4)
            assert ours.measures[task].fitness == pytest.approx(measures.fitness, abs=0.03)
        for draft, blob in theirs.blobs.items():
            mine, other = trainer.pool.get(ours.blobs[draft]), trainer.pool.get(blob)
            for name, tensor in other.items():
                assert torch.allclose(mine[name], tensor, atol=1e-4, rtol=1e-4), (draft, name)
    return by_hand


@settings(deadline=None, max_examples=40)
@given(k=st.integers(1, 4), b=st.integers(1, 5), classes=st.sampled_from([0, 2, 3, 4]), seed=st.integers(0, 99),
       smooth=st.booleans(), scaled=st.booleans())
def test_gradients_of_losses_are_those_of_autograd(k, b, classes, seed, smooth, scaled):
    generator = torch.Generator().manual_seed(seed)
    task = clusters(classes=classes) if classes else VALUES
    outputs = torch.randn(k, classes or 2, b, generator=generator, dtype=torch.double).transpose(1, 2)
    targets = torch.randint(0, classes, (b,), generator=generator) if classes else torch.randn(b, 2).double()
    smoothing = torch.rand(k, generator=generator, dtype=torch.double) if smooth else None
    scale = torch.rand(k, generator=generator, dtype=torch.double) if scaled else None
    losses, pulls = losses_and_pulls(task, outputs.clone(), targets, smoothing, scale)
    outputs.requires_grad_()
    wanted = losses_of(task, outputs, targets, smoothing)
    (wanted if scale is None else wanted * scale).sum().backward()
    assert torch.allclose(losses, wanted.detach())
    assert torch.allclose(pulls, outputs.grad)


@pytest.mark.parametrize(("refs", "by_hand"), [
    ((linear("a", 5), head()), True),
    ((linear("a", 5, activation="gelu"), head()), False),
    ((linear("a", 5), Draft("b", ModuleSpec("adapter", {"dim": 2})), head()), False),
])
def test_what_is_a_chain(refs, by_hand):
    assert (chain_of(program_of(chain(Vector(4), *refs))) is not None) == by_hand


def test_a_step_that_reads_further_back_is_no_chain():
    steps = {"a": Step((linear("a", 4),), ("x",)), "b": Step((linear("b", 4),), ("a",)),
             "head": Step((head(),), ("a",)), "top": Step((head(name="top"),), ("b",))}
    path = Path({"x": Vector(4)}, {**steps, "head": Step((head(),), ("both",)),
                                   "both": Step((Draft("c", ModuleSpec("linear", {"dim": 4})),), ("b",))}, "head")
    assert chain_of(program_of(path)) is not None
    joined = Step((Draft("c", ModuleSpec("concat")),), ("a", "b"))
    assert chain_of(program_of(Path(path.inputs, {**path.steps, "both": joined}, "head"))) is None


def program_of(path):
    asked = candidate(path, CLASSES)
    def weights(k, ref):
        return torch.Generator().manual_seed(k)
    return StackedPaths([path, path], [asked.training] * 2, weights, [True])
