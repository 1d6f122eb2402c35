from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tiny import assembled, candidate, chain, clusters, frozen, head, images, linear, plane
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.candidate import Augment, Candidate, Result, Training
from pathways.errors import BlobError, ConfigError, DataError
from pathways.modules import (
    Context,
    Draft,
    Families,
    Frozen,
    Image,
    Init,
    Module,
    ModuleSpec,
    Port,
    Vector,
    Warm,
    build,
)
from pathways.path import DeltaRef, Path, Step
from pathways.pool import Pool, same
from pathways.seeds import torch_generator
from pathways.task import Split, Task, Values
from pathways.trainer import Trainer, one_thread
from pathways.trainer.fit import Work, batch_order
from pathways.trainer.samples import prepare

MLP = chain(Vector(4), linear("body", 16), head())


class Witness(Module):
    """The identity, which notes what it saw: values, mode and threads."""

    family = "witness"
    seen: ClassVar[list[Tensor]] = []
    threads: ClassVar[set[int]] = set()

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        self.output = ports[0]

    def forward(self, *inputs: Any, context: Context) -> Any:
        Witness.seen.append(inputs[0].detach().clone())
        Witness.threads.add(torch.get_num_threads())
        return inputs[0]


class Pull(Module):
    """The identity, which adds to the objective: its weight's distance from `towards`."""

    family = "pull"

    def __init__(self, ports: tuple[Port, ...], *, towards: float) -> None:
        super().__init__()
        self.output, self.towards = ports[0], towards
        self.weight = nn.Parameter(torch.empty(2, 2))

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.zeros_(self.weight)

    def forward(self, *inputs: Any, context: Context) -> Any:
        if self.training:
            context.add_loss("pull", (self.weight - self.towards).square().sum())
        return inputs[0]


FOREIGN = Families([Witness, Pull])


@pytest.fixture(autouse=True)
def _forget() -> None:
    Witness.seen.clear()
    Witness.threads.clear()


@pytest.fixture
def pool(tmp_path: FilePath) -> Pool:
    return Pool(tmp_path)


def run_all(pool: Pool, candidates: list[Candidate], *tasks: Task, cache_bytes: int = 1 << 30) -> list[Result]:
    trainer = Trainer(pool, FOREIGN, cache_bytes)
    for task in tasks:
        trainer.provide(task.without_test())
    return trainer.run(candidates)


def run(pool: Pool, wanted: Candidate, *tasks: Task) -> Result:
    result = run_all(pool, [wanted], *tasks)[0]
    assert result.ok, result.failure
    return result


def outcome(result: Result) -> Result:
    """What of a result does not depend on the clock."""
    return replace(result, seconds=0.0, cpu_seconds=0.0)


def work_of(task: Task, path: Path) -> Work:
    return Work(task.name, task, assembled(path), prepare(task, "train"), prepare(task, "validation"))


# -- the same again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [
    {},
    {"optimizer": "sgd", "momentum": 0.9},
    {"augment": Augment(rotate=9, views=2)},
    {"augment": Augment(rotate=9, views=0)},
], ids=["adamw", "sgd", "views", "changes"])
def test_equal_candidates_give_equal_bits(tmp_path: FilePath, training: dict[str, Any]) -> None:
    task = images()
    path = chain(Image(1, 6, 6), Draft("conv", ModuleSpec("conv", {"channels": 3, "norm": "batch"})),
                 Draft("flat", ModuleSpec("flatten")), head(2, seed=None))
    wanted = candidate(path, task, evaluate_every=5, optimizer_state=True, **training)
    other = candidate(path, task, run=7, **training)
    alone = run(Pool(tmp_path / "a"), wanted, task)
    after_others = run_all(Pool(tmp_path / "b"), [other, wanted], task)[1]
    assert outcome(alone) == outcome(after_others)
    assert alone.blobs.keys() == {"conv", "flat", "head"} == alone.optimizers.keys()


def test_another_order_or_repeat_gives_other_weights(pool: Pool) -> None:
    task = clusters()
    drawn = chain(Vector(4), linear("body", 16, seed=None), head(seed=None))
    base = run(pool, candidate(MLP, task), task)
    assert run(pool, candidate(MLP, task, order=1), task).blobs != base.blobs
    assert run(pool, candidate(MLP, task, run=1), task).blobs != base.blobs
    # With explicit seeds another repeat changes nothing here: nothing is drawn in training.
    assert run(pool, candidate(MLP, task, repeat=1), task).blobs == base.blobs
    starts = [run(pool, candidate(drawn, task, repeat=r, steps=0), task).blobs for r in (0, 1)]
    assert starts[0]["body"] != starts[1]["body"]
    assert starts[0]["head"] != starts[1]["head"]


