"""A stack gives what its candidates give one by one, to rounding, and to the bit whatever else is in it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import candidate, chain, clusters, frozen, head, images, linear, plane

from pathways.candidate import Augment, Candidate, Result
from pathways.modules import BUILT_IN, Draft, Image, Init, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.racing import Paired, Race, Rival, pack
from pathways.stack_plan import Alone, plan, shape
from pathways.trainer import Trainer

TASK = clusters(n=40)
LINEAR = ModuleSpec("linear", {"dim": 6, "activation": "relu"})


@pytest.fixture
def trainer(tmp_path):
    made = Trainer(Pool(tmp_path / "pool"))
    made.provide(TASK)
    return made


def grid_path(pool: Pool, cells: list[list[int]], activation: str = "relu", frozen_cells: Any = ()) -> Path:
    """A path of three layers through the cells of a grid, as PathNet's; some cells frozen."""
    spec = ModuleSpec("linear", {"dim": 6, "activation": activation})
    steps, last = {}, "x"
    for layer, own in enumerate(cells):
        width = 4 if layer == 0 else 6
        refs = [
            frozen(pool, spec, Vector(width), seed=7 * layer + c) if (layer, c) in frozen_cells
            else Draft(f"l{layer}m{c}", spec, Init(100 * layer + c))
            for c in sorted(set(own))
        ]
        refs.sort(key=lambda ref: isinstance(ref, Draft))
        steps[f"layer{layer}"] = Step(tuple(refs), (last,), "sum" if layer < 2 else "mean")
        last = f"layer{layer}"
    return Path({"x": Vector(4)}, {**steps, "head": Step((head(seed=5),), (last,))}, "head")


def assert_agree(trainer: Trainer, candidates: list[Candidate], tolerance: float = 2e-4) -> list[Result]:
    """Assert that stacked and plain training give the same measures, curves and blobs, to rounding."""
    assert len({shape(c, trainer.families) for c in candidates}) == 1
    together, alone = trainer.run(candidates, stacked=True), trainer.run(candidates)
    for one, other, asked in zip(together, alone, candidates, strict=True):
        assert one.candidate == other.candidate == asked.hash
        assert bool(one.failure) == bool(other.failure), (one.failure, other.failure)
        assert (one.parameters, one.trainable, one.flops) == (other.parameters, other.trainable, other.flops)
        for name, measures in other.measures.items():
            assert one.measures[name].loss == pytest.approx(measures.loss, abs=1e-3)
            # a sample on the edge between two classes may fall to either side
            assert one.measures[name].quality == pytest.approx(measures.quality, abs=2 / measures.samples)
            assert one.measures[name].fitness == pytest.approx(measures.fitness, abs=2 / measures.samples)
        assert [(s, t) for s, t, _ in one.curve] == [(s, t) for s, t, _ in other.curve]
        assert one.blobs.keys() == other.blobs.keys()
        for draft, blob in other.blobs.items():
            mine, theirs = trainer.pool.get(one.blobs[draft]), trainer.pool.get(blob)
            assert mine.keys() == theirs.keys()
            for tensor in theirs:
                assert torch.allclose(mine[tensor], theirs[tensor], atol=tolerance, rtol=tolerance), (draft, tensor)
    return together


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "lr": 0.05},
    "momentum": {"optimizer": "sgd", "lr": 0.02, "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "lr": 0.02, "momentum": 0.9, "nesterov": True},
    "decay": {"optimizer": "sgd", "lr": 0.05, "weight_decay": 0.1},
    "clip": {"optimizer": "sgd", "lr": 0.1, "clip": 0.5},
    "adamw": {"optimizer": "adamw", "lr": 0.01},
    "adamw-decay": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.3, "beta2": 0.99, "head_lr": 0.3},
    "adamw-clip": {"optimizer": "adamw", "lr": 0.01, "clip": 0.1},
}


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(trainer, name, alike):
    """With equal hyperparameters, and with every candidate's own learning rates, decays, momenta and schedules."""
    rng = random.Random(3)
    candidates = []
    for i in range(4):
        own = dict(OPTIMIZERS[name])
        if not alike:
            own["lr"] *= 1 + i
            own["head_lr"] = 0.5 + i
            own["schedule"] = rng.choice(["constant", "cosine"])
            own["warmup"] = 0.1 * i
            own["label_smoothing"] = 0.1 * (i % 2)
            for key in ("weight_decay", "clip"):
                own[key] = own.get(key, 0.0) * (1 + i)
            own["beta2"] = 0.9 + 0.02 * i
        path = chain(Vector(4), linear("a", 7, seed=i), linear("b", 5, seed=9, activation="tanh"), head(seed=i))
        candidates.append(candidate(path, TASK, **own))
    assert_agree(trainer, candidates)


