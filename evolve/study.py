"""A study of affinity: what is measured, how networks are chosen, and how much is trained to verify the choice.

    matrices = measure while all tasks train jointly, once a seed
    chosen   = rule(matrix, budget)
    for grouping in chosen, all-in-one, separate, random ...:    # every distinct network once a seed
        train its networks; measure each task with the network that serves it

Reference: the procedure is that of Fifty et al. 2021 (TAG, 2109.04617, section 4); that predictions must be verified,
since no score is reliable, is what Azorin et al. 2023 ("It's a Match!", 2301.02873) found.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pathways.affinity.choice import FITTING
from pathways.affinity.tournament import JOIN, PIXELS, RANDOM, SELF
from pathways.candidate import Candidate, Result, Training
from pathways.engine import Engine
from pathways.errors import ConfigError
from pathways.modules import Masked
from pathways.modules.near import did_you_mean
from pathways.path import Path
from pathways.progress import Progress
from pathways.recording import Record
from pathways.sampler import Sampling, as_sampler
from pathways.system import System
from pathways.task import Classes, Task, Values
from pathways.trainer.record import estimator as check_options

from .joint import shared_network, train_networks
from .measured.measured import Measured
from .measured.table import MEASURED, OF_CLASSES, OF_ONE_ANSWER, OF_ONE_INPUT
from .paths import require_root
from .settings import as_training, whole_number

RULES = ("tag", "disjoint", "taskonomy")
Estimator = Record | Measured


@dataclass(frozen=True)
class Study:
    """What a study measures, how it chooses, and how much it trains to verify.

    Args:
        estimators: what is measured; the first decides. A `Record` rides on the joint training of all tasks, a
            `Measured`, or its name alone, needs trainings of its own or reads trained networks.
        rule: `tag` (networks may overlap) or `disjoint` where the first is of kind co-training, `taskonomy` where it is
            of kind transfer; the first that fits when empty.
        budget: how many networks, or for `taskonomy` source tasks.
        seeds: independent repeats of everything: weights, batches, noise.
        random: how many random groupings of as many networks the choice is compared with.
        verify: whether anything is trained to verify the choice.
        samples: bootstrap samples of moments and seeds, for the stability of groups.
        training: of every network; the system's where not given.
        sampler: how batches alternate over the tasks of a network, as in `Candidate`.

    Raises:
        ConfigError: a setting out of range, or a rule that does not fit the first estimator's kind.

    Example:
        >>> Study(budget=2, seeds=1).rule
        'tag'
        >>> Study(estimators=(Measured("transfer", {"orders": []}), "logme")).rule
        'taskonomy'
    """

    estimators: tuple[Estimator | str, ...] = (Record("lookahead"),)
    rule: str = ""
    budget: int = 2
    seeds: int = 3
    random: int = 5
    verify: bool = True
    samples: int = 200
    training: Training | None = None
    sampler: Sampling = "joint"

    def __post_init__(self) -> None:
        named = tuple(Measured(e) if isinstance(e, str) and e in MEASURED else e for e in self.estimators)
        object.__setattr__(self, "estimators", named)
        object.__setattr__(self, "training", as_training(self.training))
        if not self.estimators:
            raise ConfigError("`estimators` must name at least one, found none.")
        for estimator in self.estimators:
            if isinstance(estimator, Record) and estimator.while_training:
                check_options(estimator)
            elif not isinstance(estimator, Measured):
                raise ConfigError(
                    f"`estimators` must be records of co-training estimators, `Measured` or names of "
                    f"{sorted(MEASURED)}, found {estimator!r}."
                )
        names = [estimator.estimator for estimator in self.measured]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"`estimators` must name each once, found {twice!r} twice: drop one.")
        self._check_rule()
        object.__setattr__(self, "sampler", as_sampler(self.sampler))
        for name, low in (("budget", 1), ("seeds", 1), ("random", 0), ("samples", 0)):
            whole_number(name, getattr(self, name), low)

    @property
    def measured(self) -> tuple[Estimator, ...]:
        """The estimators, none of them by its name alone."""
        return tuple(estimator for estimator in self.estimators if not isinstance(estimator, str))

    def _check_rule(self) -> None:
        first = self.measured[0]
        kind = first.kind if isinstance(first, Measured) else "co-training"
        if not FITTING[kind]:
            raise ConfigError(
                f"the first of `estimators` must be of kind co-training or transfer, since it chooses, found "
                f"{first.estimator!r} of kind {kind}: put it second or later."
            )
        if not self.rule:
            object.__setattr__(self, "rule", FITTING[kind][0])
        if self.rule not in RULES:
            raise ConfigError(
                f"`rule` must be one of {RULES}, "
                f"found {self.rule!r}{did_you_mean(self.rule, RULES, '.')}"
            )
        if self.rule not in FITTING[kind]:
            raise ConfigError(
                f"`rule` must be one of {FITTING[kind]} where the first estimator, {first.estimator!r}, is of kind "
                f"{kind}, found {self.rule!r}."
            )
        if first.estimator == "relevance" and self.budget == 1:
            raise ConfigError(
                "`budget` must be at least 2 where 'relevance' chooses, since no task is its own source, found 1."
            )


class Session:
    """One study under way: its networks as candidates, and what came of those that were trained.

    Args:
        system: whose ledger and pool keep what is trained.
        tasks: at least two, with different names.
        study: its settings.
        engine: where trainers run; in this process when not given.
        progress: called with an `Event` after each result.

    Attributes:
        names: of the tasks, in the order of all rows and columns.
        training_seconds: processor time that this process spent on training, or on waiting for it.
    """

    def __init__(
        self, system: System, tasks: Sequence[Task], study: Study, engine: Engine | None = None,
        progress: Progress | None = None,
    ) -> None:
        require_together(study, tasks)
        check_tasks(study, tasks)
        self.system, self.study, self.engine, self.progress = system, study, engine, progress
        self.tasks = {task.name: task for task in sorted(tasks, key=lambda task: task.name)}
        self.names = tuple(self.tasks)
        self.trunk: Path = require_root(system.root_for(tasks), "affinity", system.record.roots)
        self.training: Training = study.training or system.training
        self.seeds = tuple(range(system.seed, system.seed + study.seeds))
        self.results: dict[str, Result] = {}
        self.training_seconds = 0.0
        require_steps(self.training)

    def network(self, tasks: Sequence[str], seed: int, record: Record | None = None) -> Candidate:
        """The network of these tasks, for one seed. The one of all tasks is that which the first record rode on."""
        if record is None and len(tasks) == len(self.names):
            record = next((e for e in self.study.measured if isinstance(e, Record)), None)
        return shared_network(
            [self.tasks[name] for name in self.names if name in tasks], self.trunk, self.training,
            self.system.families, seed=seed, sampler=self.study.sampler, record=record,
        )

    def train(self, candidates: Sequence[Candidate]) -> list[Result]:
        """The results of candidates, in their order; what was trained already is not trained again."""
        missing = list({c.hash: c for c in candidates if c.hash not in self.results}.values())
        if missing:
            began = time.process_time()
            self.results |= train_networks(
                self.system, list(self.tasks.values()), missing, self.engine, self.progress, name="affinity",
                leases=["affinity"],
            )
            self.training_seconds += time.process_time() - began
        return [self.results[candidate.hash] for candidate in candidates]

    def in_joint_runs(self, seconds: float) -> float:
        """Processor seconds of all seeds, in units of one joint training of all tasks without measuring."""
        results = self.train([self.network(self.names, seed) for seed in self.seeds])
        return seconds / sum(result.cpu_seconds - result.reading_seconds for result in results)


def require_steps(training: Training) -> None:
    """Raise a `ConfigError` where networks are not trained at all."""
    if training.steps < 1:
        raise ConfigError(f"`training.steps` must be at least 1 for a study, found {training.steps}: raise it.")


def require_together(study: Study, tasks: Sequence[Task]) -> None:
    """Raise a `ConfigError` where tasks are too few, cannot share a network, or cannot be averaged."""
    if len(tasks) < 2:
        raise ConfigError(f"`tasks` must be at least two for a study, found {[task.name for task in tasks]}.")
    first = tasks[0]
    for task in tasks[1:]:
        if task.inputs != first.inputs:
            raise ConfigError(
                f"`tasks` must read the same inputs to share a network, found {_inputs(first)} for {first.name!r} "
                f"and {_inputs(task)} for {task.name!r}: study them apart."
            )
        if study.verify and task.measured_by.name != first.measured_by.name:
            raise ConfigError(
                f"`tasks` must be measured alike, since gains are averaged over them, found {first.measured_by.name} "
                f"for {first.name!r} and {task.measured_by.name} for {task.name!r}: study them apart, or set "
                f"`verify: false`."
            )


def _inputs(task: Task) -> str:
    """The inputs of a task as its errors name them."""
    return ", ".join(f"{name}: {port}" for name, port in task.inputs.items())


def check_tasks(study: Study, tasks: Sequence[Task]) -> None:
    """Raise a `ConfigError` where an estimator of a study is not defined for one of its tasks."""
    for name in sorted({e.estimator for e in study.measured}):
        for task in tasks:
            if name == "transfer" and (JOIN in task.name or task.name in (SELF, RANDOM, PIXELS)):
                raise ConfigError(
                    f"`transfer` needs task names without {JOIN!r} that are not {SELF}, {RANDOM} or {PIXELS}, found "
                    f"{task.name!r}: give it another name."
                )
            if name in OF_CLASSES and not isinstance(task.target, Classes):
                raise ConfigError(
                    f"`{name}` is defined for classes, found {task.target.kind} in task {task.name!r}: leave it out."
                )
            if name in OF_ONE_ANSWER and not isinstance(task.target, (Classes, Values)):
                raise ConfigError(
                    f"`{name}` is defined for classes and values, found {task.target.kind} in task {task.name!r}: "
                    f"leave it out."
                )
            masked = any(isinstance(value, Masked) for value in task.splits["train"].inputs.values())
            many = not isinstance(task.target, Classes) and task.target.n > 1
            if name in OF_ONE_INPUT and (len(task.inputs) > 1 or masked or many):
                raise ConfigError(
                    f"`{name}` needs tasks of one unmasked input and of classes or one value, found {task.name!r} with "
                    f"inputs {dict(task.inputs)} and {task.target}: leave it out."
                )


__all__ = [
    "MEASURED", "RULES", "Estimator", "Session", "Study", "check_tasks", "require_steps",
    "require_together",
]
