"""A study of affinity: what is measured, how networks are chosen, and how much is trained to verify the choice.

    matrices = measure while all tasks train jointly, once a seed
    chosen   = rule(matrix, budget)
    for grouping in chosen, all-in-one, separate, random ...:    # every distinct network once a seed
        train its networks; measure each task with the network that serves it

Reference: the procedure is that of Fifty et al. 2021 (TAG, 2109.04617, section 4); that predictions must be verified,
since no score is reliable, is what Li et al. 2023 ("It's a Match", 2301.02873) found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pathways.candidate import SAMPLERS, Candidate, Result, Training
from pathways.engine import Engine
from pathways.errors import ConfigError
from pathways.path import Path
from pathways.progress import Progress
from pathways.recording import Record
from pathways.system import System
from pathways.task import Task
from pathways.trainer.record import estimator as check_options

from .joint import shared_network, train_networks
from .paths import require_root
from .settings import as_training, whole_number

RULES = ("tag", "disjoint")
MEASURED = {"pairs": "pathways.evolve.pairs:pairs"}
"""Estimators that need trainings of their own: functions from a `Session` to an `Affinity`."""


@dataclass(frozen=True)
class Study:
    """What a study measures, how it chooses, and how much it trains to verify.

    Args:
        estimators: what is measured; the first decides. A `Record` rides on the joint training of all tasks, a name of
            `MEASURED` needs trainings of its own.
        rule: `tag` (networks may overlap) or `disjoint`.
        budget: how many networks.
        seeds: independent repeats of everything: weights, batches, noise.
        random: how many random groupings of as many networks the choice is compared with.
        verify: whether anything is trained to verify the choice.
        samples: bootstrap samples of moments and seeds, for the stability of groups.
        training: of every network; the system's where not given.
        sampler: how batches alternate over the tasks of a network, as in `Candidate`.

    Raises:
        ConfigError: a setting out of range.

    Example:
        >>> Study(estimators=("pairs",), budget=2, seeds=1).rule
        'tag'
    """

    estimators: tuple[Record | str, ...] = ("pairs",)
    rule: str = "tag"
    budget: int = 2
    seeds: int = 3
    random: int = 5
    verify: bool = True
    samples: int = 200
    training: Training | None = None
    sampler: str = "joint"

    def __post_init__(self) -> None:
        object.__setattr__(self, "estimators", tuple(self.estimators))
        object.__setattr__(self, "training", as_training(self.training))
        if not self.estimators:
            raise ConfigError("`estimators` must name at least one, found none.")
        for estimator in self.estimators:
            if isinstance(estimator, Record) and estimator.while_training:
                check_options(estimator)
                continue
            if estimator not in MEASURED:
                raise ConfigError(
                    f"`estimators` must be records of co-training estimators or names of {sorted(MEASURED)}, found "
                    f"{estimator!r}."
                )
        if self.rule not in RULES:
            raise ConfigError(f"`rule` must be one of {RULES}, found {self.rule!r}.")
        if self.sampler not in SAMPLERS:
            raise ConfigError(f"`sampler` must be one of {SAMPLERS}, found {self.sampler!r}.")
        for name, low in (("budget", 1), ("seeds", 1), ("random", 0), ("samples", 0)):
            whole_number(name, getattr(self, name), low)


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
    """

    def __init__(
        self, system: System, tasks: Sequence[Task], study: Study, engine: Engine | None = None,
        progress: Progress | None = None,
    ) -> None:
        require_several(tasks)
        self.system, self.study, self.engine, self.progress = system, study, engine, progress
        self.tasks = {task.name: task for task in sorted(tasks, key=lambda task: task.name)}
        self.names = tuple(self.tasks)
        self.trunk: Path = require_root(system.root, "affinity")
        self.training: Training = study.training or system.training
        self.seeds = tuple(range(system.seed, system.seed + study.seeds))
        self.results: dict[str, Result] = {}

    def network(self, tasks: Sequence[str], seed: int, record: Record | None = None) -> Candidate:
        """The network of these tasks, for one seed. The one of all tasks is that which the first record rode on."""
        first = self.study.estimators[0]
        if record is None and len(tasks) == len(self.names) and isinstance(first, Record):
            record = first
        return shared_network(
            [self.tasks[name] for name in self.names if name in tasks], self.trunk, self.training,
            self.system.families, seed=seed, sampler=self.study.sampler, record=record,
        )

    def train(self, candidates: Sequence[Candidate]) -> list[Result]:
        """The results of candidates, in their order; what was trained already is not trained again."""
        missing = list({c.hash: c for c in candidates if c.hash not in self.results}.values())
        if missing:
            self.results |= train_networks(
                self.system, list(self.tasks.values()), missing, self.engine, self.progress, name="affinity",
                leases=["affinity"],
            )
        return [self.results[candidate.hash] for candidate in candidates]

    def in_joint_runs(self, seconds: float) -> float:
        """Processor seconds of all seeds, in units of one joint training of all tasks without measuring."""
        results = self.train([self.network(self.names, seed) for seed in self.seeds])
        return seconds / sum(result.cpu_seconds - result.reading_seconds for result in results)


def require_several(tasks: Sequence[Task]) -> None:
    """Raise a `ConfigError` where there are fewer than two tasks."""
    if len(tasks) < 2:
        raise ConfigError(f"`tasks` must be at least two for a study, found {[task.name for task in tasks]}.")


__all__ = ["MEASURED", "RULES", "Session", "Study", "require_several"]
