"""The Optuna view of a ledger, made on demand: one study a task, to look at with `optuna-dashboard`."""

from __future__ import annotations

import math
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path as FilePath
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from .errors import LedgerError
from .fields import read_json
from .ledger import Ledger
from .ledger_rows import Row
from .ledger_url import chosen_url
from .optuna_study import quietly


def write_study(run_dir: str | FilePath, out: str | FilePath | None = None) -> FilePath:
    """Write an Optuna storage with one study for each task of a run's ledger.

    A trial's value is its validation quality (more is better), its parameters are the hyperparameters that
    vary among the task's candidates, its intermediate values the qualities measured while it trained. What
    failed is a failed trial, what a race stopped a pruned one. User attributes tell strategy, number, parents, costs
    and the reason of failure.

    Args:
        run_dir: the run directory.
        out: the SQLite file to write, replacing an earlier one; `run_dir/optuna.db` when not given.

    Returns:
        The file; `optuna-dashboard sqlite:///FILE` shows it.

    Raises:
        LedgerError: the directory has no ledger.

    Reference: Akiba et al. 2019, "Optuna: a next-generation hyperparameter optimization framework".
    """
    place = _ledger_of(FilePath(run_dir))
    file = FilePath(out) if out is not None else FilePath(run_dir) / "optuna.db"
    with Ledger(place) as ledger:
        rows = ledger.rows()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".tmp-") as folder:
        with quietly(), _storage(FilePath(folder) / "optuna.db") as storage:
            for task in dict.fromkeys(task for row in rows for task in row.tasks):
                _add_study(storage, task, [row for row in rows if task in row.tasks])
        os.replace(FilePath(folder) / "optuna.db", file)
    return file


def _ledger_of(run_dir: FilePath) -> str | FilePath:
    """The database or file of a run's ledger."""
    file, system = run_dir / "ledger.db", run_dir / "system.json"
    stated = read_json(system).get("ledger") if system.is_file() else None
    if stated:
        return chosen_url(str(stated["url"])) or file
    if not file.is_file():
        raise LedgerError(f"{file} must be there, found no such file: is {run_dir} a run directory?")
    return file


def _add_study(storage: optuna.storages.BaseStorage, task: str, rows: Sequence[Row]) -> None:
    """One study: its trials, and what they have in common as attributes of the study."""
    settings = [dict(_flat(row.training)) for row in rows]
    every = {name: [s.get(name) for s in settings] for name in dict.fromkeys(n for s in settings for n in s)}
    varied = {name: values for name, values in every.items() if len(set(map(repr, values))) > 1}
    distributions = {name: distribution(values) for name, values in varied.items()}
    study = optuna.create_study(study_name=task, storage=storage, direction="maximize")
    for name, values in every.items():
        if name not in varied:
            study.set_user_attr(name, values[0])
    higher = _higher_is_better(task, rows)
    for row, own in zip(rows, settings, strict=True):
        study.add_trial(_trial(task, row, own, distributions, higher))


def _trial(
    task: str,
    row: Row,
    settings: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    higher_is_better: bool,
) -> FrozenTrial:
    result = row.result
    quality = result.measures[task].quality if task in result.measures else math.nan
    measured = not result.failure and math.isfinite(quality)
    state = TrialState.PRUNED if result.stopped else TrialState.COMPLETE
    params = {name: settings[name] for name in distributions if settings.get(name) is not None}
    curve = {step: v if higher_is_better else 1 / (1 + v) for step, name, v in result.curve if name == task}
    attributes = {
        "candidate": row.hash, "strategy": row.strategy, "number": row.number, "generation": row.generation,
        "parents": list(row.parents), "mutations": row.labels.get("mutations"), "reused": row.reused,
        "failure": result.failure or ("" if measured else f"quality is {quality}"),
        "parameters": result.parameters, "trainable": result.trainable, "flops": result.flops,
        "seconds": row.seconds, "cpu_seconds": row.cpu_seconds,
    }
    trial = optuna.trial.create_trial(
        state=state if measured else TrialState.FAIL,
        value=quality if measured else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        intermediate_values={step: value for step, value in curve.items() if math.isfinite(value)},
        # Each attribute costs Optuna two milliseconds: those that say nothing are left out.
        user_attrs={n: value for n, value in attributes.items() if value or type(value) in (int, float)},
    )
    trial.datetime_complete = datetime.fromtimestamp(row.finished)
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=result.seconds)
    return trial


def distribution(values: Sequence[Any]) -> BaseDistribution:
    """The Optuna distribution of `values`: a range for numbers, else a choice; `None` is no value.

    >>> distribution([1, 4, None])
    IntDistribution(high=4, log=False, low=1, step=1)
    >>> distribution([0.5, 0.25]).log, distribution([0.001, 0.1]).log
    (False, True)
    >>> distribution(["sgd", "adamw", "sgd"]).choices
    ('adamw', 'sgd')
    """
    given = [value for value in values if value is not None]
    if all(type(value) is int for value in given):
        return IntDistribution(min(given), max(given))
    if all(type(value) in (int, float) for value in given):
        low, high = float(min(given)), float(max(given))
        return FloatDistribution(low, high, log=low > 0 and high >= 10 * low)
    return CategoricalDistribution(sorted(set(given), key=repr))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings with dotted names: `augment.rotate`."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _higher_is_better(task: str, rows: Sequence[Row]) -> bool:
    """The sense of the task's metric: `quality` is the metric itself where more is better."""
    measures = [row.result.measures[task] for row in rows if task in row.result.measures]
    return all(m.quality == m.validation for m in measures if math.isfinite(m.validation))


@contextmanager
def _storage(file: FilePath) -> Iterator[optuna.storages.RDBStorage]:
    """A fresh storage in `file`, closed at the end."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(file)
        # What can be made again need not be forced to disk, which Optuna would do several times a trial.
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")
        return connection

    storage = optuna.storages.RDBStorage("sqlite:///optuna.db", engine_kwargs={"creator": connect})
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
