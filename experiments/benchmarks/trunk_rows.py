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
from pathways.modules import Draft, Frozen, Warm, facts
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.stack_plan import plan
from pathways.task import Task
from pathways.trainer import Trainer, one_thread
from pathways.trainer.prefix_cache import PrefixCache
from pathways.trainer.samples import rows

from .bare import bare_evaluation, bare_loop
from .row import Row, compare

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
    seen, judged = (rows(samples.values, slice(None)) for samples in (train, validation))

    def run() -> float:
        begun = time.perf_counter()
        with one_thread():
            for candidate in candidates:
                models, drafts = trainer.assemble(candidate)
                model = models[task.name]
                bare_loop(model, seen, train.targets, TRUNK_STEPS, TRUNK_BATCH, candidate.training.lr,
                          [p for draft in drafts.values() for p in draft.parameters()])
                bare_evaluation(model, judged, validation.targets)
        return CANDIDATES * TRUNK_STEPS / (time.perf_counter() - begun)

    return run


__all__ = ["frozen_trunk"]