def test_drafts_without_a_seed_start_apart(pool: Pool) -> None:
    task = clusters()
    twins = chain(Vector(4), linear("a", 4, seed=None), linear("b", 4, seed=None), head(seed=None))
    blobs = run(pool, candidate(twins, task, steps=0), task).blobs
    assert blobs["a"] != blobs["b"]


def test_contestants_see_the_same_batches(pool: Pool) -> None:
    task = clusters()
    seen = []
    for seed, lr in ((1, 0.01), (2, 0.1)):
        Witness.seen.clear()
        path = chain(Vector(4), Draft("w", ModuleSpec("witness")), linear("body", 8, seed=seed), head(seed=seed))
        run(pool, candidate(path, task, lr=lr), task)
        seen.append(list(Witness.seen))
    assert len(seen[0]) == 21  # 20 batches and the validation split
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))


@pytest.mark.parametrize("views", [0, 3])
def test_contestants_see_the_same_changed_images(pool: Pool, views: int) -> None:
    task = images()
    seen = []
    for seed in (1, 2):
        Witness.seen.clear()
        watch, flat = Draft("w", ModuleSpec("witness")), Draft("flat", ModuleSpec("flatten"))
        path = chain(Image(1, 6, 6), watch, flat, head(2, seed=seed))
        run(pool, candidate(path, task, augment=Augment(rotate=30, views=views, clean=False), batch=24), task)
        seen.append(list(Witness.seen))
    assert all(torch.equal(a, b) for a, b in zip(*seen, strict=True))
    originals = {x.numpy().tobytes() for x in prepare(task, "train").values["x"]}
    assert not any(x.numpy().tobytes() in originals for x in seen[0][0])
    distinct = {x.numpy().tobytes() for batch in seen[0][:20] for x in batch}
    assert len(distinct) == (20 * 24 if views == 0 else 3 * 24)


def test_nothing_global_changes(pool: Pool) -> None:
    task = clusters()
    drawn = chain(Vector(4), linear("body", 8, seed=None), Draft("w", ModuleSpec("witness")), head(seed=None))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        states = torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # noqa: NPY002
        run(pool, candidate(drawn, task), task)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert np.random.get_state()[1].tobytes() == states[1]  # noqa: NPY002
        assert random.getstate() == states[2]
        assert Witness.threads == {1}
        assert torch.get_num_threads() == 2
        with pytest.raises(DataError):
            run_all(pool, [candidate(MLP, task)])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


# -- against a loop written by hand -------------------------------------------------------------------------


def by_hand(task: Task, training: Training, batches: Tensor) -> nn.Sequential:
    """Torch's own optimizers on a plain network, with the schedule, clipping and decay written out."""
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    for layer, ref in ((model[0], linear("body", 16)), (model[2], head())):
        port = Vector(4 if layer is model[0] else 16)
        layer.load_state_dict(build(ref.spec, [port], torch_generator("init", 0)).linear.state_dict())
    weights = [model[0].weight, model[2].weight]
    biases = [model[0].bias, model[2].bias]
    groups = [{"params": weights, "weight_decay": training.weight_decay}, {"params": biases, "weight_decay": 0.0}]
    if training.optimizer == "sgd":
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            groups, lr=1.0, momentum=training.momentum, nesterov=training.nesterov, foreach=False)
    else:
        optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, training.beta2), foreach=False)
    x, y = task.splits["train"].inputs["x"], task.splits["train"].targets
    warm = round(training.warmup * training.steps)
    for step, index in enumerate(batches):
        rate = training.lr
        if step < warm:
            rate *= (step + 1) / warm
        elif training.schedule == "cosine":
            rate *= (1 + np.cos(np.pi * (step - warm) / (training.steps - warm))) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        F.cross_entropy(model(x[index]), y[index], label_smoothing=training.label_smoothing).backward()
        if training.clip:
            nn.utils.clip_grad_norm_(model.parameters(), training.clip)
        optimizer.step()
    return model


