"""Benchmarks of training: stacks of MLPs, candidates behind a frozen trunk, a plain epoch, the memory of a stack."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path as FilePath
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.candidate import Candidate, Training
from pathways.create import install_root
from pathways.data import load
from pathways.engine import Dispatch
from pathways.evolve import Local
from pathways.evolve.paths import fresh, with_head
from pathways.modules import Draft, Frozen, Init, ModuleSpec, Vector, Warm, facts
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.seeds import torch_generator
from pathways.stack_plan import plan
from pathways.task import Classes, Split, Task
from pathways.trainer import Trainer, one_thread
from pathways.trainer.fit import Work, measure_all
from pathways.trainer.prefix_cache import PrefixCache
from pathways.trainer.samples import Samples

from .row import Row, compare, row_of

# -- MLPs on two cores ------------------------------------------------------------------------------------

MLPS, MLP_STEPS, MLP_BATCH = 16, 100, 128


def mlps(pairs: int) -> Iterator[Row]:
    """16 MLPs 784-64-64-10 on two cores: two stacks of 8 against two processes of eager modules."""
    task = _vectors(2000, 500)
    spawn = get_context("spawn")
    folder = tempfile.TemporaryDirectory()
    with folder as name, Local(workers=2) as engine, ProcessPoolExecutor(2, mp_context=spawn) as processes:
        engine.open(FilePath(name) / "pool")
        engine.provide(task)
        numbers = iter(range(10**6))

        def ours() -> float:
            candidates = [_mlp_candidate(task, k, next(numbers)) for k in range(MLPS)]
            begun = time.perf_counter()
            for half in (candidates[::2], candidates[1::2]):
                engine.submit(Dispatch(next(numbers), tuple(half), True, (1, 1, 1)))
            for _ in range(2):
                answer = engine.next()
                assert answer is not None
                assert all(result.ok and result.stack == MLPS // 2 for result in answer.results)
            return MLPS * MLP_STEPS / (time.perf_counter() - begun)

        def theirs() -> float:
            begun = time.perf_counter()
            done = [processes.submit(_eager_mlps, _plain(task), MLPS // 2) for _ in range(2)]
            for each in done:
                each.result()
            return MLPS * MLP_STEPS / (time.perf_counter() - begun)

        yield compare("mlps-two-cores", ours, theirs, unit="steps/s", goal=2.0, pairs=pairs,
                      note="SGD with momentum 0.9, batch 128, 100 steps, 500 validation samples; data sent beforehand "
                      "on our side, with the work on theirs")


def _mlp_candidate(task: Task, k: int, order: int) -> Candidate:
    hidden = ModuleSpec("linear", {"dim": 64, "activation": "relu"})
    steps = {
        "a": Step((Draft("a", hidden, Init(k)),), ("x",)), "b": Step((Draft("b", hidden, Init(k)),), ("a",)),
        "head": Step((Draft("head", ModuleSpec("classifier", {"classes": 10}), Init(k)),), ("b",)),
    }
    training = Training(optimizer="sgd", lr=0.01, momentum=0.9, steps=MLP_STEPS, batch=MLP_BATCH, schedule="constant",
                        warmup=0.0)
    path = Path(task.inputs, steps, "head")
    return Candidate({task.name: path}, training, {task.name: task.fingerprint}, order=order)


def _plain(task: Task) -> dict[str, Tensor]:
    return {f"{part}_{name}": value for name in ("train", "validation") for part, value in (
        ("x", cast(Tensor, task.splits[name].inputs["x"])), ("y", task.splits[name].targets))}  # fmt: skip


def _eager_mlps(data: dict[str, Tensor], count: int) -> float:
    """What a process of the other side does: one MLP after another; returns the mean validation accuracy."""
    torch.set_num_threads(1)
    accuracy = 0.0
    order = torch.randint(0, len(data["y_train"]), (MLP_STEPS, MLP_BATCH))
    for _ in range(count):
        net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        for index in order:
            loss = F.cross_entropy(net(data["x_train"][index]), data["y_train"][index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = net(data["x_validation"]).argmax(1) == data["y_validation"]
            accuracy += float(right.float().mean()) / count
    return accuracy


def _vectors(train: int, validation: int) -> Task:
    generator = torch_generator("benchmark", "vectors")
    centres = torch.rand(10, 784, generator=generator)

    def split(n: int) -> Split:
        targets = torch.arange(n) % 10
        return Split({"x": centres[targets] + 0.5 * torch.randn(n, 784, generator=generator)}, targets)

    splits = {"train": split(train), "validation": split(validation), "test": split(50)}
    return Task("vectors", {"x": Vector(784)}, Classes(10), splits)


# -- candidates behind a frozen trunk ---------------------------------------------------------------------

CANDIDATES, TRUNK_STEPS, TRUNK_BATCH = 8, 100, 128


def frozen_trunk(pairs: int) -> Iterator[Row]:
    """Candidates behind a frozen trunk on Omniglot, the cache built each time, against plain modules that recompute."""
    task = next(iter(load("omniglot", alphabets=["Glagolitic"])))
    with tempfile.TemporaryDirectory() as name:
        pool = Pool(FilePath(name) / "pool")
        whole = install_root("omniglot", pool)
        blocks = [step for step in whole.canonical_order if _weights(whole, step)]
        for kind, kept, trained, goal in (
            ("2-of-3", blocks[:3], blocks[2:3], 5.0), ("3-of-4", blocks, blocks[3:], 5.0),
            ("heads", blocks[:3], [], 15.0),
        ):
            root = Path(whole.inputs, whole.steps, kept[-1])
            candidates = [_behind(task, root, trained, k) for k in range(CANDIDATES)]
            ours, theirs = _cached(task, pool, candidates, FilePath(name)), _recomputed(task, pool, candidates)
            yield compare(
                f"frozen-trunk-{kind}", ours, theirs, unit="candidate-steps/s", goal=goal, pairs=pairs,
                floor=_flop_floor(root, trained) if trained else None,
                note=f"{CANDIDATES} candidates x {TRUNK_STEPS} steps of 128; trained: {trained or ['the head']} of "
                f"{kept}; building the cache in memory and on disk is part of our time",
            )


def _flop_floor(root: Path, trained: Sequence[str]) -> float:
    """The ratio of both sides' products: forward through all and back through what is trained, against that alone."""
    def flops(steps: Sequence[str]) -> int:
        ports = root.ports()
        reads = [tuple(ports[read] for read in root.steps[step].reads) for step in steps]
        specs = [root.steps[step].modules[0].spec for step in steps]
        return sum(facts(spec, ports).flops for spec, ports in zip(specs, reads, strict=True))

    own, every = flops(trained), flops(root.canonical_order)
    # Backward costs two products for each forward one; the first trained layer passes nothing on.
    back = 2 * own - flops(trained[:1])
    return (every + back) / (own + back)


