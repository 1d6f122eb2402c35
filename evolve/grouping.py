"""Tasks that arrive together, divided into groups by affinity: each group then evolves one shared path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pathways.affinity.matrix import Affinity
from pathways.affinity.recorded import recorded
from pathways.candidate import Training
from pathways.engine import Engine
from pathways.errors import ConfigError
from pathways.modules import content_hash
from pathways.progress import Progress
from pathways.recording import Record
from pathways.strategy import Strategy
from pathways.system import System
from pathways.task import Task
from pathways.trainer.record import estimator as check_options

from .choose import grouped
from .joint import shared_network, train_networks
from .munet import MuNet
from .paths import require_root
from .settings import as_training, whole_number


@dataclass(frozen=True)
class Grouping:
    """How tasks that arrive together are divided: by affinity, measured while one network trains on all of them.

    Args:
        budget: how many groups; each task is in one.
        estimator: a co-training estimator that trainers can measure, a name of `pathways.affinity.table`.
        every: steps between measurements.
        seeds: independent repeats of the measurement.
        options: of the estimator.
        training: of the measured network; the run's where not given. It costs `seeds` trainings of all tasks.

    Raises:
        ConfigError: a setting out of range.

    Reference: Fifty et al. 2021 (TAG, 2109.04617), with disjoint groups.

    Example:
        >>> Grouping(budget=2).estimator
        'first_order'
    """

    budget: int = 2
    estimator: str = "first_order"
    every: int = 10
    seeds: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    training: Training | None = None

    def __post_init__(self) -> None:
        whole_number("budget", self.budget, 1)
        whole_number("seeds", self.seeds, 1)
        object.__setattr__(self, "training", as_training(self.training))
        if not self.record.while_training:
            raise ConfigError(f"`estimator` must be measured while tasks train, found {self.estimator!r}.")
        check_options(self.record)

    @property
    def record(self) -> Record:
        """What is measured."""
        return Record(self.estimator, self.every, self.options)


def divide(
    system: System, tasks: Sequence[Task], grouping: Grouping, engine: Engine | None = None,
    progress: Progress | None = None,
) -> tuple[list[list[Task]], Affinity | None]:
    """Divide tasks into groups whose members help each other, in the order of their first tasks.

    Measurements are candidates in the system's ledger: a run that goes on divides as it did before.

    Args:
        system: whose root is the trunk that the measured network shares.
        tasks: those that arrive together.
        grouping: how.
        engine: where trainers run; in this process when not given.
        progress: called with an `Event` after each result.

    Returns:
        The groups, and what was measured; nothing is where there are no more tasks than groups, or one group.
    """
    if grouping.budget >= len(tasks):
        return [[task] for task in tasks], None
    if grouping.budget == 1:
        return [list(tasks)], None
    trunk = require_root(system.root_for(tasks), "grouping", system.record.roots)
    training = grouping.training or system.training
    asked = [
        shared_network(
            tasks, trunk, training, system.families, seed=system.seed + i, record=grouping.record
        )
        for i in range(grouping.seeds)
    ]
    lease = _lease([task.name for task in tasks])
    with system.leased([lease]):
        results = train_networks(system, tasks, asked, engine, progress, name="grouping", leases=[lease])
    affinity = recorded([(candidate, results[candidate.hash]) for candidate in asked])
    selection = grouped(affinity, "disjoint", grouping.budget)
    of = {task.name: task for task in tasks}
    order = [task.name for task in tasks]
    groups = [sorted(group, key=order.index) for group in selection.groups]
    return [[of[name] for name in group] for group in sorted(groups, key=lambda group: order.index(group[0]))], affinity


def _lease(names: Sequence[str]) -> str:
    """What a division of these tasks holds: short, as a database limits how long it may be."""
    return f"grouping of {names[0][:100]} and {len(names) - 1} more ({content_hash(list(names))[:12]})"


def guarded(strategy: Strategy) -> Strategy:
    """The strategy with a guard, where it knows one and its settings do not say otherwise."""
    if isinstance(strategy, MuNet) and strategy.guard is None:
        return replace(strategy, guard=True)
    return strategy


__all__ = ["Grouping", "divide", "guarded"]
