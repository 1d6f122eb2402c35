"""Runs whose earlier champions have manifests only can be opened, and learned on."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any

import pytest

from pathways.experiments.benchmarks import scale_modules
from pathways.experiments.benchmarks.acts import STRATEGY
from pathways.experiments.benchmarks.scale_modules import costs, hollow
from pathways.experiments.benchmarks.synthetic import TRUNK
from pathways.system import System


def test_a_hollow_run_has_its_tasks_modules_and_one_champion_with_weights(tmp_path: FilePath) -> None:
    hollow(tmp_path / "run", 4, 12, STRATEGY)
    with System.open(tmp_path / "run") as system:
        assert list(system.briefs) == ["hollow/00000", "hollow/00001", "hollow/00002", "synthetic/00000"]
        assert system.shelf.reads == 0, "the index knows them"
        modules = {blob for brief in system.briefs.values() for blob in brief.sizes}
        assert len(modules) == TRUNK + 4 * 12
        assert {blob for blob in modules if blob in system.pool} == set(system.briefs["synthetic/00000"].sizes)


def test_opening_and_learning_are_measured(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hollow(tmp_path / "run", 3, 2, STRATEGY)
    found = dict(costs(tmp_path / "run"))
    assert found["learn"].seconds > 0
    assert found["open"].files >= 3  # a manifest each
    told = json.dumps({act: vars(cost) for act, cost in found.items()})

    def run(*arguments: Any, **options: Any) -> Any:
        return SimpleNamespace(stdout=told)

    monkeypatch.setattr(scale_modules.subprocess, "run", run)
    monkeypatch.setattr(scale_modules, "__spec__", SimpleNamespace(name="scale_modules"))
    assert scale_modules.main(["--tasks", "2", "--modules", "1", "--repeats", "1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["act"], row["modules"]) for row in rows] == [("open", 2), ("learn", 2)]
