"""The Optuna view: what the ledger says, as studies that Optuna itself can read."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from pathways.candidate import Augment, Candidate, Measures, Result, Training
from pathways.dashboard import distribution, write_study
from pathways.errors import LedgerError
from pathways.ledger import Ledger
from pathways.modules import Draft, Init, ModuleSpec, Vector
from pathways.path import Path, Step


def candidate_of(seed: int, tasks: tuple[str, ...], training: Training, **labels: Any) -> Candidate:
    """A candidate of one module for each task."""
    spec = ModuleSpec("classifier", {"classes": 2})
    paths = {
        task: Path({"x": Vector(4)}, {"head": Step((Draft(task, spec, Init(seed)),), ("x",))}, "head")
        for task in tasks
    }
    return Candidate(paths, training, dict.fromkeys(tasks, "data"), order=seed, labels=labels)


def result_of(candidate: Candidate, quality: float, *curve: tuple[int, str, float]) -> Result:
    """A result of one quality; the metric of task `b` is an error, that of the others a score."""
    error = 1 / quality - 1
    metric = {task: error if task == "b" else quality for task in candidate.paths}
    measures = {task: Measures(value, quality, 0.1, quality, 9) for task, value in metric.items()}
    return Result(candidate.hash, "", measures, curve, 10, 8, 40, 2.0, 1.0)


def trials_of(file: FilePath, task: str) -> list[FrozenTrial]:
    """The trials of a study, as Optuna reads them."""
    url = f"sqlite:///{file}".replace("{", "{{").replace("}", "}}")  # Optuna takes URLs for templates
    storage = optuna.storages.RDBStorage(url)
    try:
        return optuna.load_study(study_name=task, storage=storage).get_trials()
    finally:
        storage.remove_session()
        storage.engine.dispose()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """A run directory with two tasks: candidates that worked, failed, trained both tasks, and were reused."""
    directory = tmp_path_factory.mktemp("run {x}")
    plain = Training(steps=10, lr=0.001)
    good = candidate_of(0, ("a/1",), plain, number=3, parents=["root"], mutations=["clone"])
    augmented = candidate_of(1, ("a/1",), Training(steps=20, lr=0.1, augment=Augment(rotate=10.0)))
    failed = candidate_of(2, ("a/1",), Training(steps=10, lr=0.001, optimizer="sgd"))
    joint = candidate_of(3, ("a/1", "b"), plain)
    with Ledger(directory / "ledger.db") as ledger:
        ledger.commit("munet", ["a/1"], 0, [
            (good, result_of(good, 0.5, (5, "a/1", 0.25), (10, "a/1", 0.5))),
            (augmented, result_of(augmented, 0.75)),
            (failed, Result(failed.hash, "loss became NaN at step 7", curve=((5, "a/1", math.nan),))),
        ])
        error = result_of(joint, 0.25, (5, "b", 3.0))
        ledger.commit("joint", ["a/1", "b"], 1, [(joint, error)])
        ledger.reuse("random", ["a/1"], [(good, result_of(good, 0.5))])
    return directory


def test_each_task_is_a_study_that_optuna_reads(run: FilePath) -> None:
    file = write_study(run)
    assert file == run / "optuna.db"
    one, again, other, failed, joint = trials_of(file, "a/1")
    assert [t.state for t in (one, again, other, joint)] == [TrialState.COMPLETE] * 4
    assert (one.value, other.value, joint.value) == (0.5, 0.75, 0.25)
    assert one.params == {"lr": 0.001, "steps": 10, "optimizer": "adamw"}
    assert other.params["augment.rotate"] == 10.0
    assert one.intermediate_values == {5: 0.25, 10: 0.5}
    assert one.user_attrs["parents"] == ["root"]
    assert [one.user_attrs[name] for name in ("strategy", "number", "seconds")] == ["munet", 3, 2.0]
    assert [again.user_attrs.get(name) for name in ("strategy", "reused", "seconds")] == ["random", True, 0.0]
    assert failed.state == TrialState.FAIL
    assert failed.user_attrs["failure"] == "loss became NaN at step 7"
    assert failed.params["optimizer"] == "sgd"
    assert failed.value is None
    assert one.datetime_complete is not None
    assert one.duration is not None
    assert one.duration.total_seconds() == pytest.approx(2.0)


def test_what_a_race_stopped_is_a_pruned_trial(tmp_path: FilePath) -> None:
    candidates = [candidate_of(i, ("a",), Training(steps=10, lr=0.1 * (i + 1))) for i in range(2)]
    whole, stopped = candidates
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.commit("munet", ["a"], 0, [
            (whole, result_of(whole, 0.5)), (stopped, replace(result_of(stopped, 0.25, (5, "a", 0.25)), stopped=5)),
        ])
    one, two = trials_of(write_study(tmp_path), "a")
    assert (one.state, two.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert (two.value, two.intermediate_values) == (0.25, {5: 0.25})
    assert not two.user_attrs.get("failure")


def test_errors_are_turned_so_that_more_is_better(run: FilePath) -> None:
    (joint,) = trials_of(write_study(run), "b")
    assert joint.value == 0.25
    assert joint.intermediate_values == {5: 0.25}
    assert joint.params == {}


def test_it_is_written_afresh_each_time_and_where_one_wants_it(run: FilePath, tmp_path: FilePath) -> None:
    file = write_study(run, tmp_path / "views" / "mine.db")
    write_study(run, file)
    assert len(trials_of(file, "a/1")) == 5
    assert sorted(path.name for path in file.parent.iterdir()) == ["mine.db"]


def test_optuna_is_silent_and_then_as_loud_as_before(run: FilePath, tmp_path: FilePath, capfd: Any) -> None:
    before = optuna.logging.get_verbosity()
    write_study(run, tmp_path / "o.db")
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_an_empty_ledger_gives_an_empty_storage_and_no_ledger_an_error(tmp_path: FilePath) -> None:
    with pytest.raises(LedgerError, match=r"ledger\.db must be there.*is .* a run directory"):
        write_study(tmp_path)
    assert not (tmp_path / "ledger.db").exists()
    Ledger(tmp_path / "ledger.db").close()
    storage = optuna.storages.RDBStorage(f"sqlite:///{write_study(tmp_path)}")
    assert storage.get_all_studies() == []
    storage.remove_session()
    storage.engine.dispose()


def test_distributions_hold_all_values() -> None:
    for values in ([1, 5, 3], [0.0, 1.0], [1, 2.5], [True, False], ["a", "b", None], [0.001, 1.0]):
        given = [value for value in values if value is not None]
        found = distribution(values)
        assert all(found._contains(found.to_internal_repr(value)) for value in given)