def _weights(path: Path, step: str) -> bool:
    return any(path.costs().sizes[ref.id] for ref in path.steps[step].modules if isinstance(ref, Frozen))


def _behind(task: Task, root: Path, trained: Sequence[str], k: int) -> Candidate:
    def copied(step: Step) -> Step:
        return step.map_refs(lambda r: Draft(f"own-{r.id[:8]}", r.spec, Warm(r.id)) if isinstance(r, Frozen) else r)

    steps = {name: copied(step) if name in trained else step for name, step in root.steps.items()}
    path = with_head(Path(root.inputs, steps, root.output), task.target, inputs=task.inputs)
    training = Training(lr=1e-3 * (1 + k), steps=TRUNK_STEPS, batch=TRUNK_BATCH)
    return Candidate({task.name: path}, training, {task.name: task.fingerprint}, repeat=k)


def _cached(task: Task, pool: Pool, candidates: Sequence[Candidate], folder: FilePath) -> Callable[[], float]:
    def run() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            trainer = Trainer(pool, prefixes=PrefixCache(FilePath(cache)))
            trainer.provide(task)
            begun = time.perf_counter()
            [group] = plan(candidates, CANDIDATES, trainer.families).stacks or (None,)
            results = trainer.run(candidates, group is not None, group.slots if group else ())
            seconds = time.perf_counter() - begun
        assert all(result.ok for result in results)
        return CANDIDATES * TRUNK_STEPS / seconds

    return run


def _recomputed(task: Task, pool: Pool, candidates: Sequence[Candidate]) -> Callable[[], float]:
    trainer = Trainer(pool)
    trainer.provide(task)
    train, validation = (trainer.prepared(task, split, None) for split in ("train", "validation"))

    def run() -> float:
        begun = time.perf_counter()
        with one_thread():
            for candidate in candidates:
                models, drafts = trainer.assemble(candidate)
                model = models[task.name]
                _bare_loop(model, train.values, train.targets, TRUNK_STEPS, TRUNK_BATCH, candidate.training.lr,
                           [p for draft in drafts.values() for p in draft.parameters()])
                _bare_evaluation(model, validation.values, validation.targets)
        return CANDIDATES * TRUNK_STEPS / (time.perf_counter() - begun)

    return run


# -- one plain epoch --------------------------------------------------------------------------------------


