"""The stream's rows: both sides do the same number of candidates, time counts until the target, floors are products."""

import pytest
import torch

from pathways.candidate import Candidate, Training
from pathways.create import install_root
from pathways.data import omniglot
from pathways.evolve.paths import fresh, with_head
from pathways.experiments.benchmarks import stream
from pathways.experiments.benchmarks.__main__ import rows_of
from pathways.experiments.benchmarks.by_hand import ByHand, network, tune
from pathways.experiments.benchmarks.stream import Moment, Pair, Watch, measured, note_of, time_to
from pathways.experiments.benchmarks.stream_floor import sample_flops, searched
from pathways.experiments.config import read_config
from pathways.modules import Draft, Frozen, Warm
from pathways.path import Path
from pathways.pool import Pool
from pathways.trainer import Trainer

TINY = [
    "tasks.0.alphabets=[Angelic, Keble]", "training.steps=2", "training.batch=8", "training.augment.views=2",
    "strategy.munet.space={lr: [1.0e-3, 2.0e-3], steps: [1, 2]}", "controls.2.independent.training.steps=4",
]  # fmt: skip


@pytest.fixture
def config():
    return read_config(stream.QUICKSTART, TINY)


@pytest.fixture
def held(tmp_path):
    pool = Pool(tmp_path / "pool")
    root = install_root("omniglot", pool)
    return root, pool, {name: pool.get(step.modules[0].id) for name, step in root.steps.items()}


def test_both_rows_are_measured_with_the_settings_of_the_quickstart(config, monkeypatch):
    seen = []
    monkeypatch.setattr(stream, "_config", lambda seed: seen.append(seed) or config)
    (plain,), (tuned,) = (list(rows_of(name, pairs=1)) for name in ("quickstart-stream", "quickstart-stream-finetuned"))
    assert seen == [0, 0, 0, 0], "one that is not counted, and one pair, for each row"
    assert (plain.goal, tuned.goal) == (5.0, None)
    for row in (plain, tuned):
        assert row.theirs > 0
        assert row.floor > 0
        assert "2 tasks, seeds 0 to 0" in row.note
        assert "340 CPU-seconds that are not counted" in row.note


