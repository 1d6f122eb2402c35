"""The command line on a run that is on storage: a URL wherever a run directory is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers_cli import finished, written

from pathways.experiments.cli import main
from pathways.experiments.config import config_from
from pathways.experiments.yaml_file import read_yaml

CONFIG = """
name: stored
root: {architecture: [{family: flatten}, {family: linear, dim: 8}]}
tasks:
  - {source: digits_tasks, groups: [[0, 1], [2, 3]]}
training: {steps: 4, batch: 16}
strategy: {munet: {generations: 1, children: 1, probes: 1}}
controls: [{independent: {steps: 4}}]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of two small tasks."""
    return written(tmp_path_factory, CONFIG)


@pytest.fixture(scope="module")
def fingerprint(config: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """That of the run in a directory."""
    with pytest.MonkeyPatch.context():
        run = finished(tmp_path_factory, config)
    from pathways.system import System

    with System.open(run) as system:
        return system.fingerprint


def said(capsys: Any, *arguments: object, status: int = 0) -> Any:
    """What a command prints."""
    assert main([str(argument) for argument in arguments]) == status
    out, err = capsys.readouterr()
    return json.loads(out) if "--json" in arguments and not status else out + err


def test_every_command_takes_a_url(
    config: Path, fingerprint: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / "a"))
    url = f"file://{tmp_path}/there/run"
    ran = said(capsys, "run", config, "--out", url, "--quiet", "--json")
    assert ran["run"] == url
    assert ran["fingerprint"] == fingerprint
    there = tmp_path / "there" / "run"
    assert (there / "report.html").exists()
    assert said(capsys, "trace", url, "--json")["candidates"] > 0
    monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / "b"))
    shown = said(capsys, "show", url, "--json")
    assert all(shown[key] == ran[key] for key in ("ACC", "fingerprint", "run"))
    assert [task["candidates"] for task in shown["tasks"]] == [task["candidates"] for task in ran["tasks"]]
    assert said(capsys, "verify", url, "--json")["ok"]
    assert said(capsys, "resume", url, "--quiet", "--json")["fingerprint"] == fingerprint
    assert "`--share` needs a run whose ledger is in a database" in said(capsys, "resume", url, "--share", status=2)
    assert said(capsys, "run", config, "--out", url, "--quiet", "--json")["fingerprint"] == fingerprint
    assert f"{url} holds a run of another configuration: `seed` was 0 and is 1" in said(
        capsys, "run", config, "--out", url, "--set", "seed=1", status=2
    )
    assert Path(said(capsys, "report", url).strip()).exists()
    assert Path(said(capsys, "graph", url).strip()).exists()
    assert "optuna.db" in said(capsys, "dashboard", url)
    monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / "c"))
    said(capsys, "export", url, "digits/0-1", "--format", "pt2", "--out", tmp_path / "one.pt2")
    said(capsys, "export", url, "digits/0-1", "--format", "root", "--out", tmp_path / "root")
    assert "1 tasks are left" in said(capsys, "forget", url, "digits/0-1")
    assert not (there / "report.html").exists()
    assert not list((there / "tasks").glob("*0-1*"))
    monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / "d"))
    assert said(capsys, "verify", url, "--json")["tasks"] == 1
    blob = sorted((there / "pool").rglob("*.safetensors"))[0]
    blob.write_bytes(blob.read_bytes()[:-1])
    assert f"holds other bytes in {url}/pool/" in said(capsys, "verify", url, status=1)


def test_storage_of_the_configuration_says_where_unless_out_does(
    config: Path, fingerprint: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / "a"))
    url = f"file://{tmp_path}/stored"
    stored = tmp_path / "stored.yaml"
    stored.write_text(CONFIG + f"storage: {url}\n")
    planned = said(capsys, "run", stored, "--dry-run", "--json")
    assert planned["run"] == url
    assert said(capsys, "run", stored, "--dry-run", "--json", "--out", tmp_path / "x")["run"] == str(tmp_path / "x")
    assert not (tmp_path / "stored").exists()
    assert said(capsys, "run", stored, "--quiet", "--json")["fingerprint"] == fingerprint
    kept = read_yaml(tmp_path / "stored" / "config.yaml")
    assert "storage" not in kept
    assert config_from(kept, "kept").storage is None
    shutil.rmtree(tmp_path / "a")
    assert said(capsys, "run", stored, "--quiet", "--json")["fingerprint"] == fingerprint


@pytest.mark.parametrize(("arguments", "words"), [
    (("show", "memory://nowhere/run"), "memory://nowhere/run must be a run, found no `system.json` in it"),
    (("resume", "memory://nowhere/run"), "found no `system.json` in memory://nowhere/run"),
    (("verify", "s3://bucket/run"), "needs the package `s3fs` for `s3://`: install it with `pip install s3fs`"),
    (("show", "nothing://bucket"), "must be a URL that fsspec can open, found: Protocol not known: nothing"),
])  # fmt: skip
def test_bad_addresses_are_one_sentence(arguments: tuple[str, ...], words: str, capsys: Any) -> None:
    assert words in said(capsys, *arguments, status=2)


def test_drivers_share_a_run_on_storage_only_with_a_database(config: Path, tmp_path: Path, capsys: Any) -> None:
    url = f"file://{tmp_path}/there"
    words = f"`--share` needs a run whose ledger is in a database where the run is on storage, found {url} with its"
    assert words in said(capsys, "run", config, "--out", url, "--share", status=2)
    assert not (tmp_path / "there").exists()


def test_a_folder_on_storage_with_other_files_is_refused(config: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "notes.txt").write_text("mine")
    words = said(capsys, "run", config, "--out", f"file://{tmp_path}/there", status=2)
    assert f"file://{tmp_path}/there holds 'notes.txt'" in words
