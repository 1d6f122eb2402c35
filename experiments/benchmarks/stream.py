"""The whole stream of the quickstart against models tuned by hand: the wall time to what they reach."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path as FilePath
from statistics import mean, median
from typing import Any, cast

from pathways.candidate import Training
from pathways.evolve import MuNet
from pathways.evolve.controls import Independent
from pathways.experiments.config import Config, Source, read_config
from pathways.experiments.runner import load_tasks
from pathways.in_process import InProcess
from pathways.modules import Frozen
from pathways.path import Path
from pathways.progress import Event
from pathways.system import System
from pathways.task import Task
from pathways.trainer import one_thread

from .by_hand import ByHand, around, tune
from .row import Row, row_of
from .stream_floor import searched, tuned

GOAL = 5.0
QUICKSTART = FilePath(str(resources.files("pathways.experiments") / "quickstart.yaml"))
ROOT = "the shipped root was trained beforehand on other alphabets, about 340 CPU-seconds that are not counted"

# Of 15 settings for copies of the root with random heads the best, by validation accuracy on six of the alphabets.
FINETUNED: dict[str, Any] = {
    "lr": 4e-3, "head_lr": 5.0, "weight_decay": 0.5, "label_smoothing": 0.1, "head_init": "random",
}  # fmt: skip


def independent(pairs: int) -> Iterator[Row]:
    """The stream against models from scratch, each tuned by Optuna: `quickstart-stream`."""
    yield _row("quickstart-stream", from_scratch, pairs, GOAL)


def finetuned(pairs: int) -> Iterator[Row]:
    """The stream against whole copies of the same root, each tuned by Optuna: `quickstart-stream-finetuned`."""
    yield _row("quickstart-stream-finetuned", copies, pairs, None)


# -- the two sides ------------------------------------------------------------------------------------------


def from_scratch(config: Config, system: System) -> ByHand:
    """The root's architecture from random weights, with the settings that the control `independent` has."""
    [control] = [c.strategy for c in config.controls if isinstance(c.strategy, Independent)]
    base = cast(Training, control.training or config.training)
    if control.steps is not None:
        base = replace(base, steps=control.steps)
    return ByHand("from-scratch", base, _space(config, base), cast(Path, system.root))


def copies(config: Config, system: System) -> ByHand:
    """Whole copies of the root, with random heads; as long and in as large batches as the run's own candidates."""
    root = cast(Path, system.root)
    base = replace(config.training, **FINETUNED)
    held = {name: [ref for ref in step.modules if isinstance(ref, Frozen)] for name, step in root.steps.items()}
    weights = {name: system.pool.get(ref.id) for name, refs in held.items() for ref in refs}
    return ByHand("copies", base, _space(config, base), root, weights)


def _space(config: Config, base: Training) -> dict[str, tuple[object, ...]]:
    """The lists of muNet, moved to the other side's own settings."""
    strategy = cast(MuNet, config.strategy.strategy)
    return around(base, cast(Training, strategy.training or config.training), strategy.space)


# -- one pair -----------------------------------------------------------------------------------------------


class Watch:
    """A stopwatch that runs inside its `with` blocks only.

    >>> watch = Watch()
    >>> with watch:
    ...     inside = watch.read()
    >>> watch.read() >= inside
    True
    """

    def __init__(self) -> None:
        self._before = 0.0
        self._since: float | None = None

    def __enter__(self) -> Watch:
        self._since = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        self._before, self._since = self.read(), None

    def read(self) -> float:
        """The seconds that it has run."""
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)


@dataclass(frozen=True)
class Moment:
    """A candidate's result was committed: when, on our watch, and its accuracy on the validation images."""

    seconds: float
    task: str
    accuracy: float


@dataclass(frozen=True)
class Pair:
    """Both sides of one seed.

    Args:
        moments: all results of ours, in order.
        ours, theirs: seconds of each side's whole stream.
        champions: the mean validation accuracy of our champions.
        target: what the other side reached: the mean over tasks of the best validation accuracy.
        tasks, candidates: how many; each side trained as many.
        floor: their training products by ours.
    """

    moments: tuple[Moment, ...]
    ours: float
    theirs: float
    champions: float
    target: float
    tasks: int
    candidates: int
    floor: float

    @property
    def best(self) -> float:
        """The mean over tasks of our best validation accuracy."""
        return mean(max(m.accuracy for m in self.moments if m.task == task) for task in {m.task for m in self.moments})

    @property
    def seconds(self) -> float | None:
        """When our mean reached their target; `None` where it never did."""
        return time_to(self.target, self.moments, self.tasks)


