"""The benchmark of a joint network that two processes train data-parallel."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path as FilePath
from statistics import median

from pathways.candidate import Candidate, Training
from pathways.create import install_root
from pathways.data import load
from pathways.evolve.joint import shared_network
from pathways.evolve.paths import fresh
from pathways.modules import BUILT_IN, Draft, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.task import Task
from pathways.trainer import Trainer
from pathways.trainer.rank import free_address
from pathways.trainer.team import Team

from .mlp_rows import vectors
from .row import Row, compare

WORKERS, BATCH, WIDTH = 2, 128, 1024
STEPS = {"conv": 40, "wide": 40}
ALPHABETS = ("Glagolitic", "Korean", "Gujarati")


def data_parallel(pairs: int) -> Iterator[Row]:
    """Two ranks with a core each against one process that takes both parts in turn: the same network, the same bits."""
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        for kind in STEPS:
            sides = _Sides(kind, FilePath(name), other)
            row = compare(
                f"data-parallel-{kind}", sides.together, sides.in_turn, unit="steps/s", goal=None,
                floor=float(WORKERS), pairs=pairs,
            )
            yield replace(row, note=sides.note())


class _Sides:
    """Both sides of a row, and what else is measured of them.

    Args:
        kind: which network.
        folder: for the pools of both processes.
        other: the other process.
    """

    def __init__(self, kind: str, folder: FilePath, other: ProcessPoolExecutor) -> None:
        self.kind, self.folder, self.other = kind, folder, other
        self.order = 0
        self.moved = 0
        self.waited: list[float] = []
        self.processor: tuple[list[float], list[float]] = ([], [])

    def together(self) -> float:
        """Steps a second of two ranks, from when they meet to when they part."""
        self.order += 1
        trainer, tasks, trunk = _bench(self.kind, self.folder / "0")
        candidate, address = _network(self.kind, tasks, trunk, self.order), free_address()
        rank = self.other.submit(_be_rank, self.kind, self.folder / "1", self.order, address)
        begun, processor = time.perf_counter(), time.process_time()
        with Team.join(0, WORKERS, address, 60.0) as team:
            [result] = trainer.run([candidate], team=team)
        seconds = time.perf_counter() - begun
        self.processor[0].append(time.process_time() - processor)
        rank.result()
        assert result.ok
        assert team.link is not None
        self.moved = team.link.moved // candidate.training.steps
        self.waited.append(team.link.waited / seconds)
        return candidate.training.steps / seconds

    def in_turn(self) -> float:
        """Steps a second of one process."""
        self.order += 1
        trainer, tasks, trunk = _bench(self.kind, self.folder / "0")
        candidate = _network(self.kind, tasks, trunk, self.order)
        begun, processor = time.perf_counter(), time.process_time()
        [result] = trainer.run([candidate])
        seconds = time.perf_counter() - begun
        self.processor[1].append(time.process_time() - processor)
        assert result.ok
        return candidate.training.steps / seconds

    def note(self) -> str:
        """What beside the rates was measured."""
        ours, theirs = (median(side[1:]) for side in self.processor)
        return (
            f"{STEPS[self.kind]} steps of {BATCH} samples of each task, one measurement; {theirs / ours:.2f}x by the "
            f"processor time of rank 0, which is what other programs on the cores leave of it; each rank receives "
            f"{self.moved / 1e6:.2f} MB a step and spends {median(self.waited[1:]):.0%} of its time in exchanges"
        )


def _be_rank(kind: str, folder: FilePath, order: int, address: str) -> None:
    """The other rank, in a process that keeps its data."""
    trainer, tasks, trunk = _bench(kind, folder)
    with Team.join(1, WORKERS, address, 60.0) as team:
        trainer.run([_network(kind, tasks, trunk, order)], team=team)


def _network(kind: str, tasks: list[Task], trunk: Path, order: int) -> Candidate:
    """A network of one trunk and a head for each task; each `order` is another candidate."""
    training = Training(lr=1e-3, steps=STEPS[kind], batch=BATCH)
    return replace(shared_network(tasks, trunk, training, BUILT_IN, seed=order), workers=WORKERS)


@cache
def _bench(kind: str, folder: FilePath) -> tuple[Trainer, list[Task], Path]:
    """A trainer that knows the tasks, the tasks, and an untrained trunk."""
    pool = Pool(folder)
    if kind == "conv":
        tasks = list(load("omniglot", alphabets=ALPHABETS))
        trunk = fresh(install_root("omniglot", pool))
    else:
        tasks = [replace(vectors(2000, 500), name=name) for name in ("a", "b")]
        wide = ModuleSpec("linear", {"dim": WIDTH, "activation": "relu"})
        steps = {"a": Step((Draft("a", wide),), ("x",)), "b": Step((Draft("b", wide),), ("a",))}
        trunk = Path({"x": Vector(784)}, steps, "b")
    trainer = Trainer(pool)
    for task in tasks:
        trainer.provide(task)
    return trainer, tasks, trunk


__all__ = ["data_parallel"]
