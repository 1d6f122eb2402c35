"""Tasks of a stream that are learned at the same time: which, by affinity, measured before the first is learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pathways.affinity.matrix import Affinity
from pathways.affinity.needs import needs_of, require_noise, waves_of
from pathways.affinity.recorded import recorded
from pathways.affinity.table import CO_TRAINING
from pathways.candidate import Candidate, Result, Training
from pathways.engine import Engine
from pathways.errors import ConfigError, PathError
from pathways.modules import Init, content_hash
from pathways.path import Path
from pathways.progress import Progress
from pathways.recording import Record
from pathways.seeds import seed_of
from pathways.system import System
from pathways.task import Task
from pathways.trainer.record import estimator as check_options

from .joint import shared_network, train_networks
from .parents import transferability
from .paths import fit_inputs, require_root, with_head, without_head
from .settings import as_training, whole_number

NAME = "at-once"
"""Under which measurements stand in the ledger."""


@dataclass(frozen=True)
class AtOnce:
    """Learns tasks of a stream at the same time where affinity says that they do not need each other's results.

    A task waits for an earlier one that is among its `needs` best sources and stands out from noise; all else goes at
    once, at most `most` tasks. The rule is that of `pathways.affinity.needs`.

    Args:
        affinity: an estimator that trainers can measure, a name of `pathways.affinity.table`: of `CO_TRAINING`,
            measured while one network trains on all tasks, or of `TRANSFERABILITY`, of each task's own network to
            every other task.
        needs: how many sources a task may wait for.
        most: tasks at once.
        level: of the test whether a source stands out.
        every: steps between co-training measurements.
        seeds: independent repeats; noise is what differs between them, or, where there is one, between moments.
        options: of the estimator.
        training: of the measured networks; the run's where not given. Co-training costs `seeds` trainings of one
            network on all tasks, transferability `seeds` trainings of each task's own.

    Raises:
        ConfigError: a setting out of range.

    Reference: Fifty et al. 2021 (TAG, 2109.04617) for co-training; transferability is cited by its estimators.

    Example:
        >>> AtOnce("logme", most=3).record.estimator
        'logme'
    """

    affinity: str = "first_order"
    needs: int = 1
    most: int = 4
    level: float = 0.05
    every: int = 10
    seeds: int = 2
    options: dict[str, Any] = field(default_factory=dict)
    training: Training | None = None

    def __post_init__(self) -> None:
        for name in ("needs", "most", "seeds"):
            whole_number(name, getattr(self, name), 1)
        if isinstance(self.level, bool) or not isinstance(self.level, (int, float)) or not 0 < self.level < 1:
            raise ConfigError(f"`level` must be above 0 and below 1, found {self.level!r}.")
        object.__setattr__(self, "training", as_training(self.training))
        check_options(self.record)
        if not self.record.while_training and self.seeds < 2:
            raise ConfigError(
                f"`seeds` must be at least 2 where {self.affinity!r} decides, which is measured once in each, found "
                f"{self.seeds}: noise is what differs between them."
            )

    @property
    def record(self) -> Record:
        """What is measured."""
        return Record(self.affinity, self.every, self.options)


Ask = Callable[[Sequence[Candidate]], Mapping[str, Result]]
"""Results of candidates, by hash."""


class NotMeasured(Exception):  # noqa: N818
    """The ledger does not hold all that waves are made of."""


def waves_by_affinity(
    system: System, tasks: Sequence[Task], settings: AtOnce, engine: Engine | None = None,
    progress: Progress | None = None, *, measure: bool = True,
) -> tuple[tuple[tuple[str, ...], ...], Affinity | None]:
    """The names of tasks in waves, each learned at once, in the order of the stream; and what was measured.

    Measurements are candidates in the system's ledger, which answers what it knows, also where their blobs are gone:
    a run that goes on has the same waves. Nothing is measured of one task.

    Args:
        system: whose root is the trunk of the measured networks.
        tasks: in the order of the stream, whether learned already or not.
        settings: the rule.
        engine: where trainers run; in this process when not given.
        progress: called with an `Event` after each result.
        measure: whether what is not known is measured.

    Raises:
        ConfigError: there is no root, or noise could not be told.
        DataError: a measurement failed.
        NotMeasured: something is not known and `measure` is false.
    """
    names = [task.name for task in tasks]
    if len(names) < 2:
        return tuple((name,) for name in names), None

    def ask(candidates: Sequence[Candidate]) -> Mapping[str, Result]:
        known = system.ledger.known([candidate.hash for candidate in candidates])
        if known.keys() >= {candidate.hash for candidate in candidates}:
            return known
        if not measure:
            raise NotMeasured
        lease = f"{NAME}: {names[0][:100]} and {len(names) - 1} more ({content_hash(names)[:12]})"
        with system.leased([lease]):
            return train_networks(system, tasks, candidates, engine, progress, name=NAME, leases=[lease])

    found = co_training if settings.affinity in CO_TRAINING else transfers
    affinity = found(system, tasks, settings, ask).of(names)
    return waves_of(needs_of(affinity, settings.needs, settings.level), settings.most), affinity


def co_training(system: System, tasks: Sequence[Task], settings: AtOnce, ask: Ask) -> Affinity:
    """What one network records while it trains on all tasks, once for each seed."""
    training = settings.training or system.training
    require_noise(settings.seeds, -(-training.steps // settings.every))
    trunk = require_root(system.root_for(tasks), "`at_once` by affinity", system.record.roots)
    asked = [
        shared_network(tasks, trunk, training, system.families, seed=seed, record=settings.record)
        for seed in _seeds(system, settings)
    ]
    results = ask(asked)
    return recorded([(candidate, results[candidate.hash]) for candidate in asked])


def transfers(system: System, tasks: Sequence[Task], settings: AtOnce, ask: Ask) -> Affinity:
    """How useful the features of each task's own network are for every other task, once for each seed.

    NaN where a network could not be trained, or cannot read the other task's inputs.
    """
    training = settings.training or system.training
    roots = {
        task.name: require_root(system.root_for([task]), "`at_once` by affinity", system.record.roots) for task in tasks
    }
    seeds = _seeds(system, settings)
    own = {
        (task.name, seed): shared_network([task], roots[task.name], training, system.families, seed=seed)
        for task in tasks for seed in seeds
    }
    trained = ask(list(own.values()))
    asked: dict[tuple[str, str, int], Candidate] = {}
    for (source, seed), candidate in own.items():
        if (result := trained[candidate.hash]).ok:
            [path] = candidate.trained_paths(result).values()
            for task in tasks:
                if task.name != source and (made := _measured(path, task, seed, training, settings, system)):
                    asked[task.name, source, seed] = made
    results = ask(list(asked.values()))
    names = [task.name for task in tasks]
    readings = np.full((len(seeds), 1, len(names), len(names)), np.nan)
    for (affected, source, seed), candidate in asked.items():
        place = (seeds.index(seed), 0, names.index(affected), names.index(source))
        readings[place] = transferability(results[candidate.hash])
    about = {"options": dict(settings.options), "seeds": seeds}
    return Affinity(tuple(names), tuple(names), "transfer", settings.affinity, settings.affinity, readings, about=about)


def _measured(
    path: Path, task: Task, seed: int, training: Training, settings: AtOnce, system: System
) -> Candidate | None:
    """A source's frozen trunk under a head for a task, of which nothing is trained; `None` where it does not fit."""
    try:
        trunk = fit_inputs(without_head(path), task.inputs)
    except PathError:
        return None
    head = Init(seed_of("head", seed, task.name))
    made = with_head(trunk, task.target, f"head/{task.name}", start=head, inputs=task.inputs, families=system.families)
    labels = {"strategy": NAME, "generation": 0, "parents": [], "mutations": []}
    still, data = replace(training, steps=0, head_init="random", head_refit="none"), {task.name: task.fingerprint}
    return Candidate({task.name: made}, still, data, seed, labels=labels, record=settings.record)


def _seeds(system: System, settings: AtOnce) -> list[int]:
    return [system.seed + i for i in range(settings.seeds)]


__all__ = ["NAME", "AtOnce", "NotMeasured", "co_training", "transfers", "waves_by_affinity"]