@pytest.mark.parametrize("training", [
    Training(optimizer="sgd", lr=0.1, schedule="constant", warmup=0.0, steps=30, batch=8),
    Training(optimizer="sgd", lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.02, warmup=0.3, steps=30, batch=8),
    Training(optimizer="sgd", lr=0.3, momentum=0.5, clip=0.2, label_smoothing=0.1, warmup=0.0, steps=30, batch=7),
    Training(lr=0.01, weight_decay=0.1, warmup=0.2, steps=30, batch=8),
    Training(lr=0.01, beta2=0.9, clip=0.5, label_smoothing=0.2, schedule="constant", steps=30, batch=64),
], ids=["sgd", "nesterov", "clipped", "adamw", "large-batch"])
def test_training_equals_a_loop_written_by_hand(pool: Pool, training: Training) -> None:
    task = clusters()
    wanted = Candidate({task.name: MLP}, training, {task.name: task.fingerprint})
    result = run(pool, wanted, task)
    model = by_hand(task, training, batch_order(wanted, work_of(task, MLP)))
    for name, layer in (("body", model[0]), ("head", model[2])):
        for key, value in pool.get(result.blobs[name]).items():
            torch.testing.assert_close(value, layer.state_dict()[key.removeprefix("linear.")], rtol=1e-4, atol=1e-5)
    validation = task.splits["validation"]
    with torch.no_grad():
        outputs = model(validation.inputs["x"])
    measured = result.measures[task.name]
    assert measured.validation == float((outputs.argmax(1) == validation.targets).double().mean())
    assert measured.loss == pytest.approx(float(F.cross_entropy(outputs, validation.targets)), rel=1e-4)
    assert (measured.quality, measured.samples) == (measured.validation, 30)


def test_losses_that_modules_add_are_trained_on(pool: Pool) -> None:
    task = clusters()
    path = chain(Vector(4), Draft("pull", ModuleSpec("pull", {"towards": 3.0})), head())
    result = run(pool, candidate(path, task, optimizer="sgd", lr=0.5, schedule="constant", warmup=0.0, steps=1), task)
    # From 0 with the gradient 2 (w - 3) = -6, times 0.5.
    assert pool.get(result.blobs["pull"])["weight"].tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert result.measures[task.name].loss < 5  # the added loss is no part of the measure


def test_regression_learns_and_is_measured_by_r2(pool: Pool) -> None:
    task = plane()
    path = chain(Vector(4), Draft("out", ModuleSpec("regressor", {"values": 2}), Init(0)))
    result = run(pool, candidate(path, task, steps=150, lr=0.1), task)
    measured = result.measures[task.name]
    assert measured.validation > 0.99
    assert measured.quality == measured.validation
    weights = pool.get(result.blobs["out"])
    split = task.splits["validation"]
    outputs = split.inputs["x"] @ weights["linear.weight"].T + weights["linear.bias"]
    assert measured.loss == pytest.approx(float(F.mse_loss(outputs, split.targets)), rel=1e-4)


def test_a_batch_may_be_larger_than_the_data(pool: Pool) -> None:
    task = clusters(n=6)
    path = chain(Vector(4), Draft("w", ModuleSpec("witness")), head())
    run(pool, candidate(path, task, batch=15, steps=2), task)
    x = task.splits["train"].inputs["x"]
    first = Witness.seen[0]
    assert first.shape == (15, 4)
    times = (first[:, None] == x[None]).all(2).sum(0)
    assert sorted(times.tolist()) == [2, 2, 2, 3, 3, 3]


# -- what is kept -------------------------------------------------------------------------------------------

ROUGH = {"optimizer": "sgd", "lr": 3.0, "schedule": "constant", "warmup": 0.0, "steps": 30}


def remeasured(pool: Pool, wanted: Candidate, result: Result, task: Task) -> Result:
    """The trained path, measured again without training."""
    return run(pool, candidate(wanted.trained_paths(result)[task.name], task, steps=0), task)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_kept_weights_are_those_measured(pool: Pool, keep: str) -> None:
    task = clusters(spread=1.5)
    wanted = candidate(MLP, task, evaluate_every=1, keep=keep, **ROUGH)
    result = run(pool, wanted, task)
    steps, values = [s for s, _, _ in result.curve], [v for _, _, v in result.curve]
    assert steps == list(range(1, 31))
    assert max(values) > values[-1]  # else this test could not tell them apart
    kept = result.measures[task.name]
    assert kept.validation == (max(values) if keep == "best" else values[-1])
    again = remeasured(pool, wanted, result, task)
    assert again.measures == result.measures
    assert again.curve == ((0, task.name, kept.validation),)


