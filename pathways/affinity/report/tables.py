"""Every number of the report as tables: what its CSV and JSON files hold, and what its page shows."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np

from pathways.affinity.evidence import Estimate, mean_over, paired_interval
from pathways.affinity.findings import Findings
from pathways.report.numbers import Cell, Table

from .course import stretches
from .networks import served
from .predicted import agreements
from .structure import (
    agreement,
    asymmetry,
    early_late,
    intra_minus_inter,
    pairs,
    positive_share,
    serving,
    standardised,
)
from .verified import ALONE, CHOSEN, TOGETHER, by_task, difference, points


def tables(findings: Findings) -> dict[str, Table]:
    """All tables of a study by name; those for which nothing was measured are empty."""
    made = [
        _splits(findings), _gains(findings), _results(findings), _networks(findings), _trained(findings),
        _tasks(findings), _matrix_facts(findings), _predicted(findings), _agreements(findings),
        _estimators(findings), _budget(findings), _costs(findings), *_matrices(findings), _course(findings),
    ]  # fmt: skip
    return {table.name: table for table in made}


def _ends(found: Estimate | None) -> tuple[Cell, Cell, Cell, Cell]:
    """value, low, high and n; nothing where there was nothing to compare."""
    return (nan, nan, nan, 0) if found is None else (found.value, found.low, found.high, found.n)


def _splits(findings: Findings) -> Table:
    columns = ["split", "networks", "cost", "validation", "test", "missing"]
    for other in (ALONE, TOGETHER):
        columns += [f"gain against {other}", "low", "high", "seeds", "low over tasks", "high over tasks"]
    rows = []
    for arm in findings.arms:
        compared = [_compared(findings, arm.name, other) for other in (ALONE, TOGETHER)]
        means = (paired_interval(arm.validation).value, paired_interval(arm.test).value)
        missing = int((~np.isfinite(arm.test)).sum())
        rows.append((arm.name, len(arm.networks), arm.cost, *means, missing, *compared[0], *compared[1]))
    return _table("splits", _distinct(columns), rows)


def _compared(findings: Findings, name: str, other: str) -> tuple[Cell, ...]:
    """The gain with its interval over seeds, then the ends of that over tasks."""
    if name == other:
        return (*_ends(None), nan, nan)
    over_tasks = _ends(difference(findings, name, other, "tasks"))
    return (*_ends(difference(findings, name, other)), over_tasks[1], over_tasks[2])


def _gains(findings: Findings) -> Table:
    rows = []
    for arm in findings.arms:
        for other in (ALONE, TOGETHER):
            for task, found in by_task(findings, arm.name, other).items() if other != arm.name else ():
                rows.append((arm.name, other, task, *_ends(found)))
    return _table("gains", ("split", "against", "task", "gain", "low", "high", "seeds"), rows)


def _results(findings: Findings) -> Table:
    rows = [
        (arm.name, seed, task, float(arm.validation[r, i]), float(arm.test[r, i]))
        for arm in findings.arms for r, seed in enumerate(findings.seeds) for i, task in enumerate(findings.tasks)
    ]
    return _table("results", ("split", "seed", "task", "validation", "test"), rows)


def _networks(findings: Findings) -> Table:
    rows = []
    for n, network in enumerate(findings.selection.networks):
        own = served(findings, n)
        helpers = [task for task in network.tasks if task not in own]
        rows.append((n + 1, network.cost, len(own), " | ".join(own), " | ".join(helpers)))
    return _table("networks", ("network", "cost", "serves", "tasks", "helpers"), rows)


def _trained(findings: Findings) -> Table:
    columns = ("network", "tasks", "cost", "seconds", "task", "predicted", "seed", "validation", "test", "source")
    rows = [
        (n + 1, " | ".join(network.tasks), network.cost, network.seconds, task, network.predicted.get(task, nan),
         seed, float(network.validation[r, k]), float(network.test[r, k]), network.source)
        for n, network in enumerate(findings.trained) for k, task in enumerate(network.tasks)
        for r, seed in enumerate(findings.seeds)
    ]  # fmt: skip
    return _table("trained", columns, rows)


def _tasks(findings: Findings) -> Table:
    values = pairs(findings.affinity, findings.tasks)
    received, given = mean_over(values, 1), mean_over(values, 0)
    halves = early_late(findings.affinity, findings.tasks)
    chosen, together = (by_task(findings, name, ALONE) for name in (CHOSEN, TOGETHER))
    columns = [
        "task", "network", "predicted", "in", "out", "net", "early-late Spearman",
        "gain chosen", "low", "high", "seeds", "gain all-in-one", "low", "high", "seeds",
    ]  # fmt: skip
    rows = []
    for i, task in enumerate(findings.tasks):
        network = findings.selection.serves.get(task)
        rows.append((
            task, None if network is None else network + 1, findings.selection.by_task.get(task, nan),
            float(received[i]), float(given[i]), float(received[i] - given[i]),
            halves.rows[task].value if halves else nan, *_ends(chosen.get(task)), *_ends(together.get(task)),
        ))  # fmt: skip
    return _table("tasks", _distinct(columns), rows)


def _matrix_facts(findings: Findings) -> Table:
    """The same facts of each matrix, side by side."""
    rows = []
    for affinity in findings.affinities:
        values = pairs(affinity, findings.tasks)
        together = serving(findings)
        halves = early_late(affinity, findings.tasks)
        rows.append((
            affinity.estimator, affinity.kind, affinity.unit, affinity.repeats, affinity.readings.shape[1],
            positive_share(values).value, asymmetry(values)[1], intra_minus_inter(values, together),
            intra_minus_inter(standardised(values), together), halves.all.value if halves else nan,
        ))  # fmt: skip
    columns = (
        "estimator", "kind", "unit", "repeats", "moments", "share of positive pairs", "asymmetry", "intra − inter",
        "intra − inter (row sd)", "early-late Spearman",
    )  # fmt: skip
    return _table("matrices", columns, rows)


def _predicted(findings: Findings) -> Table:
    rows = [
        (p.task, p.network + 1, " | ".join(findings.trained[p.network].tasks), p.predicted, p.placed, p.gain, p.error)
        for p in points(findings)
    ]
    columns = ("task", "network", "tasks", "predicted", "place", "verified gain", "standard error")
    return _table("predicted", columns, rows)


def _agreements(findings: Findings) -> Table:
    rows = [(name, *_ends(found)) for name, found in agreements(findings).items()]
    return _table("agreement", ("statistic", "value", "low", "high", "n"), rows)


def _estimators(findings: Findings) -> Table:
    rows = []
    for i, one in enumerate(findings.affinities):
        for two in findings.affinities[i + 1 :]:
            rows.append((
                one.estimator, two.estimator, one.kind if one.kind == two.kind else f"{one.kind} and {two.kind}",
                *_ends(agreement(one, two, findings.tasks)),
            ))  # fmt: skip
    return _table("estimators", ("estimator", "other", "kind", "Spearman", "low", "high", "n"), rows)


def _budget(findings: Findings) -> Table:
    curve = findings.curve
    rows = [
        (float(budget), *(float(np.asarray(values)[b]) for values in curve.predicted.values()))
        for b, budget in enumerate(np.asarray(curve.budgets))
    ]
    return _table("budget", ("budget", *curve.predicted), rows)


def _costs(findings: Findings) -> Table:
    rows = [(cost.what, cost.joint_runs, cost.seconds, cost.peak_bytes) for cost in findings.costs]
    return _table("costs", ("what", "joint runs", "seconds", "peak bytes"), rows)


def _matrices(findings: Findings) -> list[Table]:
    """The matrices that figures show; the values themselves have files of their own."""
    values = pairs(findings.affinity, findings.tasks)
    halves = early_late(findings.affinity, findings.tasks)
    shown = {
        "standardised": standardised(values), "asymmetry": asymmetry(values)[0], "stability": findings.stability,
        **({"early": halves.early, "late": halves.late} if halves else {}),
    }  # fmt: skip
    return [
        _table(name, ("affected_task", *findings.tasks), [
            (task, *map(float, row)) for task, row in zip(findings.tasks, matrix, strict=True)
        ]) for name, matrix in shown.items()
    ]  # fmt: skip


def _course(findings: Findings) -> Table:
    """Each pair's place in its row over training."""
    steps, places = stretches(findings)
    rows = [
        (float(step), task, *map(float, places[b, i]))
        for b, step in enumerate(steps) for i, task in enumerate(findings.tasks)
    ]
    return _table("course", ("step", "affected_task", *findings.tasks), rows)


def _distinct(columns: Sequence[str]) -> list[str]:
    """Names of repeated columns with that of the value they belong to in front."""
    out: list[str] = []
    owner = ""
    for name in columns:
        if name in ("low", "high", "seeds", "low over tasks", "high over tasks"):
            out.append(f"{owner}: {name}")
        else:
            owner = name
            out.append(name)
    return out


def _table(name: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Table:
    return Table(name, tuple(columns), tuple(rows))


__all__ = ["Cell", "Table", "tables"]
