"""Tiny tasks, roots, strategies and engines that learn in a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import torch
from torch import Tensor

from pathways.candidate import Candidate, Result, Training
from pathways.engine import Answer
from pathways.in_process import InProcess
from pathways.modules import Draft, Frozen, ModuleRef, ModuleSpec, Port, Value, Vector, Warm
from pathways.path import Path, Step
from pathways.seeds import torch_generator
from pathways.strategy import View, Winner
from pathways.task import Affine, Classes, Split, Task

DIM, CLASSES = 6, 3
TRAINING = Training(steps=24, batch=8, lr=0.02)
SIZES = {"train": 36, "validation": 18, "test": 18}


def vectors(name: str, split: str, n: int) -> tuple[Tensor, Tensor]:
    """Points (n, DIM) around CLASSES centres of the task's own, with their classes (n,)."""
    centres = 2 * torch.randn(CLASSES, DIM, generator=torch_generator("centres", name))
    targets = torch.arange(n) % CLASSES
    noise = torch.randn(n, DIM, generator=torch_generator("points", name, split))
    return centres[targets] + noise, targets


def task_of(
    name: str, inputs: Mapping[str, Port] | None = None, make: Callable[[str, Tensor], dict[str, Value]] | None = None
) -> Task:
    """A task whose inputs `make` derives from the points (n, DIM) of a split; the points themselves when not given."""
    splits = {}
    for split, n in SIZES.items():
        x, y = vectors(name, split, n)
        splits[split] = Split(make(split, x) if make else {"x": x}, y)
    affine = {"x": Affine(0.5, 0.1)} if make is None else {}
    return Task(name, inputs or {"x": Vector(DIM)}, Classes(CLASSES, ("a", "b", "c")), splits, transform=affine)


def linear(name: str, dim: int = 8, **start: Any) -> Draft:
    """A linear module to be trained."""
    return Draft(name, ModuleSpec("linear", {"dim": dim, "activation": "relu"}), **start)


def head(name: str = "head", classes: int = CLASSES) -> Draft:
    """A classifier to be trained."""
    return Draft(name, ModuleSpec("classifier", {"classes": classes}))


def chain(inputs: Mapping[str, Port], *drafts: ModuleRef) -> Path:
    """Modules one behind the other, each a step of its own, named `step0` and on."""
    steps, last = {}, next(iter(inputs))
    for i, ref in enumerate(drafts):
        steps[f"step{i}"] = Step((ref,), (last,))
        last = f"step{i}"
    return Path(inputs, steps, last)


def tiny_root() -> Path:
    """An untrained headless path of two linear modules."""
    return chain({"x": Vector(DIM)}, linear("a"), linear("b"))


Build = Callable[[View], Mapping[str, Path]]


@dataclass(frozen=True)
class FixedPath:
    """Trains one candidate again and again: `rounds` asks of `repeats` each; the best is kept.

    Args:
        build: from a view to a path for each of its tasks.
        rounds, repeats: how many asks, and candidates in each.
        carry_on: whether each round starts from the blobs and the optimizer state of the round before.
    """

    build: Build
    rounds: int = 2
    repeats: int = 2
    carry_on: bool = False
    name: str = field(default="fixed", init=False)

    def begin(self, view: View) -> FixedSearch:
        """Start a search."""
        return FixedSearch(self, view)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data."""
        return {"build": self.build.__name__, "rounds": self.rounds, "repeats": self.repeats}


class FixedSearch:
    """One search of `FixedPath`."""

    def __init__(self, settings: FixedPath, view: View) -> None:
        self.settings, self.view = settings, view
        self.paths = dict(settings.build(view))
        self.round = 0
        self.told: list[tuple[Candidate, Result]] = []

    def ask(self) -> list[Candidate]:
        """A round of repeats."""
        if self.round >= self.settings.rounds:
            return []
        data = {task.name: task.fingerprint for task in self.view.tasks}
        labels = {"strategy": "fixed", "generation": self.round, "parents": [], "mutations": []}
        asked = [
            Candidate(
                self.paths, self.view.training, data, run=self.view.run, order=self.round, repeat=repeat,
                optimizer_state=self.settings.carry_on, labels={**labels, "number": repeat},
            )
            for repeat in range(self.settings.repeats)
        ]
        self.round += 1
        return asked

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """Keep all; the next round may start from the first."""
        self.told += results
        if self.settings.carry_on:
            result = results[0][1]

            def warm(ref: ModuleRef) -> ModuleRef:
                if isinstance(ref, Frozen):
                    return ref
                return Draft(ref.name, ref.spec, Warm(result.blobs[ref.name], result.optimizers[ref.name]))

            self.paths = {task: path.map_refs(warm) for task, path in self.paths.items()}

    def best(self) -> Winner | None:
        """The best repeat of the last round; of equals the first."""
        good = [pair for pair in self.told[-self.settings.repeats :] if pair[1].ok]
        if not good:
            return None
        candidate, result = max(good, key=lambda pair: pair[1].quality)
        return Winner(candidate.trained_paths(result), candidate, result, tuple(self.view.champions))


class Counting(InProcess):
    """Trains in this process, and remembers what it was given and what it trained."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[str] = []
        self.provided: list[Task] = []

    def provide(self, task: Task) -> None:
        """Remember the task."""
        self.provided.append(task)
        super().provide(task)

    def next(self, timeout: float | None = None) -> Answer | None:
        """Remember the candidates."""
        answer = super().next(timeout)
        if answer is not None:
            self.trained += [candidate.hash for candidate in answer.dispatch.candidates]
        return answer


def interrupt_after(events: int) -> Callable[[Any], None]:
    """A progress callback that interrupts like Ctrl-C, after so many results."""
    seen: list[Any] = []

    def progress(event: Any) -> None:
        seen.append(event)
        if len(seen) >= events:
            raise KeyboardInterrupt

    return progress


def files_of(directory: FilePath) -> dict[str, bytes]:
    """The content of every file of a run directory but the ledger and the trace, which hold times, by relative path."""
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in sorted(directory.rglob("*"))
        if file.is_file() and not file.name.startswith("ledger.db") and file.name != "trace.json"
    }


def run_of_one(directory: FilePath) -> FilePath:
    """The directory of a run that has learned one task, `one`, by one layer and a head."""
    from pathways.system import System

    path = FixedPath(lambda view: {"one": chain(view.task.inputs, linear("a"), head())}, rounds=1)
    with System.create(directory, training=TRAINING) as system:
        system.learn(task_of("one"), path)
    return directory
