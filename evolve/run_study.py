"""A study of affinity carried out: from tasks to findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pathways.affinity.evidence import stability
from pathways.affinity.findings import Arm, Cost, Findings, Trained
from pathways.affinity.matrix import Affinity
from pathways.affinity.recorded import recorded
from pathways.affinity.selection import Selection
from pathways.engine import Engine
from pathways.progress import Progress
from pathways.recording import Record
from pathways.system import System
from pathways.task import Task

from .arms import Groups, put_to_the_test, random_groupings, serving
from .choose import grouped, predictions, value_against_budget
from .measured.kept import kept_or_measured
from .study import Estimator, Session, Study
from .transfer_arms import put_sources_to_the_test


def run_study(
    system: System, tasks: Sequence[Task], study: Study, engine: Engine | None = None,
    progress: Progress | None = None,
) -> Findings:
    """Measure affinity between tasks, choose networks by it, and train them and others to verify the choice.

    What the system's ledger knows is not trained again, so a study that was killed goes on where it stopped.

    Args:
        system: a run directory of its own; its root is the trunk that tasks share.
        tasks: at least two that read the same inputs.
        study: what is measured, chosen and verified.
        engine: where trainers run; in this process when not given.
        progress: called with an `Event` after each result.

    Raises:
        ConfigError: fewer than two tasks, no root.
        DataError: the network of all tasks could not be trained; the message says why.
        LedgerError: another process carries out a study in this directory.
    """
    session = Session(system, tasks, study, engine, progress)
    with system.leased(["affinity"]):
        measured = [measure(session, estimator) for estimator in study.measured]
        affinities = tuple(affinity for affinity, _ in measured)
        main, budget = affinities[0], min(study.budget, len(session.names))
        selection = grouped(main, study.rule, budget)
        trained: tuple[Trained, ...] = ()
        arms: tuple[Arm, ...] = ()
        costs = [cost for _, cost in measured]
        if study.verify and study.rule == "taskonomy":
            trained, arms = put_sources_to_the_test(session, affinities, selection)
        elif study.verify:
            groupings = _groupings(session, selection, affinities[1:])
            predicted = {group: predictions(main, group) for groups, _ in groupings.values() for group in groups}
            trained, arms = put_to_the_test(session, groupings, predicted)
        if study.verify:
            seconds = float(np.nansum([network.seconds for network in trained])) * len(session.seeds)
            costs.append(Cost("verification", session.in_joint_runs(seconds), seconds))
    shared, own = _sizes(session)
    metric = next(iter(session.tasks.values())).measured_by
    return Findings(
        name=system.directory.name, tasks=session.names, metric=metric.name, higher_is_better=metric.higher_is_better,
        unit="points" if metric.name == "accuracy" else metric.name, seeds=session.seeds, affinities=affinities,
        selection=selection, curve=value_against_budget(main, affinities, study.rule, session.system.seed),
        trained=trained, arms=arms, stability=_stability(session, main, budget), costs=tuple(costs),
        shared_parameters=shared, own_parameters=own,
    )


def measure(session: Session, estimator: Estimator) -> tuple[Affinity, Cost]:
    """What an estimator finds, and what that cost."""
    if isinstance(estimator, Record):
        asked = [session.network(session.names, seed, estimator) for seed in session.seeds]
        results = session.train(asked)
        seconds = sum(result.cpu_seconds for result in results)
        found = recorded(list(zip(asked, results, strict=True)))
    else:
        kept = kept_or_measured(session, estimator)
        found, seconds = kept.affinity, kept.seconds
    return found, Cost(estimator.estimator, session.in_joint_runs(seconds), seconds)


def _groupings(
    session: Session, selection: Selection, others: Sequence[Affinity]
) -> dict[str, tuple[Groups, dict[str, int]]]:
    """What is put to the test: the choice, all tasks in one network, each in its own, what other matrices would have
    chosen, and random groups.
    """
    names = session.names
    alone = tuple((name,) for name in names)
    found: dict[str, tuple[Groups, dict[str, int]]] = {
        "chosen": (selection.groups, dict(selection.serves)),
        "all-in-one": ((names,), serving((names,))),
        "separate": (alone, serving(alone)),
    }
    for other in others:
        if other.kind == "co-training":
            by = grouped(other, session.study.rule, int(selection.budget))
            found[f"by {other.estimator}"] = (by.groups, dict(by.serves))
    drawn = random_groupings(names, len(selection.networks), session.study.random, session.system.seed)
    return found | {f"random {i + 1}": (groups, serving(groups)) for i, groups in enumerate(drawn)}


def _stability(session: Session, affinity: Affinity, budget: int) -> Any:
    """How often two tasks are in one group over bootstrap samples."""
    study = session.study
    if not study.samples:
        return np.full((len(session.names), len(session.names)), np.nan)
    return stability(
        affinity, lambda drawn: grouped(drawn, study.rule, budget).groups, study.samples, session.system.seed
    )


def _sizes(session: Session) -> tuple[int, int]:
    """How many parameters all tasks share, and how many the largest head has."""
    network, families = session.network(session.names, session.seeds[0]), session.system.families
    sizes = [path.costs(families).sizes for path in network.paths.values()]
    shared = set.intersection(*(set(each) for each in sizes))
    own = [sum(n for name, n in each.items() if name not in shared) for each in sizes]
    return sum(sizes[0][name] for name in shared), max(own)
