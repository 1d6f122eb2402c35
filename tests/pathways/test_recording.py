"""Records: measurements that ride on a candidate change nothing, are kept, and say what is wrong with them."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers_tiny import DIM, TRAINING, chain, head, linear, task_of
from sqlalchemy import inspect

from pathways.affinity import table
from pathways.affinity.moment import Moment, Reading
from pathways.candidate import Augment, Candidate, Result
from pathways.errors import ConfigError
from pathways.ledger import Ledger
from pathways.modules import Draft, Image, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.recording import Record, pack_reading, unpack_reading
from pathways.stack_plan import plan
from pathways.task import Classes, Split, Task
from pathways.trainer import Trainer


def losses(moment: Moment) -> Reading:
    """Row j, column i: the loss of j, plus what it is after a crude step on i; it draws and disturbs what it can."""
    found = moment.nothing()
    for i, task in enumerate(moment.tasks):
        torch.rand(3)
        found[:, i] = [float(moment.loss(other).detach()) for other in moment.tasks]
        assert float(moment.loss(task).detach()) == found[i, i]
    assert moment.rate > 0
    assert set(moment.shared) == {"body.linear.weight", "body.linear.bias"}
    return found


def spread(features: torch.Tensor, targets: torch.Tensor, *, power: float = 1.0) -> float:
    """How far the features stand from their mean."""
    assert len(features) == len(targets)
    return float(features.var() ** power)


@pytest.fixture(autouse=True)
def estimators(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fake = SimpleNamespace(losses=losses, spread=spread)
    monkeypatch.setitem(sys.modules, "pathways.affinity.fake", fake)  # type: ignore[arg-type]
    for name, names in (("losses", table.CO_TRAINING), ("spread", table.TRANSFERABILITY)):
        monkeypatch.setitem(names, name, f"fake:{name}")
        monkeypatch.setitem(table.ESTIMATORS, name, f"fake:{name}")
    return iter(())


TASKS = {name: task_of(name) for name in ("one", "two")}


def joint(**changes: Any) -> Candidate:
    paths = {name: chain({"x": Vector(DIM)}, linear("body"), head(name)) for name in TASKS}
    data = {name: task.fingerprint for name, task in TASKS.items()}
    return Candidate(paths, TRAINING, data, **changes)


def trainer(tmp_path: FilePath, *tasks: Task) -> Trainer:
    made = Trainer(Pool(tmp_path / "pool"))
    for task in tasks or TASKS.values():
        made.provide(task.without_test())
    return made


@pytest.mark.parametrize("sampler", ["joint", "proportional"])
def test_a_measured_candidate_gets_the_same_weights(tmp_path: FilePath, sampler: str) -> None:
    plain, measured = joint(sampler=sampler), joint(sampler=sampler, record=Record("losses", every=5))
    without, with_record = trainer(tmp_path).run([plain, measured])
    assert not without.failure
    assert without.blobs == with_record.blobs
    assert without.measures == with_record.measures
    assert without.readings == ()
    assert [step for step, _ in with_record.readings] == [0, 5, 10, 15, 20]
    readings = [unpack_reading(packed) for _, packed in with_record.readings]
    assert all(reading.shape == (2, 2) for reading in readings)
    assert readings[-1].mean() < readings[0].mean()
    assert with_record.reading_seconds > 0


def test_changed_images_are_measured_as_they_are_trained(tmp_path: FilePath) -> None:
    """Changes are drawn in every batch: what was measured in step 0 is the loss that the first step descends."""
    def images(name: str) -> Task:
        base = task_of(name)
        splits = {
            split: Split({"x": (data.inputs["x"].repeat(1, 6).reshape(-1, 1, 6, 6) * 20 + 128).clamp(0, 255)
                         .to(torch.uint8)}, data.targets)  # type: ignore[union-attr]
            for split, data in base.splits.items()
        }  # fmt: skip
        return Task(name, {"x": Image(1, 6, 6)}, Classes(3), splits, allow_duplicates=True)

    tasks = {name: images(name) for name in ("one", "two")}
    flat = Step((Draft("flat", ModuleSpec("flatten")),), ("x",))
    paths = {
        name: Path({"x": Image(1, 6, 6)}, {"flat": flat, "a": Step((linear("body"),), ("flat",)),
                                           "head": Step((head(name),), ("a",))}, "head")
        for name in tasks
    }  # fmt: skip
    training = replace(TRAINING, augment=Augment(rotate=20, views=0))
    plain = Candidate(paths, training, {name: task.fingerprint for name, task in tasks.items()})
    worker = trainer(tmp_path, *tasks.values())
    without, with_record = worker.run([plain, replace(plain, record=Record("losses", every=3))])
    assert not with_record.failure
    assert without.blobs == with_record.blobs


def test_transferability_is_measured_on_what_the_head_reads(tmp_path: FilePath) -> None:
    path = chain({"x": Vector(DIM)}, linear("body"), head())
    data = {"one": TASKS["one"].fingerprint}
    still = Candidate({"one": path}, replace(TRAINING, steps=0), data, record=Record("spread"))
    squared = replace(still, record=Record("spread", options={"power": 2.0}))
    found, twice = trainer(tmp_path).run([still, squared])
    assert not found.failure, found.failure
    [(step, packed)] = found.readings
    assert step == 0
    assert unpack_reading(packed).shape == (1,)
    assert unpack_reading(twice.readings[0][1])[0] == pytest.approx(unpack_reading(packed)[0] ** 2)


def test_the_record_is_in_the_hash_and_not_in_the_seeds() -> None:
    plain, one = joint(), joint(record=Record("losses", every=5))
    other = joint(record=Record("losses", every=6))
    assert len({plain.hash, one.hash, other.hash}) == 3
    assert plain.hash == one.unraced == other.unraced
    assert Record("spread", every=3).hash == Record("spread", every=4).hash  # measured once, at the end
    assert "record" not in plain.to_json()
    assert Candidate.from_json(one.to_json()) == one
    assert Candidate.from_json(one.to_json()).hash == one.hash


def test_measured_candidates_train_alone() -> None:
    path = chain({"x": Vector(DIM)}, linear("body"), head())
    candidate = Candidate({"one": path}, TRAINING, {"one": "0" * 64}, record=Record("spread"))
    from pathways.modules import BUILT_IN

    [(_, why)] = plan([candidate], 8, BUILT_IN).alone
    assert why == "affinity is measured while it trains"


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Record("nothing"), "`estimator` must be one that trainers can measure"),
    (lambda: Record("losses", every=0), "`every` must be a whole number of at least 1, found 0"),
    (lambda: Record("losses", options={"a": {1, 2}}), "`options` must be plain data"),
    (lambda: Record("losses", options={"a": float("nan")}), "`options` must be plain data"),
])
def test_what_is_wrong_with_a_record_is_said(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_tasks_that_share_nothing_are_refused(tmp_path: FilePath) -> None:
    path = chain({"x": Vector(DIM)}, linear("body"), head())
    data = {"one": TASKS["one"].fingerprint}
    [result] = trainer(tmp_path).run([Candidate({"one": path}, TRAINING, data, record=Record("losses"))])
    assert "share a module that trains, found ['one']" in result.failure


def test_readings_survive_as_text() -> None:
    for reading in (np.array([[1 / 3, np.nan], [-0.0, 1e300]]), np.array([2.5]), np.zeros((0, 0))):
        back = unpack_reading(pack_reading(reading))
        assert np.array_equal(back, reading, equal_nan=True)
        assert back.shape == reading.shape


def test_the_ledger_keeps_readings(tmp_path: FilePath) -> None:
    candidate = joint(record=Record("losses"))
    result = Result(candidate.hash, readings=((0, pack_reading(np.eye(2))),), reading_seconds=0.5)
    plain = joint()
    with Ledger(tmp_path / "ledger.db") as ledger:
        with ledger.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE readings")  # a ledger from before there was one
        ledger.commit("study", ["one", "two"], 0, [(plain, Result(plain.hash))])
        assert not inspect(ledger.engine).has_table("readings")
        assert ledger.known([candidate.hash, plain.hash]) == {plain.hash: Result(plain.hash)}
        ledger.commit("study", ["one", "two"], 1, [(candidate, result)])
        assert ledger.known([candidate.hash, plain.hash]) == {candidate.hash: result, plain.hash: Result(plain.hash)}
        ledger.drop([candidate.hash])
        again = replace(result, readings=((0, pack_reading(np.ones((2, 2)))),))
        ledger.commit("study", ["one", "two"], 2, [(candidate, again)])
        assert ledger.known([candidate.hash]) == {candidate.hash: again}
        ledger.forget("one")
        assert ledger.known([candidate.hash]) == {candidate.hash: again}
        ledger.forget("two")
        with ledger.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM readings").scalar() == 0