def test_the_best_of_equal_qualities_has_the_lowest_loss(pool: Pool) -> None:
    task, rough = clusters(spread=0.9), {**ROUGH, "lr": 0.5}
    result = run(pool, candidate(MLP, task, evaluate_every=1, **rough), task)
    best = result.measures[task.name]
    losses = []
    for step, _, value in result.curve:
        if value == best.validation:
            at = run(pool, candidate(MLP, task, **{**rough, "steps": step}), task)
            assert at.measures[task.name].validation == value
            losses.append(at.measures[task.name].loss)
    assert min(losses) not in (losses[0], losses[-1])  # else the first or the last would do
    assert best.loss == min(losses)


def test_the_kept_optimizer_state_is_that_of_the_kept_step(pool: Pool) -> None:
    task = clusters(spread=1.5)
    rough = {**ROUGH, "momentum": 0.5}
    result = run(pool, candidate(MLP, task, evaluate_every=1, optimizer_state=True, **rough), task)
    found = [
        run(pool, candidate(MLP, task, optimizer_state=True, **{**rough, "steps": step}), task)
        for step, _, value in result.curve if value == result.measures[task.name].validation
    ]
    assert all(step < 30 for step, _, value in result.curve if value == result.measures[task.name].validation)
    assert (dict(result.blobs), dict(result.optimizers)) in [(dict(r.blobs), dict(r.optimizers)) for r in found]


def test_where_the_last_step_is_best_its_optimizer_state_is_kept(pool: Pool) -> None:
    task = plane()
    path = chain(Vector(4), Draft("out", ModuleSpec("regressor", {"values": 2}), Init(0)))
    often = run(pool, candidate(path, task, evaluate_every=4, optimizer_state=True), task)
    assert [v for _, _, v in often.curve] == sorted(v for _, _, v in often.curve)
    last = run(pool, candidate(path, task, keep="last", optimizer_state=True), task)
    assert (often.blobs, often.optimizers) == (last.blobs, last.optimizers)


def test_measurements_on_the_way_change_nothing(pool: Pool) -> None:
    task = images()
    path = chain(Image(1, 6, 6), Draft("conv", ModuleSpec("conv", {"channels": 3, "norm": "batch"}), Init(0)),
                 Draft("flat", ModuleSpec("flatten"), Init(0)), head(2))
    often = run(pool, candidate(path, task, evaluate_every=3, keep="last"), task)
    assert often.blobs == run(pool, candidate(path, task, keep="last"), task).blobs
    assert [s for s, _, _ in often.curve] == [3, 6, 9, 12, 15, 18, 20]


def test_without_steps_a_candidate_is_only_measured(pool: Pool) -> None:
    task = clusters()
    result = run(pool, candidate(MLP, task, steps=0, optimizer_state=True), task)
    assert result.curve == ((0, task.name, result.measures[task.name].validation),)
    start = build(linear("body", 16).spec, [Vector(4)], torch_generator("init", 0))
    assert same(pool.get(result.blobs["body"]), start.state_dict())
    again = remeasured(pool, candidate(MLP, task, steps=0), result, task)
    assert again.measures == result.measures
    assert again.blobs == {}
    assert (again.trainable, again.parameters) == (0, result.parameters)


def test_a_warm_start_without_steps_keeps_its_blob(pool: Pool) -> None:
    task = clusters()
    first = run(pool, candidate(MLP, task), task)
    warm = MLP.map_refs(lambda ref: replace(ref, start=Warm(first.blobs[ref.name])) if isinstance(ref, Draft) else ref)
    again = run(pool, candidate(warm, task, steps=0), task)
    assert again.blobs == first.blobs
    assert again.measures == first.measures
    later = run(pool, candidate(warm, task), task)
    assert set(later.blobs.values()).isdisjoint(first.blobs.values())
    assert all(pool.intact(blob) for blob in first.blobs.values())


def test_the_counts_are_those_of_the_path(pool: Pool) -> None:
    task = clusters()
    kept = frozen(pool, ModuleSpec("linear", {"dim": 5}), Vector(4))
    path = chain(Vector(4), kept, head())
    result = run(pool, candidate(path, task, steps=1), task)
    assert (result.parameters, result.trainable, result.flops) == (25 + 18, 18, path.costs().flops)
    assert result.blobs.keys() == {"head"}
    assert result.seconds > 0
    assert result.cpu_seconds > 0


def test_the_candidate_says_what_the_trainer_is_told(pool: Pool) -> None:
    task = clusters()
    wanted = candidate(MLP, task, steps=0)
    result = run(pool, wanted, task)
    assert result.candidate == wanted.hash
    path = wanted.trained_paths(result)[task.name]
    assert set(path.frozen()) == set(result.blobs.values())
    assert Result.from_json(result.to_json()) == result


