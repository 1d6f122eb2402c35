"""The benchmark of the memory of a stack."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path as FilePath

from pathways.candidate import Training
from pathways.pool import Pool
from pathways.trainer import Trainer

from .mlp_rows import mlp_candidate, vectors
from .row import Row, row_of


def memory(pairs: int) -> Iterator[Row]:
    """Peak tensor bytes of a stack of 32 candidates against the sum of 32 alone; turned, so that more is better."""
    task = vectors(500, 200)
    with tempfile.TemporaryDirectory() as name:
        trainer = Trainer(Pool(FilePath(name) / "pool"))
        trainer.provide(task)
        candidates = [replace(mlp_candidate(task, k, 0), training=Training(steps=3, batch=128)) for k in range(32)]
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


__all__ = ["memory", "peak_bytes"]