def epoch(pairs: int) -> Iterator[Row]:
    """One supervised epoch of one candidate with nothing frozen, and its evaluation, against a bare PyTorch loop."""
    task = next(iter(load("omniglot", alphabets=["Glagolitic"])))
    with tempfile.TemporaryDirectory() as name:
        pool = Pool(FilePath(name) / "pool")
        root = install_root("omniglot", pool)
        trainer = Trainer(pool)
        trainer.provide(task)
        steps = 20
        path = with_head(fresh(root), task.target, inputs=task.inputs)
        numbers = iter(range(10**6))
        train = trainer.prepared(task, "train", None)
        validation = trainer.prepared(task, "validation", None)

        def candidate(**settings: Any) -> Candidate:
            training = Training(lr=1e-3, batch=128, schedule="constant", warmup=0.0, **settings)
            return Candidate({task.name: path}, training, {task.name: task.fingerprint}, order=next(numbers))

        def ours() -> float:
            asked = candidate(steps=steps)
            begun = time.perf_counter()
            [result] = trainer.run([asked])
            assert result.ok
            return steps * 128 / (time.perf_counter() - begun)

        def theirs() -> float:
            begun = time.perf_counter()
            with one_thread():
                models, drafts = trainer.assemble(candidate(steps=steps))
                model = models[task.name]
                _bare_loop(model, train.values, train.targets, steps, 128, 1e-3,
                           [p for draft in drafts.values() for p in draft.parameters()])
                _bare_evaluation(model, validation.values, validation.targets)
            return steps * 128 / (time.perf_counter() - begun)

        yield compare("plain-epoch", ours, theirs, unit="samples/s", goal=0.97, pairs=pairs,
                      note="a conv net of the root's shape from scratch, batch 128, AdamW, one validation pass; ours "
                      "with its blobs written")

        models, _ = trainer.assemble(candidate(steps=0))
        wide = {k: torch.cat([cast(Tensor, v)] * 8) for k, v in validation.values.items()}
        targets = validation.targets.repeat(8)
        work = Work(task.name, task, models[task.name], train, Samples(wide, targets, 1, "wide"))

        def measured() -> float:
            begun = time.perf_counter()
            with one_thread():
                measure_all([work], None, 0)
            return len(targets) / (time.perf_counter() - begun)

        def bare() -> float:
            begun = time.perf_counter()
            with one_thread():
                _bare_evaluation(models[task.name], wide, targets)
            return len(targets) / (time.perf_counter() - begun)

        yield compare("plain-evaluation", measured, bare, unit="samples/s", goal=0.95, pairs=pairs)


def _bare_loop(model: nn.Module, values: Any, targets: Tensor, steps: int, batch: int, lr: float,
               parameters: Sequence[nn.Parameter]) -> None:
    """The loop as one writes it: data in memory, indexed batches, fused AdamW."""
    [(name, x)] = values.items()
    optimizer = torch.optim.AdamW(parameters, lr=lr, fused=True, weight_decay=0.0)
    model.train()
    order = torch.randint(0, len(targets), (steps, batch))
    for index in order:
        loss = F.cross_entropy(model({name: x[index]}), targets[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def _bare_evaluation(model: nn.Module, values: Any, targets: Tensor, batch: int = 1024) -> float:
    """Accuracy, in batches, without gradients."""
    [(name, x)] = values.items()
    model.eval()
    right = 0
    for start in range(0, len(targets), batch):
        outputs = model({name: x[start : start + batch]})
        right += int((outputs.argmax(1) == targets[start : start + batch]).sum())
    return right / len(targets)


# -- memory -----------------------------------------------------------------------------------------------


def memory(pairs: int) -> Iterator[Row]:
    """Peak tensor bytes of a stack of 32 candidates against the sum of 32 alone; turned, so that more is better."""
    task = _vectors(500, 200)
    with tempfile.TemporaryDirectory() as name:
        trainer = Trainer(Pool(FilePath(name) / "pool"))
        trainer.provide(task)
        candidates = [replace(_mlp_candidate(task, k, 0), training=Training(steps=3, batch=128)) for k in range(32)]
        trainer.run(candidates[:2], stacked=True)
        trainer.run(candidates[:1])
        ours = peak_bytes(lambda: trainer.run(candidates, stacked=True))
        theirs = sum(peak_bytes(lambda c=c: trainer.run([c])) for c in candidates)  # type: ignore[misc]
    yield row_of(
        "stack-memory", [(1e6 / ours, 1e6 / theirs)] * max(1, pairs), unit="1/MB", goal=1.0,
        note=f"{ours / 1e6:.1f} MB for 32 together, {theirs / 1e6:.1f} MB for 32 alone in sum; a count, measured once",
    )


def peak_bytes(run: Callable[[], object]) -> int:
    """The most bytes of tensors that were alive at one moment of `run`, beyond those there were before."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    alive = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak
