"""Controls: what a search is compared with, through the same protocol, trainer and ledger.

Each trains one architecture, the root's, in one way, `repeats` times, and keeps the repeat of the best
validation quality. `pathnet_controls` holds those that stand beside PathNet.

Reference: `fine-tune-all` and `head-only` are baselines of Gesmundo & Dean 2022, muNet, arXiv 2205.10937, section 4
(there with frozen bottom layers); `fine-tune` and `joint` are the lower and the upper bound of van de Ven & Tolias
2019, arXiv 1904.07734, there called none and offline; `independent` is one expert for each task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pathways.candidate import Candidate, Result, Training
from pathways.choose_root import ROOT, root_for
from pathways.errors import ConfigError
from pathways.modules import Frozen, FrozenDict, Port, Warm
from pathways.path import Path
from pathways.strategy import View, Winner

from .hyperparameters import INHERIT, SPACE, HyperparameterStudy, Sampler, as_hyperparameters, check_space
from .paths import (
    blanked,
    fit_inputs,
    fresh,
    on_trunk_of,
    require_root,
    side_by_side,
    warm,
    with_head,
    without_head,
)
from .settings import as_training, settings_json, whole_number


@dataclass(frozen=True)
class Control:
    """What all controls share.

    Args:
        name: the name in ledgers and tables.
        training: hyperparameters and budget, or plain data for them; `None` takes the run's.
        steps: optimizer steps in place of those of `training`.
        repeats: how many times it is trained, each with other random weights and noise.
        hyperparameters: `inherit` takes those of `training`; `optuna`, or `{optuna: {sampler: gp}}`, tunes `space` for
            each task: the best of `candidates` settings is kept, by validation quality.
        space: lists of values of `Training` fields, as muNet's.
        candidates: how many settings are tried for each task.
        children: how many of them in a round, before the sampler is told how good they were.
    """

    name: str = "control"
    training: Any = None
    steps: int | None = None
    repeats: int = 1
    hyperparameters: Any = INHERIT
    space: Mapping[str, Sequence[Any]] = SPACE
    candidates: int = 16
    children: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "training", as_training(self.training))
        if self.steps is not None:
            whole_number("steps", self.steps, 0)
        for name in ("repeats", "candidates", "children"):
            whole_number(name, getattr(self, name), 1)
        object.__setattr__(self, "hyperparameters", as_hyperparameters(self.hyperparameters))
        check_space(self.space)
        object.__setattr__(self, "space", FrozenDict({name: tuple(values) for name, values in self.space.items()}))
        if self.tuned and self.repeats > 1:
            raise ConfigError(f"`repeats` must be 1 where `optuna` draws hyperparameters, found {self.repeats}.")

    @property
    def tuned(self) -> bool:
        """Whether a sampler draws its hyperparameters."""
        return isinstance(self.hyperparameters, Sampler)

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data."""
        return settings_json(self)

    def search(
        self, view: View, paths: Mapping[str, Path], finish: Callable[[Winner], Winner] = lambda w: w, workers: int = 1
    ) -> OneAsk:
        """The search that trains `paths`, by task, `repeats` times, each on `workers` trainers."""
        training: Training = self.training or view.training
        if self.steps is not None:
            training = replace(training, steps=self.steps)
        parents = ["root"] if any(_builds_on_blobs(path) for path in paths.values()) else []
        data = {task.name: task.fingerprint for task in view.tasks}
        labels = {"strategy": self.name, "generation": 0, "parents": parents, "mutations": []}
        workers = workers if len(paths) > 1 and training.steps else 1
        first = Candidate(paths, training, data, run=view.run, labels={**labels, "number": 0}, workers=workers)
        if self.tuned:
            study = HyperparameterStudy(self.space, self.hyperparameters, view.run, "+".join(data), self.name)
            return Tuned(first, study, self.candidates, self.children, finish)
        candidates = [
            replace(first, repeat=repeat, labels={**labels, "number": repeat}) for repeat in range(self.repeats)
        ]
        return OneAsk(candidates, finish)


@dataclass(frozen=True)
class Independent(Control):
    """The root's architecture from scratch, for each task alone.

    Args:
        inputs: of tasks with several inputs, those that are seen; the others are blanked (every number zero), in the
            same network. Tasks that have not all of these, or no others, are left out. `None` sees all.

    Example:
        >>> Independent(name="without-audio", inputs=["image"]).inputs
        ('image',)
    """

    name: str = "independent"
    inputs: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inputs is not None:
            if isinstance(self.inputs, str) or not self.inputs:
                raise ConfigError(f"`inputs` must be a list of names of inputs, found {self.inputs!r}.")
            object.__setattr__(self, "inputs", tuple(map(str, self.inputs)))

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data; without `inputs` where all are seen, as runs from before there was a choice."""
        return {key: value for key, value in super().to_json().items() if key != "inputs" or value is not None}

    def serves(self, inputs: Mapping[str, Port]) -> bool:
        """Whether it is run for a task of these inputs."""
        return self.inputs is None or set(self.inputs) < set(inputs)

    def begin(self, view: View) -> OneAsk:
        """Start the search for one task."""
        root = fit_inputs(fresh(require_root(view.root, self.name, view.roots)), view.task.inputs)
        if self.inputs is not None:
            root = blanked(root, set(root.inputs) - set(self.inputs))
        return self.search(view, _alone(view, root))


@dataclass(frozen=True)
class FineTuneAll(Control):
    """A copy of the root, tuned whole for each task alone: the strongest simple way, and the largest."""

    name: str = "fine-tune-all"

    def begin(self, view: View) -> OneAsk:
        """Start the search for one task."""
        return self.search(view, _alone(view, warm(require_root(view.root, self.name, view.roots))))


@dataclass(frozen=True)
class HeadOnly(Control):
    """The frozen root with a new head for each task: the least that a task can cost."""

    name: str = "head-only"

    def begin(self, view: View) -> OneAsk:
        """Start the search for one task.

        Raises:
            ConfigError: the root is not trained: its modules would have nothing to offer.
        """
        root = require_root(view.root, self.name, view.roots)
        sizes = root.costs(view.families).sizes
        untrained = [name for name in root.drafts() if sizes[name]]
        if untrained:
            raise ConfigError(
                f"`root` must be frozen for strategy `{self.name}`, found untrained modules {untrained}: "
                f"name a trained root, or compare with `independent`."
            )
        return self.search(view, _alone(view, root))


@dataclass(frozen=True)
class FineTune(Control):
    """One network trained on and on: each task starts from what the last one left, with a head of its own.

    Earlier tasks keep their heads, behind a trunk that has moved on: this shows forgetting.
    """

    sequential: ClassVar[bool] = True  # tells `System.compare` to hand the memory of each search to the next

    name: str = "fine-tune"

    def begin(self, view: View) -> OneAsk:
        """Start from the trunk of the last task (`view.memory`), or from the root.

        Of several roots each has a trunk of its own, which goes from task to task that build on it.
        """
        memory = view.memory or {}
        earlier = {task: Path.from_json(path) for task, path in memory.get("paths", {}).items()}
        if not view.roots:
            known = memory.get("trunk")
            trunk = require_root(view.root, self.name) if known is None else Path.from_json(known)
            return self.search(view, _alone(view, warm(trunk)), lambda winner: _remembered(winner, earlier))
        name = root_for(view.roots, [view.task.inputs])
        known = memory.get("trunks", {}).get(name)
        trunk = require_root(view.root, self.name, view.roots) if known is None else Path.from_json(known)
        kept = Kept(memory.get("trunks", {}), {**memory.get("roots", {}), view.task.name: name}, earlier)
        return self.search(view, _alone(view, warm(trunk)), lambda winner: kept.with_trunk_of(winner, name or ""))


@dataclass(frozen=True)
class Kept:
    """What `fine-tune` carries on where there are several roots: by root its trunk, and which tasks are on it."""

    trunks: Mapping[str, Any]
    roots: Mapping[str, str | None]
    paths: Mapping[str, Path]

    def with_trunk_of(self, winner: Winner, root: str) -> Winner:
        """The winner, with the tasks of its root on its trunk and all others as they were."""
        others = {task: path for task, path in self.paths.items() if self.roots[task] != root}
        made = _remembered(winner, {task: path for task, path in self.paths.items() if task not in others})
        memory = {
            "trunks": {**self.trunks, root: made.memory["trunk"]},
            "paths": {**{task: path.to_json() for task, path in others.items()}, **made.memory["paths"]},
            "roots": dict(self.roots),
        }
        return replace(made, revised={**others, **made.revised}, memory=memory)


@dataclass(frozen=True)
class Joint(Control):
    """All tasks at once: one trunk, a head for each task. Of several roots, a trunk for those that each serves.

    Args:
        scratch: whether the trunk starts from random weights even where the root is trained.
        workers: in how many parts each batch is trained, as in `Candidate`: as many processes can train it together.
    """

    joint: ClassVar[bool] = True  # tells `System.compare` to begin one search for all tasks

    name: str = "joint"
    scratch: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("workers", self.workers, 1)

    def begin(self, view: View) -> OneAsk:
        """Start the search for all tasks of `view`."""
        roots = view.roots or {ROOT: require_root(view.root, self.name)}
        of = {task.name: root_for(roots, [task.inputs]) for task in view.tasks}
        used = {name: require_root(roots.get(name or ""), self.name, roots) for name in of.values()}
        drafted = {name: fresh(root) if self.scratch else warm(root) for name, root in roots.items() if name in used}
        trunks = side_by_side(drafted, view.families)
        return self.search(view, {
            task.name: with_head(
                trunks[of[task.name] or ""], task.target, f"head/{task.name}", inputs=task.inputs,
                families=view.families,
            )
            for task in view.tasks
        }, workers=self.workers)


class OneAsk:
    """A search that asks once and keeps the best result."""

    def __init__(self, candidates: Sequence[Candidate], finish: Callable[[Winner], Winner]) -> None:
        self._waiting = list(candidates)
        self._finish = finish
        self._best: tuple[Candidate, Result] | None = None

    def ask(self) -> list[Candidate]:
        """All repeats, once."""
        return list(self._waiting)

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """Keep the result of the best quality; of equals the first."""
        self._waiting = []
        for candidate, result in results:
            if result.ok and (self._best is None or result.quality > self._best[1].quality):
                self._best = (candidate, result)

    def best(self) -> Winner | None:
        """The best repeat."""
        if self._best is None:
            return None
        candidate, result = self._best
        parents = tuple(candidate.labels["parents"])
        return self._finish(Winner(candidate.trained_paths(result), candidate, result, parents))


class Tuned(OneAsk):
    """A search that asks for one candidate with ever other hyperparameters, in rounds, and keeps the best.

    Args:
        first: the candidate; of its training, what the study draws is replaced.
        study: what draws, and is told validation qualities.
        candidates: how many to try.
        children: how many of them in a round.
        finish: what is made of the winner.
    """

    def __init__(
        self, first: Candidate, study: HyperparameterStudy, candidates: int, children: int,
        finish: Callable[[Winner], Winner],
    ) -> None:
        super().__init__([], finish)
        self._first, self._study, self._left, self._children = first, study, candidates, children
        self._trials: list[int] = []

    def ask(self) -> list[Candidate]:
        """The next round."""
        drawn = [self._study.ask() for _ in range(min(self._children, self._left))]
        self._left -= len(drawn)
        self._trials = [number for number, _ in drawn]
        first = self._first
        return [
            replace(first, training=replace(first.training, **values), labels={**first.labels, "number": number})
            for number, values in drawn
        ]

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """Tell the study each quality, and keep the best result."""
        for number, (_, result) in zip(self._trials, results, strict=True):
            self._study.tell(number, result.quality if result.ok else None)
        super().tell(results)


def _alone(view: View, trunk: Path) -> dict[str, Path]:
    task = view.task
    return {task.name: with_head(trunk, task.target, inputs=task.inputs, families=view.families)}


def _builds_on_blobs(path: Path) -> bool:
    return any(isinstance(ref, Frozen) or isinstance(ref.start, Warm) for ref in path.refs())


def _remembered(winner: Winner, earlier: Mapping[str, Path]) -> Winner:
    """The winner with the earlier tasks' paths on its trunk, and what the next task starts from."""
    (path,) = winner.paths.values()
    revised = {task: on_trunk_of(old, path) for task, old in earlier.items() if task not in winner.paths}
    memory = {
        "trunk": without_head(path).to_json(),
        "paths": {task: p.to_json() for task, p in {**revised, **winner.paths}.items()},
    }
    return replace(winner, revised=revised, memory=memory)