@pytest.mark.parametrize("fitness", ["validation", "training"])
def test_fitness_is_of_validation_or_of_the_batches_as_they_were_seen(pool: Pool, fitness: str) -> None:
    task = clusters(spread=1.5)
    wanted = candidate(MLP, task, fitness=fitness, steps=12, evaluate_every=1)
    result = run(pool, wanted, task)
    right, batches = 0, batch_order(wanted, work_of(task, MLP))
    train = task.splits["train"]
    for step, index in enumerate(batches):  # the weights before each step, from shorter runs
        before = by_hand(task, wanted.training, batches[:step])
        right += int((before(train.inputs["x"][index]).argmax(1) == train.targets[index]).sum())
    measured = result.measures[task.name]
    assert measured.fitness == pytest.approx(right / batches.numel() if fitness == "training" else measured.quality)


def test_fitness_of_values_is_the_negated_error(pool: Pool) -> None:
    task = plane()
    path = chain(Vector(4), Draft("out", ModuleSpec("regressor", {"values": 2}), Init(0)))
    wanted = candidate(path, task, fitness="training", steps=1)
    start = build(path.drafts()["out"].spec, [Vector(4)], torch_generator("init", 0)).linear
    index = batch_order(wanted, work_of(task, path))[0]
    split = task.splits["train"]
    error = float(F.mse_loss(start(split.inputs["x"][index]), split.targets[index]).detach())
    assert run(pool, wanted, task).measures[task.name].fitness == pytest.approx(-error)


@pytest.mark.parametrize("steps", [0, 3])
def test_quality_on_several_views_of_the_validation_images(pool: Pool, steps: int) -> None:
    """`validation` is of the images as they are, `quality` of all views, and the views are the same for everyone."""
    task, augment = images(n=60), Augment(rotate=60, translate=2, views=2)
    path = chain(Image(1, 6, 6), Draft("flat", ModuleSpec("flatten"), Init(0)), head(2))
    wanted = candidate(path, task, augment=augment, score_views=4, steps=steps)
    result = run(pool, wanted, task)
    weights = pool.get(result.blobs["head"])
    views = prepare(task, "validation", replace(augment, views=4)).values["x"]
    right = (views.flatten(1) @ weights["linear.weight"].T + weights["linear.bias"]).argmax(1).reshape(4, -1)
    right = (right == task.splits["validation"].targets).double()
    measured = result.measures[task.name]
    assert measured.validation == pytest.approx(float(right[0].mean()))
    assert measured.quality == pytest.approx(float(right.mean()))
    assert measured.quality != measured.validation
    plain = run(pool, candidate(path, task, augment=augment, steps=steps), task)
    assert plain.blobs == result.blobs
    assert plain.measures[task.name].quality == plain.measures[task.name].validation == measured.validation


# -- failures -----------------------------------------------------------------------------------------------


def test_a_candidate_that_becomes_nan_fails_alone_and_names_the_step(pool: Pool) -> None:
    task = plane()
    path = chain(Vector(4), linear("body", 8), Draft("out", ModuleSpec("regressor", {"values": 2}), Init(0)))
    explosive = {"optimizer": "sgd", "lr": 100.0, "schedule": "constant", "warmup": 0.0}
    good = candidate(path, task)
    results = run_all(pool, [good, candidate(path, task, steps=60, **explosive), good], task)
    assert [r.ok for r in results] == [True, False, True]
    assert results[0].blobs == results[2].blobs == run(pool, good, task).blobs
    failed = results[1]
    assert failed.failure.startswith("FloatingPointError: the loss became ")
    step = int(failed.failure.rpartition("at step ")[2])
    assert (failed.blobs, failed.measures, failed.quality) == ({}, {}, float("-inf"))
    assert failed.parameters == results[0].parameters
    # Up to that step there was a loss; the weights may have been lost before, which measuring tells.
    shorter = run_all(pool, [candidate(path, task, steps=step, **explosive)], task)[0]
    assert shorter.ok or f"on task 'plane' after {step} steps" in shorter.failure
    assert not run_all(pool, [candidate(path, task, steps=step + 1, **explosive)], task)[0].ok


def test_validation_outputs_that_become_nan_name_task_and_step(pool: Pool) -> None:
    task = plane()
    path = chain(Vector(4), Draft("out", ModuleSpec("regressor", {"values": 2}), Init(0)))
    huge = {"linear.weight": torch.full((2, 4), 1e38), "linear.bias": torch.zeros(2)}
    blob = pool.put(path.drafts()["out"].spec, huge)
    broken = path.map_refs(lambda ref: Frozen(blob, ref.spec))
    result = run_all(pool, [candidate(broken, task, steps=0)], task)[0]
    assert result.failure == (
        "FloatingPointError: validation outputs became NaN or infinite on task 'plane' after 0 steps"
    )


