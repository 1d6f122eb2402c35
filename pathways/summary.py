"""What a run has reached, as plain data: the fields that `pathways show --json` prints."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import yaml

from . import metrics
from .errors import ConfigError
from .ledger_rows import SYSTEM, Evaluation
from .path import Path
from .shared import share_of

CHAMPIONS = "champions"
INDEPENDENT = "independent"


def summarise(system: Any) -> dict[str, Any]:
    """The summary of a system; every value is plain data, and `None` stands for what was not measured.

    Args:
        system: a `pathways.System`.

    Returns:
        `tasks`: for each task, in the order learned, `name, metric, higher_is_better, strategy, test,
        validation, independent_test, controls` (test by control, of one that carries a network on at the end of the
        stream; what it had when it was learned stands in `matrices`), `new_parameters, shared_parameters, parents,
        guard` (what a guard against negative transfer kept, `sharing` or `scratch`), `candidates, seconds,
        cpu_seconds`.
        `ACC, BWT, FWT, learning_accuracy, forgetting`: of the champions; they need one metric for all tasks.
        `transfer`: the mean of test minus independent test, turned so that more is better.
        `parameters, independent_parameters`: distinct parameters of all champions, root included, and the sum over
        the independent models. `shared_share`: of the champions' distinct parameters, the share in modules that two
        tasks or more use.
        `seconds, cpu_seconds`: what the champions' searches took; `sides`: the same for each side of the
        comparison, with its `ACC, BWT, forgetting, parameters, candidates`, controls by name. `stopped`: how many of
        its candidates races stopped; `steps_saved`: the share of its training steps that this saved.
        `matrices`: for each side, R[i][j], the test measure of task j after learning task i. A champion is measured
        when it is frozen; after later tasks, which cannot change it, it stands at the same value.
        `alone`: how many candidates were trained by themselves, by why; under an empty reason, how many in stacks.
        `fingerprint`: equal for equal systems. `run`: the directory.
    """
    briefs = list(system.briefs.values())
    controls = system.ledger.controls()
    names = [brief.name for brief in briefs]
    order = list(dict.fromkeys(strategy for strategy, task in controls))
    searches = list(dict.fromkeys(brief.strategy for brief in briefs))
    paid = system.ledger.costs_by_task()
    tasks = [_task(brief, paid.get(brief.name, {}), controls, order) for brief in briefs]
    evaluations = [e for e in system.ledger.evaluations(carried=False) if e.split == "test"]
    matrices = {CHAMPIONS: matrix([e for e in evaluations if e.strategy == SYSTEM], names)}
    for i, task in enumerate(tasks):
        if matrices[CHAMPIONS][i][i] is None:
            matrices[CHAMPIONS][i][i] = task["test"]
    carry(matrices[CHAMPIONS])
    for side in order:
        found = matrix([e for e in evaluations if e.strategy == side], names)
        for i, task in enumerate(tasks):
            if found[i][i] is None:
                found[i][i] = task["controls"].get(side)
            if (last := found[-1][i]) is not None:  # of one network that went on: what is left at the end
                task["controls"][side] = last
        matrices[side] = found

    comparable = len({task["metric"] for task in tasks}) == 1
    turn = 1.0 if all(task["higher_is_better"] for task in tasks) else -1.0
    costs = system.ledger.costs()
    sides = {
        CHAMPIONS: _paid([costs[name] for name in searches if name in costs])
        | {"parameters": total_parameters(system)}
        | _stream(matrices[CHAMPIONS], comparable, turn)
    }
    for side in order:
        sides[side] = (
            _paid([costs[side]] if side in costs else [])
            | {
                "parameters": _control_parameters(
                    [controls[side, name] for name in names if (side, name) in controls], system
                ),
            }
            | _stream(matrices[side], comparable, turn)
        )
    for side, data in sides.items():
        data["steps_saved"] = _saved(system, searches if side == CHAMPIONS else [side], data["stopped"])
    champions = sides[CHAMPIONS]
    return {
        "tasks": tasks,
        **{name: champions[name] for name in ("ACC", "BWT", "forgetting", "learning_accuracy")},
        "FWT": _forward(evaluations, matrices[CHAMPIONS], names) if comparable else None,
        "transfer": _transfer(tasks) if comparable else None,
        "parameters": champions["parameters"],
        "shared_share": share_of(brief.sizes for brief in briefs),
        "independent_parameters": sides.get(INDEPENDENT, {}).get("parameters"),
        "seconds": champions["seconds"],
        "cpu_seconds": champions["cpu_seconds"],
        "sides": sides,
        "alone": system.ledger.trained_alone(),
        "matrices": matrices,
        "engine": _engine(system.directory),
        "fingerprint": system.fingerprint,
        "run": system.place,
    }


def matrix(evaluations: Iterable[Evaluation], names: Sequence[str]) -> list[list[float | None]]:
    """R[i][j] from recorded evaluations: rows are what was learned last, columns the task that is measured."""
    place = {name: i for i, name in enumerate(names)}
    cells: list[list[float | None]] = [[None] * len(names) for _ in names]
    for e in evaluations:
        if e.after in place and e.task in place:
            cells[place[e.after]][place[e.task]] = plain_number(e.value)
    return cells


def carry(cells: list[list[float | None]]) -> None:
    """Fill the empty cells below the diagonal with what each task had when it was learned: champions do not change.

    >>> cells = [[0.5, None], [None, 0.7]]
    >>> carry(cells)
    >>> cells
    [[0.5, None], [0.5, 0.7]]
    """
    diagonal = [row[i] for i, row in enumerate(cells)]
    for i, row in enumerate(cells):
        row[:i] = [here if cell is None else cell for cell, here in zip(row[:i], diagonal, strict=False)]


def total_parameters(system: Any) -> int:
    """Distinct parameters of all champions' paths and of the frozen roots they began with."""
    sizes: dict[str, int] = {}
    for brief in system.briefs.values():
        sizes.update(brief.sizes)
    for root in system.roots.values():
        if frozen := root.frozen():
            costs = root.costs(system.families).sizes
            sizes.update({blob: costs[blob] for blob in frozen})
    return sum(sizes.values())