@settings(deadline=None, max_examples=20)
@given(
    cells=st.lists(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), min_size=3, max_size=3),
                   min_size=1, max_size=6),
    activation=st.sampled_from(["relu", "none", "gelu"]), optimizer=st.sampled_from(["sgd", "adamw"]),
    frozen_cells=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=4),
    fitness=st.sampled_from(["training", "validation"]),
)
def test_paths_through_a_grid(tmp_path_factory, cells, activation, optimizer, frozen_cells, fitness):
    """Any numbers of modules in a step, frozen ones among them; slots that a path does not use change nothing."""
    trainer = Trainer(Pool(tmp_path_factory.mktemp("pool")))
    trainer.provide(TASK)
    candidates = [
        candidate(grid_path(trainer.pool, own, activation, frozen_cells), TASK, optimizer=optimizer, lr=0.02,
                  steps=10, fitness=fitness, evaluate_every=4)
        for own in cells
    ]
    by_shape: dict[Any, list[Candidate]] = {}
    for asked in candidates:
        by_shape.setdefault(shape(asked, BUILT_IN), []).append(asked)
    for members in by_shape.values():
        assert_agree(trainer, members)


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("settings", [
    {"head_init": "discriminant"}, {"head_init": "class_means", "head_refit": "discriminant"}, {"head_init": "zeros"},
    {"steps": 0, "head_init": "discriminant"}, {"steps": 0},
], ids=str)
def test_heads_and_kept_weights(trainer, keep, settings):
    body = [frozen(trainer.pool, LINEAR, Vector(4), seed=i % 2) for i in range(4)]
    candidates = [
        candidate(chain(Vector(4), body[i], linear("b", 6, seed=i), head(seed=None)), TASK, keep=keep,
                  **{"steps": 12, "lr": 0.3 * (1 + i), "evaluate_every": 3, **settings})
        for i in range(4)
    ]
    assert_agree(trainer, candidates)


def test_candidates_may_read_other_prefixes(trainer):
    """Frozen prefixes are computed once each; what stands behind them trains together."""
    body = [frozen(trainer.pool, LINEAR, Vector(4), seed=i) for i in range(3)]
    assert_agree(trainer, [candidate(chain(Vector(4), b, head(seed=0)), TASK, lr=0.05) for b in [*body, body[0]]])


def test_frozen_modules_behind_drafts(trainer):
    own = [frozen(trainer.pool, LINEAR, Vector(6), seed=i) for i in range(2)]
    for refs in ([own[0]] * 3, [own[0], own[1], own[0]]):
        assert_agree(trainer, [
            candidate(chain(Vector(4), linear("a", 6, seed=k), ref, head(seed=k)), TASK, lr=0.05)
            for k, ref in enumerate(refs)
        ])  # fmt: skip


def test_values_and_images(tmp_path):
    trainer, numbers, pictures = Trainer(Pool(tmp_path / "pool")), plane(), images()
    trainer.provide(numbers)
    trainer.provide(pictures)
    read = Draft("read", ModuleSpec("regressor", {"values": 2}), Init(1))
    assert_agree(trainer, [
        candidate(chain(Vector(4), linear("a", 8, seed=k), read), numbers, fitness="training") for k in range(3)
    ])
    flat = Draft("flat", ModuleSpec("flatten"))
    augment = Augment(rotate=10, translate=1, views=3)
    assert_agree(trainer, [
        candidate(chain(Image(1, 6, 6), flat, linear("a", 8, seed=k), head(2)), pictures, augment=augment,
                  score_views=2)
        for k in range(3)
    ])


def test_adapters_stack(trainer):
    adapter = Draft("adapter", ModuleSpec("adapter", {"dim": 3}), Init(4))
    assert_agree(trainer, [
        candidate(chain(Vector(4), linear("a", 8, seed=k), adapter, head(seed=k)), TASK, lr=0.01 * (1 + k))
        for k in range(3)
    ])