def test_an_added_loss_that_is_nan_fails(pool: Pool) -> None:
    task = clusters()
    path = chain(Vector(4), Draft("pull", ModuleSpec("pull", {"towards": 1e30})), head())
    assert "the loss became inf at step 0" in run_all(pool, [candidate(path, task)], task)[0].failure


def test_drafts_without_a_gradient_fail_with_the_reason(pool: Pool) -> None:
    task = clusters()
    path = chain(Vector(4), linear("body", 3), Draft("stop", ModuleSpec("detach")))
    result = run_all(pool, [candidate(path, task)], task)[0]
    assert "does not require grad" in result.failure


def test_wrong_starts_fail_with_the_reason(pool: Pool) -> None:
    task = clusters()
    first = run(pool, candidate(MLP, task, optimizer_state=True), task)
    start = Warm(first.blobs["body"], first.optimizers["body"])
    warm = chain(Vector(4), replace(linear("body", 16), start=start), head())
    result = run_all(pool, [candidate(warm, task, optimizer="sgd", momentum=0.9)], task)[0]
    assert result.failure.startswith("ValueError: `optimizer` state must hold ['momentum_buffer']")


def test_what_is_not_there_is_raised(pool: Pool) -> None:
    task = clusters()
    with pytest.raises(DataError, match=r"the data of task 'clusters' was not provided .* `provide\(task\)`"):
        run_all(pool, [candidate(MLP, task)])
    missing = chain(Vector(4), Frozen("a" * 64, linear("body", 16).spec), head())
    with pytest.raises(BlobError, match=r"module aaaaaaaaaaaa in .* cannot be read"):
        run_all(pool, [candidate(missing, task)], task)
    with pytest.raises(ConfigError, match="`augment` changes images"):
        run_all(pool, [candidate(MLP, task, augment=Augment(rotate=10))], task)


# -- optimizer state ----------------------------------------------------------------------------------------


def one_sample() -> Task:
    """A regression task with a single training sample, so that all batches are the same."""
    task = plane()
    first = Split({"x": task.splits["train"].inputs["x"][:1]}, task.splits["train"].targets[:1])
    return Task("one", {"x": Vector(4)}, Values(2), {**task.splits, "train": first})


@pytest.mark.parametrize("training", [{}, {"optimizer": "sgd", "momentum": 0.9, "lr": 0.01}], ids=["adamw", "sgd"])
def test_training_in_two_halves_is_training_at_once(pool: Pool, training: dict[str, Any]) -> None:
    """With a constant rate, and the state of the optimizer taken over, to the bit; without that state not."""
    task = one_sample()
    path = chain(Vector(4), linear("body", 8), Draft("out", ModuleSpec("regressor", {"values": 2}), Init(1)))
    fixed = {"schedule": "constant", "warmup": 0.0, "batch": 1, "keep": "last", **training}
    at_once = run(pool, candidate(path, task, steps=14, optimizer_state=True, **fixed), task)
    half = run(pool, candidate(path, task, steps=7, optimizer_state=True, **fixed), task)

    def second(with_state: bool) -> Result:
        def start(ref: Any) -> Draft:
            return replace(ref, start=Warm(half.blobs[ref.name], half.optimizers[ref.name] if with_state else None))

        return run(pool, candidate(path.map_refs(start), task, steps=7, optimizer_state=True, **fixed), task)

    assert second(True).blobs == at_once.blobs
    assert second(True).optimizers == at_once.optimizers
    assert second(False).blobs != at_once.blobs
    assert {pool.kind(blob) for blob in half.optimizers.values()} == {"optimizer"}


def test_optimizer_state_is_kept_only_when_asked(pool: Pool) -> None:
    task = clusters()
    assert run(pool, candidate(MLP, task), task).optimizers == {}
    kept = run(pool, candidate(MLP, task, optimizer_state=True), task)
    state = pool.get(kept.optimizers["head"])
    assert state.keys() == {f"linear.{p}::{k}" for p in ("weight", "bias") for k in ("step", "exp_avg", "exp_avg_sq")}
    assert float(state["linear.bias::step"]) == 20


# -- the frozen prefix --------------------------------------------------------------------------------------


