"""`--ledger` and `--share` on the command line."""

from __future__ import annotations

import json
from pathlib import Path as FilePath
from typing import Any

import pytest
from helpers_cli import finished, written

from pathways.experiments.cli import main

CONFIG = """
name: small
root: {architecture: [{family: flatten}, {family: linear, dim: 12}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1]]}
training: {steps: 6, batch: 16}
strategy: {munet: {generations: 1, children: 1, probes: 1}}
engine: {stack: 1}
"""
SECRET = "hunter2hunter2"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return written(tmp_path_factory, CONFIG)


def said(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    return captured.out if status == 0 else captured.err


def test_a_run_in_a_database_is_the_run_in_a_file(
    config: Any, tmp_path: FilePath, tmp_path_factory: pytest.TempPathFactory, servers: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    inside = finished(tmp_path_factory, config)
    capsys.readouterr()
    out = tmp_path / "run"
    with servers("postgresql").empty() as url:
        shared = json.loads(said(capsys, "run", config, "--out", out, "--ledger", url, "--share", "--json"))
        assert shared["fingerprint"] == json.loads(said(capsys, "show", inside, "--json"))["fingerprint"]
        assert not (out / "ledger.db").exists()
        assert shared["tasks"][0]["candidates"] > 0
        again = json.loads(said(capsys, "resume", out, "--json", "--share"))
        assert again["fingerprint"] == shared["fingerprint"]
        assert "optuna.db" in said(capsys, "dashboard", out)
        assert json.loads(said(capsys, "verify", out, "--json"))["ok"]
        error = said(capsys, "run", config, "--out", tmp_path / "other", "--ledger", url, status=2)
        assert "must hold no run's ledger yet" in error
        assert not (tmp_path / "other" / "system.json").exists()


def test_what_is_wrong_with_a_ledger_is_one_sentence_without_password(
    config: Any, tmp_path: FilePath, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    away = f"postgresql://me:{SECRET}@127.0.0.1:1/runs"
    for arguments in (["--ledger", away], ["--set", f"ledger={away}"], ["--ledger", away, "--share"]):
        error = said(capsys, "run", config, "--out", out, *arguments, status=2)
        assert "postgresql://me@127.0.0.1:1/runs must be a ledger that answers" in error
        assert SECRET not in error
        assert error.count("\n") == 1
    monkeypatch.setenv("PATHWAYS_LEDGER", f"postgresql://me:{SECRET}@127.0.0.1:2/runs")
    error = said(capsys, "run", config, "--out", out, "--set", "ledger=postgresql://127.0.0.1:1/runs", status=2)
    assert "127.0.0.1:2/runs must be a ledger that answers" in error
    assert SECRET not in error
    for wrong in ("sqlite:///x.db", "nowhere"):
        error = said(capsys, "run", config, "--out", out, "--set", f"ledger={wrong}", status=2)
        assert "must be the URL of a server database" in error
    assert not (out / "system.json").exists()


def test_the_plan_of_a_run_needs_no_database(config: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "run", config, "--dry-run", "--set", "ledger=postgresql://127.0.0.1:1/runs")