def test_convolutions_stack_where_they_are_told_to(trainer, tmp_path):
    """On a CPU they do not, for it does not pay; the program is the same, with batch norm's statistics, too."""
    task = images(n=32)
    trainer.provide(task)
    for norm in ("none", "group", "batch"):
        spec = ModuleSpec("conv", {"channels": 4, "norm": norm, "groups": 2, "pool": 2, "residual": True})
        flat = Draft("flat", ModuleSpec("flatten"))
        candidates = [
            candidate(chain(Image(1, 6, 6), Draft("c", spec, Init(k)), flat, head(2, seed=k)), task, lr=0.02)
            for k in range(3)
        ]
        with pytest.raises(Alone, match="`conv` does not stack on cpu"):
            shape(candidates[0], BUILT_IN, "cpu")
        assert shape(candidates[0], BUILT_IN, "cuda") == shape(candidates[1], BUILT_IN, "cuda")
        together, alone = trainer.run(candidates, stacked=True), trainer.run(candidates)
        for one, other in zip(together, alone, strict=True):
            for draft, blob in other.blobs.items():
                mine, theirs = trainer.pool.get(one.blobs[draft]), trainer.pool.get(blob)
                for name, tensor in theirs.items():
                    assert torch.allclose(mine[name].float(), tensor.float(), atol=1e-3, rtol=1e-3), (norm, name)


def test_one_that_diverges_does_not_touch_the_others(trainer):
    rates = [0.01, 100.0, 0.02, 100.0, 100.0]
    candidates = [
        candidate(chain(Vector(4), linear("a", 6, seed=k, activation="none"), head(seed=k)), TASK, optimizer="sgd",
                  lr=lr, steps=24, evaluate_every=4)
        for k, lr in enumerate(rates)
    ]
    together = assert_agree(trainer, candidates)
    assert [bool(result.failure) for result in together] == [lr > 1 for lr in rates]
    assert "loss became" in together[1].failure
    assert not together[1].blobs


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_result_does_not_depend_on_who_else_is_in_the_stack(trainer, optimizer):
    """To the bit, so that it does not matter which of a generation were known already."""
    rng = random.Random(0)
    cells = [[[rng.randrange(9) for _ in range(1 + i)] for _ in range(3)] for i in range(7)]
    candidates = [
        candidate(grid_path(trainer.pool, own), TASK, optimizer=optimizer, lr=0.02 * (1 + i % 2), evaluate_every=5,
                  label_smoothing=0.1 * (i % 3))
        for i, own in enumerate(cells)
    ]
    [group] = plan(candidates, 100, BUILT_IN).stacks
    together = trainer.run(candidates, True, group.slots)
    for some in ([0], [3], [1, 5], [2, 4, 6], [6, 0, 3, 2]):
        again = trainer.run([candidates[i] for i in some], True, group.slots)
        for i, result in zip(some, again, strict=True):
            assert result.blobs == together[i].blobs
            assert result.measures == together[i].measures


def test_rates_of_their_own_do_not_touch_the_others(trainer):
    """Heads may train at another rate, and a candidate that fails at none: the others stay the same to the bit."""
    rates = [0.02, 0.03, 100.0, 0.05]
    candidates = [
        candidate(chain(Vector(4), linear("a", 7, seed=i, activation="none"), head(seed=i)), TASK, optimizer="sgd",
                  lr=lr, head_lr=0.3, steps=24, evaluate_every=4)
        for i, lr in enumerate(rates)
    ]
    together = trainer.run(candidates, True, (1, 1))
    assert [result.ok for result in together] == [True, True, False, True]
    for i, again in zip((0, 1, 3), trainer.run([candidates[i] for i in (0, 1, 3)], True, (1, 1)), strict=True):
        assert again.blobs == together[i].blobs


def test_measuring_many_paths_computes_shared_modules_once(trainer, monkeypatch):
    """Frozen paths over one pool: each distinct module of a layer that all read alike runs once."""
    from pathways.modules.linear import Linear

    pool = trainer.pool
    every = {(layer, c) for layer in range(3) for c in range(5)}
    rng = random.Random(1)
    cells = [[[rng.randrange(5) for _ in range(3)] for _ in range(3)] for _ in range(12)]
    paths = [grid_path(pool, own, frozen_cells=every) for own in cells]
    candidates = [candidate(path, TASK, steps=0) for path in paths]
    seen: list[torch.Size] = []
    plain = Linear.stacked
    monkeypatch.setattr(Linear, "stacked", lambda self, stack, *x: seen.append(stack["linear.weight"].shape[:2])
                        or plain(self, stack, *x))
    assert_agree(trainer, candidates)
    assert seen[0] == (1, len({c for own in cells for c in own[0]}))