def prefixed(pool: Pool, names: tuple[str, ...] = ("first", "watch", "head")) -> Path:
    kept = frozen(pool, ModuleSpec("linear", {"dim": 6, "activation": "tanh"}), Vector(4))
    one, two, three = names
    steps = {one: Step((kept,), ("x",)), two: Step((watching(pool),), (one,)), three: Step((head(),), (two,))}
    return Path({"x": Vector(4)}, steps, three)


def watching(pool: Pool) -> Frozen:
    spec = ModuleSpec("witness")
    return Frozen(pool.put(spec, {}), spec)


def test_cached_prefix_activations_agree_to_rounding(pool: Pool) -> None:
    task = clusters()
    wanted = candidate(prefixed(pool), task, evaluate_every=5)
    cached = run_all(pool, [wanted], task)[0]
    calls = len(Witness.seen)
    uncached = run_all(pool, [wanted], task, cache_bytes=0)[0]
    assert calls == 2  # the training and the validation split, once each
    assert len(Witness.seen) - calls == 20 + 4  # every batch, and four measurements
    assert cached.ok
    for key, value in pool.get(cached.blobs["head"]).items():
        torch.testing.assert_close(pool.get(uncached.blobs["head"])[key], value, rtol=1e-4, atol=1e-5)
    assert cached.measures[task.name].loss == pytest.approx(uncached.measures[task.name].loss, rel=1e-4)


def test_a_prefix_is_computed_once_for_all_candidates_that_share_it(pool: Pool) -> None:
    task = clusters()
    other_names = prefixed(pool, names=("a", "b", "c"))
    path = prefixed(pool)
    candidates = [candidate(path, task), candidate(path, task, lr=0.1), candidate(other_names, task)]
    results = run_all(pool, candidates, task)
    assert len(Witness.seen) == 2
    assert results[0].blobs == results[2].blobs != results[1].blobs


def test_a_longer_prefix_shares_the_work_of_its_beginning(pool: Pool) -> None:
    task = clusters()
    kept = frozen(pool, ModuleSpec("linear", {"dim": 6, "activation": "tanh"}), Vector(4))
    more = frozen(pool, ModuleSpec("linear", {"dim": 5}), Vector(6))
    short = chain(Vector(4), watching(pool), kept, head())
    long = chain(Vector(4), watching(pool), kept, more, head())
    results = run_all(pool, [candidate(long, task), candidate(short, task)], task)
    assert len(Witness.seen) == 2
    assert results[1].blobs == run(pool, candidate(short, task), task).blobs


def test_images_changed_in_every_batch_run_through_the_prefix_each_time(pool: Pool) -> None:
    task = images()
    path = chain(Image(1, 6, 6), watching(pool), Draft("flat", ModuleSpec("flatten")), head(2))
    run(pool, candidate(path, task, augment=Augment(rotate=30, views=0), steps=5), task)
    assert sorted(len(x) for x in Witness.seen) == [8] * 5 + [24]


def test_frozen_blobs_and_their_files_are_left_alone(pool: Pool) -> None:
    task = images()
    norm = frozen(pool, ModuleSpec("conv", {"channels": 3, "norm": "batch"}), Image(1, 6, 6))
    own = Draft("own", ModuleSpec("conv", {"channels": 3, "norm": "batch"}), Init(0))
    lora = Draft("lora", ModuleSpec("lora", {"rank": 1, "target": "conv.weight"}), Init(0))
    path = Path({"x": Image(1, 6, 6)}, {
        "conv": Step((norm, own), ("x",), deltas=(DeltaRef(0, lora),)),
        "flat": Step((Draft("flat", ModuleSpec("flatten")),), ("conv",)),
        "head": Step((head(2),), ("flat",)),
    }, "head")
    before = pool.path(norm.id).read_bytes()
    result = run(pool, candidate(path, task, lr=0.1), task)
    assert pool.path(norm.id).read_bytes() == before
    assert same(pool.get(norm.id), pool.get(norm.id, fresh=True))
    assert result.blobs.keys() == {"own", "lora", "flat", "head"}
    assert pool.get(result.blobs["lora"])["up"].abs().sum() > 0
    start = build(own.spec, [Image(1, 6, 6)], torch_generator("init", 0)).state_dict()
    assert not torch.equal(pool.get(result.blobs["own"])["norm.running_mean"], start["norm.running_mean"])
    trained = candidate(path, task, steps=0).trained_paths(result)[task.name]
    assert run(pool, candidate(trained, task, steps=0), task).measures == result.measures