def time_to(target: float, moments: Iterable[Moment], tasks: int) -> float | None:
    """When the mean over tasks of the best accuracy so far first reached `target`; `None` if it never did.

    A task that is not learned yet counts as 0.

    >>> time_to(0.8, [Moment(1.0, "a", 0.9), Moment(2.0, "b", 0.6), Moment(3.0, "b", 0.7)], 2)
    3.0
    """
    best: dict[str, float] = {}
    for moment in moments:
        best[moment.task] = max(moment.accuracy, best.get(moment.task, 0.0))
        if sum(best.values()) / tasks >= target - 1e-9:  # sums of the same numbers differ in their last bits
            return moment.seconds
    return None


def measured(config: Config, side_of: Callable[[Config, System], ByHand], folder: FilePath) -> Pair:
    """Learn a stream and tune models for its tasks, in turns: each task by us, then by the other side.

    Args:
        config: of the stream; its controls are not run.
        side_of: the other side.
        folder: of the new run.
    """
    tasks = load_tasks(config, str(QUICKSTART))
    ours, theirs = Watch(), Watch()
    moments: list[Moment] = []
    target = champions = 0.0
    products = others_products = 0
    with one_thread():
        with ours:
            root = cast(str | None, config.root)
            system = System.create(folder, seed=config.seed, root=root, training=config.training)
            engine = InProcess()
        side = side_of(config, system)
        with system:
            for task in tasks:
                learned = _learn(system, task, config, engine, ours)
                with theirs:
                    trials = tune(side, task, len(learned), config.seed)
                moments += learned
                target += max(trial.accuracy for trial in trials) / len(tasks)
                champions += system.records[task.name].champion.measures.validation / len(tasks)
                candidates = [system.ledger.candidate(row.hash) for row in system.ledger.rows(task.name)]
                products += searched(task, candidates)
                others_products += tuned(side, task, trials)
    return Pair(tuple(moments), ours.read(), theirs.read(), champions, target, len(tasks), len(moments),
                others_products / products)


def _learn(system: System, task: Task, config: Config, engine: InProcess, watch: Watch) -> list[Moment]:
    """Learn one task; each of its results, at the time at which it was committed."""
    committed: list[float] = []

    def note(event: Event) -> None:
        if event.end is None:
            committed.append(watch.read())

    with watch:
        system.learn(task, config.strategy.strategy, engine, progress=note)
    results = [row.result for row in system.ledger.rows(task.name)]
    reached = [result.measures[task.name].validation if result.ok else 0.0 for result in results]
    return [Moment(seconds, task.name, value) for seconds, value in zip(committed, reached, strict=True)]


# -- the rows -----------------------------------------------------------------------------------------------


def _config(seed: int) -> Config:
    """The quickstart of another seed, which also draws who validates."""
    return read_config(QUICKSTART, [f"seed={seed}", f"tasks.0.seed={seed}"])


def _first_task(config: Config) -> Config:
    """The stream of its first task alone."""
    [source] = config.tasks
    first = {**source.arguments, "alphabets": source.arguments["alphabets"][:1]}
    return replace(config, tasks=(Source(source.source, first),))


def _row(name: str, side_of: Callable[[Config, System], ByHand], pairs: int, goal: float | None) -> Row:
    """One pair a seed, after one task of each side that is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        measured(_first_task(_config(0)), side_of, FilePath(folder) / "warm")
        found = [measured(_config(seed), side_of, FilePath(folder) / str(seed)) for seed in range(pairs)]
    rates = [(3600 / pair.seconds if pair.seconds else 0.0, 3600 / pair.theirs) for pair in found]
    return row_of(name, rates, unit="streams/h", goal=goal, floor=median(pair.floor for pair in found),
                  note=note_of(found))


def note_of(found: Sequence[Pair]) -> str:
    """What the pairs were, beside the ratio of times."""
    reached = [pair.seconds for pair in found if pair.seconds is not None]
    missed = len(found) - len(reached)
    first = found[0]
    targets, best, champions = (
        f"{100 * min(values):.1f} to {100 * max(values):.1f}"
        for values in zip(*((pair.target, pair.best, pair.champions) for pair in found), strict=True)
    )
    return (
        f"{first.tasks} tasks, seeds 0 to {len(found) - 1}, {min(p.candidates for p in found)} to "
        f"{max(p.candidates for p in found)} candidates a side; validation accuracy to reach {targets} %, ours at the "
        f"end {best} % (champions {champions} %); reached by {len(reached)} of {len(found)}"
        + (f", the other {missed} count as a ratio of 0" if missed else "")
        + f"; our whole stream {median(p.ours for p in found):.0f} s, theirs {median(p.theirs for p in found):.0f} s, "
        f"ratio of whole streams {median(p.theirs / p.ours for p in found):.2f}; one process, one thread; {ROOT}"
    )


__all__ = ["Moment", "Pair", "Watch", "copies", "finetuned", "from_scratch", "independent", "measured", "note_of",
           "time_to"]
