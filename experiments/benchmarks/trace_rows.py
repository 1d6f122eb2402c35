"""The benchmark of what tracing costs beside the smallest candidates."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path as FilePath

from pathways.candidate import Candidate, Training
from pathways.data import load
from pathways.engine import Answer, Dispatch
from pathways.in_process import InProcess
from pathways.ledger import Ledger
from pathways.modules import BUILT_IN, Draft, ModuleSpec
from pathways.path import Path, Step
from pathways.stack_plan import plan
from pathways.task import Classes
from pathways.trace import EVALUATE, STORE, TRAIN
from pathways.trace_file import Trace
from pathways.trainer.stopwatch import Stopwatch

from .row import Row, compare

STACK = 64


def cost(pairs: int) -> Iterator[Row]:
    """What tracing costs, of one percent of a small candidate: an MLP of 32 units on 8 x 8 digits, 50 steps of 16."""
    task = next(iter(load("digits")))
    assert isinstance(task.target, Classes)
    [name] = task.inputs
    chain = {"flat": Step((Draft("flat", ModuleSpec("flatten", {})),), (name,)),
             "hidden": Step((Draft("hidden", ModuleSpec("linear", {"dim": 32, "activation": "relu"})),), ("flat",)),
             "head": Step((Draft("head", ModuleSpec("classifier", {"classes": task.target.n})),), ("hidden",))}
    path, numbers, training = Path(task.inputs, chain, "head"), count(), Training(steps=50, batch=16)
    with tempfile.TemporaryDirectory() as folder, Ledger(FilePath(folder) / "ledger.db") as ledger:
        engine, trace = InProcess(0), Trace(FilePath(folder) / "trace.json")
        engine.open(FilePath(folder) / "pool")
        engine.provide(task)
        last: list[Answer] = []

        def trained(size: int) -> float:
            """A hundred times as many candidates as are trained and committed in a second."""
            asked = [Candidate({task.name: path}, training, {task.name: task.fingerprint}, repeat=next(numbers))
                     for _ in range(size)]
            begun = time.perf_counter()
            for dispatch in _dispatches(asked, size > 1):
                engine.submit(dispatch)
                answer = engine.next()
                assert answer is not None
                assert all(result.ok for result in answer.results)
                pairs_of = list(zip(dispatch.candidates, answer.results, strict=True))
                ledger.commit("some", (task.name,), dispatch.id, pairs_of)
                last[:] = [answer]
            return 100 * len(asked) / (time.perf_counter() - begun)

        def traced(times: int = 200) -> float:
            """Candidates that are timed and traced in a second, each dispatch written at once."""
            watch, [answer] = Stopwatch(), last
            begun = time.perf_counter()
            for _ in range(times):
                watch.begin("some")
                for what in (TRAIN, EVALUATE, TRAIN, EVALUATE, STORE):
                    watch.to(what)
                watch.end()
                watch.spans.clear()
                trace.add(answer, answer.results, "some", (task.name,), (time.time(), 0.001))
                trace.flush()
            return times * len(answer.results) / (time.perf_counter() - begun)

        for label, size in (("trace-cost", 1), ("trace-cost-stacked", STACK)):
            trained(size)
            yield compare(
                label, traced, lambda size=size: trained(size), unit="candidates/s", goal=1, pairs=pairs,  # type: ignore[misc]
                note=f"dispatches of {size}; theirs: a hundred times as many as are trained and committed in a second",
            )


def _dispatches(asked: Sequence[Candidate], stacked: bool) -> Iterator[Dispatch]:
    """The candidates, alone or as their stack."""
    if not stacked:
        yield from (Dispatch(i, (candidate,)) for i, candidate in enumerate(asked))
        return
    [group] = plan(asked, len(asked), BUILT_IN, "cpu").stacks
    yield Dispatch(0, tuple(group.candidates), True, group.slots)