def test_both_sides_train_as_many_candidates_and_are_measured_on_the_same_images(config, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(stream, "tune", lambda *given: asked.append((given[1].name, given[2])) or tune(*given))
    pair = measured(config, stream.from_scratch, tmp_path / "run")
    ours = [moment.task for moment in pair.moments]
    assert asked == [(task, ours.count(task)) for task in ("omniglot/Angelic", "omniglot/Keble")]
    assert pair.candidates == len(ours) >= 4
    assert [moment.seconds for moment in pair.moments] == sorted(moment.seconds for moment in pair.moments)
    assert pair.moments[-1].seconds < pair.ours
    assert pair.champions <= pair.best
    images = {task.name: len(task.splits["validation"]) for task in omniglot(["Angelic", "Keble"])}
    for moment in pair.moments:
        right = moment.accuracy * images[moment.task]
        assert right == pytest.approx(round(right), abs=1e-6), "a share of the images as they are, not of their views"


def test_the_space_lies_around_each_sides_own_settings(config, tmp_path):
    config = read_config(stream.QUICKSTART)
    with stream.System.create(tmp_path / "run", root=config.root, training=config.training) as system:
        scratch, copies = stream.from_scratch(config, system), stream.copies(config, system)
    assert scratch.space == {
        "lr": (4e-3, 8e-3, 16e-3), "weight_decay": (0.0, 0.5, 5.0), "steps": (667, 1000, 1333),
    }  # fmt: skip
    assert (scratch.base.batch, scratch.base.label_smoothing) == (32, 0.1)
    assert scratch.base.augment == copies.base.augment == config.training.augment
    assert copies.space == {"lr": (2e-3, 4e-3, 8e-3), "weight_decay": (0.0, 0.5, 5.0), "steps": (200, 300, 400)}
    assert copies.weights.keys() == copies.root.steps.keys()
    assert not scratch.weights


def test_a_study_tries_the_base_settings_first_and_depends_on_its_seed_alone(held):
    root, _, _ = held
    [task] = omniglot(["Angelic"])
    base = Training(steps=2, batch=4, lr=1e-2)
    side = ByHand("some", base, {"lr": (1e-3, 1e-2, 1e-1), "steps": (1, 2)}, root)
    before = torch.random.get_rng_state()
    first, again, other = (tune(side, task, 5, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first[0].training == base
    assert first == again != other
    assert len({trial.training for trial in first}) > 1


def test_plain_nets_are_the_roots_paths(held):
    root, pool, weights = held
    [task] = omniglot(["Angelic"])
    net = network(root, task.target.n, weights, 0)
    images = task.splits["validation"].inputs["image"].float()
    path = with_head(root, task.target, inputs=task.inputs)
    candidate = Candidate({task.name: path}, Training(steps=0), {task.name: task.fingerprint})
    ours = Trainer(pool).assemble(candidate)[0][task.name].eval()
    with torch.no_grad():
        features = ours.compute({"image": images}, (root.output,))[root.output]
        torch.testing.assert_close(net.eval()[:-1](images), features)
    parameters = path.costs().parameters
    assert sum(p.numel() for p in net.parameters()) == parameters
    random = network(root, task.target.n, {}, 1)
    assert not torch.equal(random[0].weight, net[0].weight)
    assert torch.equal(random[0].weight, network(root, task.target.n, {}, 1)[0].weight)


def test_training_by_hand_learns(held):
    root, _, weights = held
    [task] = omniglot(["Keble"])
    side = ByHand("copies", Training(steps=60, batch=32, lr=4e-3, head_lr=5.0), {}, root, weights)
    [trial] = tune(side, task, 1, 0)
    assert trial.accuracy > 0.6


def test_time_counts_until_the_mean_reaches_the_target_and_a_task_that_is_not_learned_counts_as_nothing():
    moments = [Moment(1.0, "a", 0.9), Moment(2.0, "a", 0.5), Moment(3.0, "b", 0.6), Moment(4.0, "b", 0.8)]
    assert time_to(0.4, moments, 2) == 1.0
    assert time_to(0.75, moments, 2) == 3.0
    assert time_to(0.85, moments, 2) == 4.0
    assert time_to(0.86, moments, 2) is None


def test_a_target_that_is_not_reached_is_said_and_counts_as_nothing(monkeypatch):
    moments = (Moment(1.0, "a", 0.5),)
    pairs = {0: Pair(moments, 2.0, 8.0, 0.5, 0.4, 1, 1, 3.0), 1: Pair(moments, 2.0, 8.0, 0.5, 0.6, 1, 1, 3.0)}
    assert "reached by 1 of 2, the other 1 count as a ratio of 0" in note_of(list(pairs.values()))
    monkeypatch.setattr(stream, "_config", lambda seed: seed)
    monkeypatch.setattr(stream, "_first_task", lambda seed: seed)
    monkeypatch.setattr(stream, "measured", lambda seed, side, folder: pairs[seed])
    row = stream._row("some", stream.from_scratch, 2, 5.0)
    assert (row.ratio_low, row.ratio_high) == (0.0, 8.0)
    assert row.reached is False


def test_a_watch_runs_inside_its_blocks_only():
    watch = Watch()
    with watch:
        first = watch.read()
    held = watch.read()
    assert held == watch.read() >= first
    with watch:
        assert watch.read() >= held


def test_the_floor_counts_prefixes_once_and_passes_back_to_where_training_begins(held):
    root, _, _ = held
    [task] = omniglot(["Angelic"])
    whole = with_head(root, task.target, inputs=task.inputs)
    every = whole.costs().flops
    own = dict(root.steps)
    own["block3"] = own["block3"].map_refs(
        lambda ref: Draft("own", ref.spec, Warm(ref.id)) if isinstance(ref, Frozen) else ref
    )
    path = with_head(Path(root.inputs, own, root.output), task.target, inputs=task.inputs)
    ahead, rest = sample_flops(path)
    head = 2 * 128 * task.target.n
    (first, second), block3, block4 = ahead.values(), *(_flops(root, name) for name in ("block3", "block4"))
    assert first + second + block3 + block4 + head == every
    assert rest == 2 * block3 + 2 * block4 + 3 * head
    scratch = sample_flops(with_head(fresh(root), task.target, inputs=task.inputs))
    assert scratch == ({}, 3 * every - first)
    training = Training(steps=10, batch=4)
    candidates = [Candidate({task.name: path}, training, {task.name: task.fingerprint}, repeat=i) for i in range(2)]
    assert searched(task, candidates) == (first + second) * len(task.splits["train"]) + 2 * 40 * rest


def _flops(root, name):
    steps = {step: root.steps[step] for step in root.canonical_order[: root.canonical_order.index(name) + 1]}
    before = {step: root.steps[step] for step in list(steps)[:-1]}
    return Path(root.inputs, steps, name).costs().flops - Path(root.inputs, before, list(before)[-1]).costs().flops