def plain_number(value: float | None) -> float | None:
    """`value`, or `None` where it is NaN or infinite, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def _task(
    brief: Any, paid: Mapping[str, Any], controls: Mapping[tuple[str, str], dict[str, Any]], order: Sequence[str]
) -> dict[str, Any]:
    cost = paid.get(brief.strategy)
    tests = {s: plain_number(controls[s, brief.name].get("test")) for s in order if (s, brief.name) in controls}
    return {
        "name": brief.name,
        "metric": brief.metric,
        "higher_is_better": brief.higher_is_better,
        "strategy": brief.strategy,
        "test": plain_number(brief.test),
        "validation": plain_number(brief.validation),
        "independent_test": tests.get(INDEPENDENT),
        "controls": tests,
        "new_parameters": brief.new_parameters,
        "shared_parameters": brief.parameters - brief.new_parameters,
        "parents": list(brief.parents),
        "guard": brief.guard,
        "candidates": cost.candidates if cost else 0,
        "seconds": cost.seconds if cost else 0.0,
        "cpu_seconds": cost.cpu_seconds if cost else 0.0,
    }


def _paid(costs: Sequence[Any]) -> dict[str, Any]:
    return {
        "candidates": sum(cost.candidates for cost in costs),
        "seconds": sum(cost.seconds for cost in costs),
        "cpu_seconds": sum(cost.cpu_seconds for cost in costs),
        "stopped": sum(cost.stopped for cost in costs),
    }


def _saved(system: Any, strategies: Sequence[str], stopped: int) -> float:
    """The share of the training steps that races saved; 0 where they stopped nobody."""
    rows = [row for name in strategies for row in system.ledger.rows(strategy=name)] if stopped else []
    budgets = [(row.result.stopped, int(row.training["steps"])) for row in rows]
    saved = sum(budget - stop for stop, budget in budgets if stop)
    return saved / sum(budget for _, budget in budgets) if saved else 0.0


def _stream(cells: Sequence[Sequence[float | None]], comparable: bool, turn: float) -> dict[str, float | None]:
    """The stream metrics that the measured cells allow; a side of separate models has only its mean."""
    result: dict[str, float | None] = dict.fromkeys(("ACC", "BWT", "forgetting", "learning_accuracy"))
    if not cells or not comparable:
        return result
    filled = np.array(cells, dtype=np.float64)  # what was not measured becomes NaN
    turned = turn * filled
    diagonal = np.diag(filled)
    if np.isfinite(diagonal).all():
        result["learning_accuracy"] = metrics.learning_accuracy(filled)
        result["ACC"] = sum(diagonal.tolist()) / len(diagonal)
    if np.isfinite(filled[-1]).all():
        result["ACC"] = metrics.average_accuracy(filled)
        if result["learning_accuracy"] is not None:
            result["BWT"] = metrics.backward_transfer(turned)
    if np.isfinite(filled[np.tril_indices(len(filled))]).all():
        result["forgetting"] = metrics.forgetting(turned)
    return result


def _forward(
    evaluations: Sequence[Evaluation], cells: Sequence[Sequence[float | None]], names: Sequence[str]
) -> float | None:
    untrained = {e.task: e.value for e in evaluations if e.after == "" and e.strategy == SYSTEM}
    if not names or any(name not in untrained for name in names):
        return None
    return metrics.forward_transfer(np.array(cells, dtype=np.float64), [untrained[name] for name in names])


def _transfer(tasks: Sequence[Mapping[str, Any]]) -> float | None:
    gains = [
        (task["test"] - task["independent_test"]) * (1 if task["higher_is_better"] else -1)
        for task in tasks
        if task["test"] is not None and task["independent_test"] is not None
    ]
    return sum(gains) / len(gains) if gains else None


def _control_parameters(recorded: Sequence[Mapping[str, Any]], system: Any) -> int | None:
    """Distinct parameters of a control: of its one network where it carries one on, else of all its models."""
    kept = [data for data in recorded if data.get("memory") is not None][-1:] or recorded
    sizes: dict[str, int] = {}
    for data in kept:
        for path in data["paths"].values():
            sizes.update(Path.from_json(path).costs(system.families).sizes)
    return sum(sizes.values()) if recorded else None


def run_config(directory: FilePath | str) -> dict[str, Any]:
    """What the run's `config.yaml` says; empty where the system was made from Python without one."""
    file = FilePath(directory) / "config.yaml"
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: it must be readable YAML: {' '.join(str(error).split())}.") from None
    return data if isinstance(data, dict) else {}


def _engine(directory: FilePath) -> str | None:
    engine = run_config(directory).get("engine")
    if not isinstance(engine, Mapping):
        return None
    if "workers" not in engine:
        return engine.get("kind")
    kind, workers = engine.get("kind", "local"), engine["workers"]
    return kind if kind != "local" and not workers else f"{kind} × {workers or 1}"  # as many as a cluster has room for
