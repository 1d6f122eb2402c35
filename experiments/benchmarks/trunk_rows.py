"""The benchmark of candidates behind a frozen trunk."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as FilePath

from pathways.candidate import Candidate, Training
from pathways.create import install_root
from pathways.data import load
from pathways.evolve.paths import with_head
from pathways.modules import Draft, Frozen, ModuleSpec, Warm, build, facts
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.seeds import torch_generator
from pathways.stack_plan import plan
from pathways.task import Task
from pathways.trainer import Trainer, one_thread
from pathways.trainer.prefix_cache import PrefixCache
from pathways.trainer.samples import rows

from .bare import bare_evaluation, bare_loop
from .row import Row, compare

CANDIDATES, TRUNK_STEPS, TRUNK_BATCH = 8, 100, 128
CONV4_CANDIDATES, CONV4_STEPS = 4, 50  # a step of the other side takes 50 ms


def frozen_trunk(pairs: int) -> Iterator[Row]:
    """Candidates behind a frozen trunk on Omniglot, the cache built each time, against plain modules that recompute."""
    task = next(iter(load("omniglot", alphabets=["Glagolitic"])))
    with tempfile.TemporaryDirectory() as name:
        pool = Pool(FilePath(name) / "pool")
        whole, four = install_root("omniglot", pool), conv4(task, pool)
        blocks, conv = [step for step in whole.canonical_order if _weights(whole, step)], list(four.steps)
        three, small, large = _until(whole, blocks[2]), (CANDIDATES, TRUNK_STEPS), (CONV4_CANDIDATES, CONV4_STEPS)
        for kind, root, trained, goal, (count, steps) in (
            ("2-of-3", three, blocks[2:3], 5.0, small),
            ("3-of-4", _until(whole, blocks[-1]), blocks[3:], 5.0, small),
            ("heads", three, [], 15.0, small),
            ("conv4-2-of-3", _until(four, conv[2]), conv[2:3], 5.0, large),
            ("conv4-3-of-4", four, conv[3:], 5.0, large),
        ):
            candidates = [_behind(task, root, trained, k, steps) for k in range(count)]
            ours, theirs = _cached(task, pool, candidates, FilePath(name)), _recomputed(task, pool, candidates)
            yield compare(
                f"frozen-trunk-{kind}", ours, theirs, unit="candidate-steps/s", goal=goal, pairs=pairs,
                floor=_flop_floor(root, trained) if trained else None,
                note=f"{count} candidates x {steps} steps of 128; trained: {trained or ['the head']} of "
                f"{list(root.steps)}; building the cache in memory and on disk is part of our time",
            )


def conv4(task: Task, pool: Pool) -> Path:
    """The four blocks of few-shot learning on Omniglot (Vinyals et al. 2016, 1606.04080), from random weights.

    Each is 64 filters of 3x3, batch norm, ReLU and 2x2 pooling.
    """
    spec = ModuleSpec("conv", {"channels": 64, "norm": "batch", "pool": 2})
    [(read, port)] = task.inputs.items()
    steps: dict[str, Step] = {}
    for name in ("conv1", "conv2", "conv3", "conv4"):
        module = build(spec, (port,), torch_generator("benchmark", name))
        steps[name] = Step((Frozen(pool.put(spec, module.state_dict()), spec),), (read,))
        read, port = name, Path(task.inputs, steps, name).ports()[name]
    return Path(task.inputs, steps, read)


def _until(path: Path, step: str) -> Path:
    return Path(path.inputs, path.steps, step)


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


def _behind(task: Task, root: Path, trained: Sequence[str], k: int, length: int) -> Candidate:
    def copied(step: Step) -> Step:
        return step.map_refs(lambda r: Draft(f"own-{r.id[:8]}", r.spec, Warm(r.id)) if isinstance(r, Frozen) else r)

    steps = {name: copied(step) if name in trained else step for name, step in root.steps.items()}
    path = with_head(Path(root.inputs, steps, root.output), task.target, inputs=task.inputs)
    training = Training(lr=1e-3 * (1 + k), steps=length, batch=TRUNK_BATCH)
    return Candidate({task.name: path}, training, {task.name: task.fingerprint}, repeat=k)


def _cached(task: Task, pool: Pool, candidates: Sequence[Candidate], folder: FilePath) -> Callable[[], float]:
    work = sum(candidate.training.steps for candidate in candidates)

    def run() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            trainer = Trainer(pool, prefixes=PrefixCache(FilePath(cache)))
            trainer.provide(task)
            begun = time.perf_counter()
            [group] = plan(candidates, CANDIDATES, trainer.families).stacks or (None,)
            results = trainer.run(candidates, group is not None, group.slots if group else ())
            seconds = time.perf_counter() - begun
        assert all(result.ok for result in results)
        return work / seconds

    return run


def _recomputed(task: Task, pool: Pool, candidates: Sequence[Candidate]) -> Callable[[], float]:
    trainer = Trainer(pool)
    trainer.provide(task)
    train, validation = (trainer.prepared(task, split, None) for split in ("train", "validation"))
    work = sum(candidate.training.steps for candidate in candidates)
    seen, judged = (rows(samples.values, slice(None)) for samples in (train, validation))

    def run() -> float:
        begun = time.perf_counter()
        with one_thread():
            for candidate in candidates:
                models, drafts = trainer.assemble(candidate)
                model = models[task.name]
                bare_loop(model, seen, train.targets, candidate.training.steps, TRUNK_BATCH, candidate.training.lr,
                          [p for draft in drafts.values() for p in draft.parameters()])
                bare_evaluation(model, judged, validation.targets)
        return work / (time.perf_counter() - begun)

    return run


__all__ = ["frozen_trunk"]