def test_the_plan_keeps_shapes_apart_and_says_why_others_are_alone(trainer):
    wide, narrow = (chain(Vector(4), linear("a", dim, seed=0), head()) for dim in (6, 7))
    shared = Path({"x": Vector(4)}, {
        "a": Step((Draft("w", ModuleSpec("linear", {"dim": 4}), Init(0)),), ("x",)),
        "b": Step((Draft("w", ModuleSpec("linear", {"dim": 4}), Init(0)),), ("a",)), "h": Step((head(),), ("b",)),
    }, "h")  # fmt: skip
    asked = [
        candidate(wide, TASK), candidate(wide, TASK, lr=0.1), candidate(narrow, TASK), candidate(wide, TASK, batch=4),
        candidate(shared, TASK), candidate(wide, TASK, lr=0.2), candidate(wide, TASK, optimizer_state=True),
    ]
    found = plan(asked, 2, BUILT_IN)
    assert [[asked.index(c) for c in group.candidates] for group in found.stacks] == [[0, 1], [5], [2], [3]]
    assert [group.slots for group in found.stacks] == [(1, 1)] * 4
    assert found.alone == (
        (asked[4], "two of its steps share a draft"), (asked[6], "it carries optimizer state"),
    )
    off = plan(asked[:2], 1, BUILT_IN)
    assert off.stacks == ()
    assert {why for _, why in off.alone} == {"stacks are turned off (`stack: 1`)"}


def test_measuring_does_not_depend_on_who_else_is_measured(trainer):
    every = {(layer, c) for layer in range(3) for c in range(5)}
    rng = random.Random(2)
    cells = [[[rng.randrange(5) for _ in range(3)] for _ in range(3)] for _ in range(9)]
    candidates = [candidate(grid_path(trainer.pool, own, frozen_cells=every), TASK, steps=0) for own in cells]
    together = trainer.run(candidates, stacked=True)
    for some in ([4], [1, 2, 8]):
        again = trainer.run([candidates[i] for i in some], stacked=True)
        assert [result.measures for result in again] == [together[i].measures for i in some]


@pytest.mark.parametrize("raced", [(1,), (0, 2, 3), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_races_stop_candidates_of_a_stack(trainer, raced, optimizer):
    """Those that lose stop as they would alone, and the others go on to the same end, in a smaller stack."""
    perfect = Rival("r" * 64, factors={"clusters": 1.0}, merits={"clusters": (pack(np.ones(40)),) * 3})
    hopeless = Race(Paired(), {"clusters": 1.0}, (perfect,))
    noted = Race(Paired(), {"clusters": 1.0}, ())
    candidates = [
        replace(candidate(chain(Vector(4), linear("a", 6, seed=k), head(seed=k)), TASK, optimizer=optimizer,
                          lr=1e-5 if k in raced else 0.05 + 0.01 * k, evaluate_every=6), race=race)
        for k, race in enumerate([hopeless if k in raced else noted for k in range(5)])
    ]  # fmt: skip
    together = assert_agree(trainer, candidates)
    assert [result.stopped > 0 for result in together] == [k in raced for k in range(5)]
    alone = trainer.run(candidates)
    assert [result.stopped for result in together] == [result.stopped for result in alone]
    assert [len(r.merits["clusters"]) for r in together] == [len(r.merits["clusters"]) for r in alone]


def test_what_is_frozen_to_its_end_is_measured_by_itself(trainer):
    body = frozen(trainer.pool, LINEAR, Vector(4))
    read = frozen(trainer.pool, ModuleSpec("classifier", {"classes": 3}), Vector(6))
    asked = candidate(chain(Vector(4), body, read), TASK)
    assert plan([asked], 8, BUILT_IN).alone == ((asked, "all of it is frozen"),)
    assert trainer.run([asked])[0].ok
    assert_agree(trainer, [candidate(chain(Vector(4), body, read), TASK, steps=0)])