# -- starts of the head -------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["zeros", "class_means", "discriminant", "random"])
def test_heads_start_as_told(pool: Pool, init: str) -> None:
    task = clusters(spread=0.3)
    path = chain(Vector(4), linear("body", 16), head())
    result = run(pool, candidate(path, task, steps=0, head_init=init), task)
    weights, value = pool.get(result.blobs["head"]), result.measures[task.name].validation
    if init == "zeros":
        assert not any(t.any() for t in weights.values())
    elif init == "random":
        assert weights["linear.weight"].any()
        assert not weights["linear.bias"].any()
    else:
        assert value > 0.9


def test_only_fresh_heads_get_a_start(pool: Pool) -> None:
    task = clusters()
    first = run(pool, candidate(MLP, task), task)
    warm = MLP.map_refs(lambda ref: replace(ref, start=Warm(first.blobs[ref.name])) if isinstance(ref, Draft) else ref)
    again = run(pool, candidate(warm, task, steps=0, head_init="zeros"), task)
    assert again.blobs == first.blobs
    regress = chain(Vector(4), Draft("out", ModuleSpec("regressor", {"values": 2}), Init(0)))
    zeros = run(pool, candidate(regress, plane(), steps=0, head_init="zeros"), plane())
    assert not any(t.any() for t in pool.get(zeros.blobs["out"]).values())


# -- several tasks ------------------------------------------------------------------------------------------


def joint_paths(body: Draft) -> dict[str, Path]:
    out = Draft("out", ModuleSpec("regressor", {"values": 2}), Init(2))
    return {"clusters": chain(Vector(4), body, head()), "plane": chain(Vector(4), body, out)}


@pytest.mark.parametrize("sampler", ["joint", "proportional"])
def test_joint_candidates_share_drafts_and_both_heads_learn(pool: Pool, sampler: str) -> None:
    tasks = clusters(), plane()
    body = linear("body", 24)
    paths = joint_paths(body)
    wanted = candidate(paths, *tasks, steps=250, lr=0.02, sampler=sampler)
    result = run(pool, wanted, *tasks)
    start = run(pool, candidate(paths, *tasks, steps=0), *tasks)
    assert result.blobs.keys() == {"body", "head", "out"}
    assert result.measures["clusters"].validation > 0.8 > start.measures["clusters"].validation + 0.1
    assert result.measures["plane"].validation > 0.8 > start.measures["plane"].validation + 0.1
    assert result.quality == pytest.approx(sum(m.quality for m in result.measures.values()) / 2)
    assert result.parameters == result.trainable == 5 * 24 + 25 * 3 + 25 * 2
    trained = wanted.trained_paths(result)
    assert trained["clusters"].steps["s0"] == trained["plane"].steps["s0"]
    again = run(pool, candidate(trained, *tasks, steps=0), *tasks)
    assert again.measures == result.measures


def test_a_joint_step_descends_the_mean_of_the_losses(pool: Pool) -> None:
    tasks = clusters(), plane()
    once = {"optimizer": "sgd", "lr": 0.1, "schedule": "constant", "warmup": 0.0, "steps": 1}
    body = linear("body", 6)
    paths = joint_paths(body)
    start = pool.get(run(pool, candidate(paths, *tasks, steps=0), *tasks).blobs["body"])
    both = pool.get(run(pool, candidate(paths, *tasks, **once), *tasks).blobs["body"])
    alone = [pool.get(run(pool, candidate(paths[t.name], t, **once), t).blobs["body"]) for t in tasks]
    for name, value in both.items():
        mean = sum(moved[name] - start[name] for moved in alone) / 2
        torch.testing.assert_close(value - start[name], mean, rtol=1e-4, atol=1e-6)


def test_a_task_alone_and_in_company_sees_the_same_batches(pool: Pool) -> None:
    tasks = clusters(), plane()
    watch = Draft("w", ModuleSpec("witness"))
    alone = chain(Vector(4), watch, head())
    run(pool, candidate(alone, tasks[0]), tasks[0])
    seen = list(Witness.seen)[:20]
    Witness.seen.clear()
    paths = {"clusters": alone, "plane": joint_paths(linear("body", 4))["plane"]}
    run(pool, candidate(paths, *tasks), *tasks)
    assert all(torch.equal(a, b) for a, b in zip(seen, Witness.seen[:20], strict=True))


def test_one_thread_is_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    seen = []
    with pytest.raises(ZeroDivisionError), one_thread():
        seen.append(torch.get_num_threads() // 0)
    assert seen == []
    assert torch.get_num_threads() == before
