"""Chaos without a cluster: its moments, what is found in runs that differ, its summary."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers_tiny import TRAINING, task_of, tiny_root

from pathways.errors import EngineError
from pathways.evolve import MuNet
from pathways.experiments import chaos, raylets
from pathways.experiments.chaos import Findings, Kill, differences, moments, recorded
from pathways.experiments.raylets import Raylets
from pathways.system import System


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("chaos") / "run"
    with System.create(directory, root=tiny_root(), training=TRAINING, stack=1) as system:
        system.learn(task_of("one"), MuNet(generations=1, children=3))
    return directory


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def altered(copy: Path, statement: str) -> None:
    with closing(sqlite3.connect(copy / "ledger.db")) as ledger, ledger:
        assert ledger.execute(statement).rowcount > 0


@pytest.mark.parametrize("seed", range(5))
def test_moments_are_drawn_by_the_seed_and_leave_the_end_in_peace(seed: int) -> None:
    planned = moments(100, kills=30, drivers=5, seed=seed)
    assert planned == moments(100, kills=30, drivers=5, seed=seed) != moments(100, 30, 5, seed + 1)
    assert [m.what for m in planned].count("worker") == 30
    assert [m.what for m in planned].count("driver") == 5
    afters = [m.after for m in planned]
    assert afters == sorted(set(afters))
    assert 0 <= afters[0] <= afters[-1] < 90
    assert all(0 <= m.delay < 1 for m in planned)


def test_more_kills_than_candidates_share_moments() -> None:
    assert len(moments(4, kills=9, drivers=2, seed=0)) == 11


def test_equal_runs_differ_in_nothing(run: Path, copy: Path) -> None:
    assert list(differences(run, copy)) == []


def test_a_candidate_that_is_lost_is_found(run: Path, copy: Path) -> None:
    altered(copy, "DELETE FROM candidates WHERE hash = (SELECT min(hash) FROM candidates)")
    [said] = differences(run, copy)
    assert said.startswith("1 candidates lost: ")
    [said] = differences(copy, run)
    assert said.startswith("1 candidates recorded, but not without faults: ")
    assert recorded(copy) == recorded(run) - 1


def test_a_failure_that_was_none_is_found(run: Path, copy: Path) -> None:
    altered(copy, "UPDATE candidates SET failure = 'its worker died' WHERE hash = (SELECT min(hash) FROM candidates)")
    assert any("candidates with other results" in said for said in differences(run, copy))


def test_a_blob_that_is_lost_is_found(run: Path, copy: Path) -> None:
    next((copy / "pool").rglob("*.safetensors")).unlink()
    said = list(differences(run, copy))
    assert "the pools hold other blobs" in said
    assert any(words.startswith("verify: ") for words in said)


def test_a_run_that_has_not_begun_has_recorded_nothing(tmp_path: Path) -> None:
    assert recorded(tmp_path) == 0


def test_the_summary_counts_kills_by_kind_and_moment() -> None:
    workers = [Kill("worker", 3, "take", 1), Kill("worker", 4, "open", 0), Kill("worker", 5, "", 0)]
    kills = [*workers, Kill("driver", 7, "", 3)]
    text = Findings(50, kills, local_seconds=10.0, seconds=30.4, gone_seconds=0.21).text()
    for row in (
        "| candidates recorded | 50, each once |",
        "| killed: worker, training | 1 |",
        "| killed: worker, beginning | 1 |",
        "| killed: worker, waiting | 1 |",
        "| killed: driver, 3 at work | 1 |",
        "| dispatches trained again | 4, 8% of the work |",
        "| seconds | 30; on the local engine 10 s |",
        "| wrong | nothing |",
    ):
        assert row in text.splitlines()


def test_the_command_writes_what_it_finds_and_fails_where_something_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    class Nodes:
        sessions: set[int] = set()

        def __enter__(self) -> Nodes:
            return self

        def __exit__(self, *error: object) -> None:
            pass

    monkeypatch.setattr(chaos, "Raylets", lambda cpus: Nodes())
    for wrong, status in (([], 0), (["2 candidates lost"], 1)):
        monkeypatch.setattr(chaos, "chaos", lambda *_, wrong=wrong, **__: Findings(9, wrong=list(wrong)))
        assert chaos.main(["--out", str(tmp_path)]) == status
        assert json.loads((tmp_path / "findings.json").read_text())["wrong"] == wrong
    assert "| wrong | 2 candidates lost |" in capsys.readouterr().out


def test_a_node_that_does_not_start_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raylets, "START", ("-c", "raise SystemExit('no room for a node')"))
    nodes = Raylets((1,))
    with pytest.raises(EngineError, match="found: no room for a node"), nodes:
        pass
    assert not nodes.folder.exists()
    assert nodes.processes() == []
