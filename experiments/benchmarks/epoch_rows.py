"""The benchmark of one plain supervised epoch, and of its evaluation."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, cast

import torch
from torch import Tensor

from pathways.candidate import Candidate, Training
from pathways.create import install_root
from pathways.data import load
from pathways.evolve.paths import fresh, with_head
from pathways.pool import Pool
from pathways.trainer import Trainer, one_thread
from pathways.trainer.fit import Work, measure_all
from pathways.trainer.samples import Samples, rows
from pathways.trainer.stored import Stored

from .bare import bare_evaluation, bare_loop
from .row import Row, compare


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
        seen, judged = (rows(samples.values, slice(None)) for samples in (train, validation))

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
                bare_loop(model, seen, train.targets, steps, 128, 1e-3,
                          [p for draft in drafts.values() for p in draft.parameters()])
                bare_evaluation(model, judged, validation.targets)
            return steps * 128 / (time.perf_counter() - begun)

        yield compare("plain-epoch", ours, theirs, unit="samples/s", goal=0.97, pairs=pairs,
                      note="a conv net of the root's shape from scratch, batch 128, AdamW, one validation pass; ours "
                      "with its blobs written, and images in bytes until the batch; theirs holds floats")

        models, _ = trainer.assemble(candidate(steps=0))
        wide = {k: torch.cat([cast(Tensor, v)] * 8) for k, v in judged.items()}
        targets = validation.targets.repeat(8)
        [(name, held)] = validation.values.items()
        ours_wide = {name: replace(cast(Stored, held), tensor=torch.cat([cast(Stored, held).tensor] * 8))}
        work = Work(task.name, task, models[task.name], train, Samples(ours_wide, targets, 1, "wide"))

        def measured() -> float:
            begun = time.perf_counter()
            with one_thread():
                measure_all([work], None, 0)
            return len(targets) / (time.perf_counter() - begun)

        def bare() -> float:
            begun = time.perf_counter()
            with one_thread():
                bare_evaluation(models[task.name], wide, targets)
            return len(targets) / (time.perf_counter() - begun)

        yield compare("plain-evaluation", measured, bare, unit="samples/s", goal=0.95, pairs=pairs)


__all__ = ["epoch"]
