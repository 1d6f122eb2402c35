"""muNet and its successors learn three tasks of digits each, forget none, and go on where they were cut short."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

import pytest
from helpers_tiny import interrupt_after

from pathways.data import digits_tasks
from pathways.evolve import MuNet
from pathways.evolve.presets import MUNET_PRESETS
from pathways.freeze import test_value as value_on_test
from pathways.modules import Draft, Image, ModuleSpec
from pathways.path import Path, Step
from pathways.system import System

TASKS = digits_tasks([[0, 1], [2, 3], [4, 5]])
TRAINING: dict[str, Any] = {
    "optimizer": "sgd", "lr": 0.1, "momentum": 0.8, "clip": 1.0, "steps": 60, "batch": 16, "evaluate_every": 20,
}


def root() -> Path:
    """An untrained headless path: two linear layers."""
    linear = [Draft(name, ModuleSpec("linear", {"dim": 16, "activation": "relu"})) for name in "ab"]
    flat = Draft("flat", ModuleSpec("flatten"))
    steps = {"flat": Step((flat,), ("image",)), "a": Step((linear[0],), ("flat",)), "b": Step((linear[1],), ("a",))}
    return Path({"image": Image(1, 8, 8)}, steps, "b")


def small(name: str) -> MuNet:
    return MuNet.preset(name, generations=1, children=2, training=TRAINING)


def learn(directory: FilePath, name: str, cut: bool = False) -> System:
    system = System.create(directory, root=root())
    for i, task in enumerate(TASKS):
        if cut and i == 2:
            with pytest.raises(KeyboardInterrupt):
                system.learn(task, small(name), progress=interrupt_after(1))
            system.close()
            system = System.open(directory)
        system.learn(task, small(name))
    return system


@pytest.mark.parametrize("name", MUNET_PRESETS)
def test_h2_h3_mu2_mu3_mu4_a_preset_learns_three_tasks_and_forgets_none(name: str, tmp_path: FilePath) -> None:
    with learn(tmp_path / "whole", name) as system:
        assert list(system.champions) == [task.name for task in TASKS]
        assert system.verify().ok
        stored = {}
        for task in TASKS:
            record = system.records[task.name]
            assert record.test is not None
            assert record.test > 0.65, "half is chance"
            stored[task.name] = record.test
        again = {task.name: value_on_test(system.records[task.name].path, task, system) for task in TASKS}
        assert again == stored, "the test quality of every task is what it was when it was learned: forgetting is 0"
        frozen = {blob for champion in system.champions.values() for blob in champion.blobs()}
        assert set(system.pool) == frozen == system.reachable()
        fingerprint = system.fingerprint
    with learn(tmp_path / "cut", name, cut=True) as system:
        assert system.fingerprint == fingerprint
