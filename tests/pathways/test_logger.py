"""Loggers: what they are told, once, of every candidate, champion and control, and that none can end a run."""

import logging
import math
from collections import defaultdict

import pytest

from pathways import Logger, System, TensorBoard, Training
from pathways.data import digits_tasks
from pathways.evolve import FineTuneAll, MuNet
from pathways.logger import Loggers
from pathways.modules import Draft, Init, ModuleSpec
from pathways.path import Path, Step


class Kept(Logger):
    """A logger that keeps what it is told."""

    def __init__(self):
        self.values = defaultdict(dict)
        self.closed = 0

    def scalars(self, step, values):
        assert all(math.isfinite(value) for value in values.values())
        for name, value in values.items():
            assert step not in self.values[name], (name, step)
            self.values[name][step] = value

    def close(self):
        self.closed += 1


class Broken:
    def __init__(self):
        self.calls = 0

    def scalars(self, step, values):
        self.calls += 1
        raise OSError("no route to host")

    def close(self):
        raise OSError("still none")


def tasks():
    return list(digits_tasks(groups=[[0, 1], [2, 3]]))


def root():
    steps = {
        "flat": Step((Draft("flat", ModuleSpec("flatten"), Init(0)),), ("image",)),
        "hidden": Step((Draft("hidden", ModuleSpec("linear", {"dim": 8}), Init(0)),), ("flat",)),
    }
    return Path(tasks()[0].inputs, steps, "hidden")


MUNET = MuNet(generations=2, children=2, probes=1)


def learned(directory, *loggers, first=2, compare=True):
    system = System.create(directory, seed=0, root=root(), training=Training(steps=4, batch=16))
    with system:
        for logger in loggers:
            system.loggers.add(logger)
        for task in tasks()[:first]:
            system.learn(task, MUNET)
        if compare:
            system.compare(tasks(), FineTuneAll())
    return system


def test_every_candidate_champion_and_control_is_told_once(tmp_path):
    kept = Kept()
    system = learned(tmp_path / "run", kept)
    for number, (name, record) in enumerate(system.records.items(), start=1):
        rows = system.ledger.rows(strategy="munet", task=name)
        told = kept.values[f"candidates/{name}/munet/validation"]
        assert list(told) == list(range(1, len(rows) + 1))
        assert sorted(told.values()) == sorted(row.result.measures[name].validation for row in rows)
        best = kept.values[f"candidates/{name}/munet/best"]
        assert list(best.values()) == sorted(best.values())
        assert kept.values[f"champions/{name}"] == {number: record.test}
        control = system.ledger.control("fine-tune-all", name)["test"]
        assert kept.values[f"controls/fine-tune-all/{name}"] == {number: control}
        assert set(kept.values[f"candidates/{name}/munet/hyperparameters/lr"]) == set(told)
    summary = system.summary()
    assert kept.values["stream/ACC"][2] == pytest.approx(summary["ACC"])
    assert kept.values["stream/parameters"][2] == summary["parameters"]
    assert kept.closed == 1


def test_what_was_told_before_is_not_told_again(tmp_path):
    learned(tmp_path / "run", first=1, compare=False)
    kept = Kept()
    with System.open(tmp_path / "run") as system:
        system.loggers.add(kept)
        system.training = Training(steps=4, batch=16)
        system.attach(tasks()[:1])
        system.learn(tasks()[1], MUNET)
    names = list(system.records)
    assert not [name for name in kept.values if names[0] in name]
    assert kept.values[f"champions/{names[1]}"].keys() == {2}


def test_loggers_change_nothing(tmp_path):
    assert learned(tmp_path / "a", Kept()).fingerprint == learned(tmp_path / "b").fingerprint


def test_a_logger_that_fails_is_told_no_more_and_the_run_goes_on(tmp_path, caplog):
    broken, kept = Broken(), Kept()
    with caplog.at_level(logging.WARNING):
        system = learned(tmp_path / "run", broken, kept)
    assert broken.calls == 1
    assert len(system.records) == 2
    assert kept.values["stream/ACC"]
    assert "logger `Broken` failed and is told no more: no route to host" in caplog.text


def test_what_is_not_finite_is_left_out():
    kept = Kept()
    loggers = Loggers([kept])
    loggers.control("independent", "wine", 1, math.nan)
    loggers.champion(1, "wine", None, [None], 10)
    assert dict(kept.values) == {"stream/parameters": {1: 10.0}, "stream/tasks": {1: 1.0}}


def test_tensorboard_reads_what_was_written(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    system = learned(tmp_path / "run", TensorBoard(tmp_path / "board"))
    events = accumulator.EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    name = next(iter(system.records))
    found = {one.step: one.value for one in events.Scalars("stream/ACC")}
    assert found[2] == pytest.approx(system.summary()["ACC"])
    assert f"candidates/{name}/munet/validation" in events.Tags()["scalars"]


def test_without_tensorboard_it_says_how_to_get_it(tmp_path, monkeypatch):
    import builtins

    from pathways.errors import ConfigError

    real = builtins.__import__

    def without(name, *arguments, **settings):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ImportError(name)
        return real(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install 'evolving-pathways\[tensorboard\]'"):
        TensorBoard(tmp_path)
