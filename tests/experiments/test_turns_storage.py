"""Several drivers on a run on storage whose ledger is in a database: from machines that share nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
import share_drivers
from helpers_tiny import TRAINING, task_of, tiny_root
from share_drivers import Results, waiting

from pathways.errors import LedgerError
from pathways.evolve.munet import MuNet
from pathways.system import System

NAMES = list(share_drivers.NAMES)
CONTROLS = [control.name for control in share_drivers.CONTROLS]


@pytest.fixture(scope="module")
def driven() -> Iterator[Callable[..., Results]]:
    """Lets drivers come to the end; gives which of them had a result of which strategy for which task."""
    with waiting() as driven:
        yield driven


@pytest.fixture
def url(tmp_path: FilePath, servers: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A run on storage with its ledger in a database, made by a machine that does nothing else."""
    monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / "maker"))
    url = f"file://{tmp_path}/there"
    with servers("postgresql").empty() as ledger:
        System.create(url, root=tiny_root(), training=TRAINING, ledger=ledger).close()
        monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / "reader"))
        yield url


def whole(url: str, there: FilePath) -> None:
    """All is learned once and in one order, nothing is left over, and every champion is what it was."""
    with System.open(url) as system:
        assert sorted(system.records) == sorted(NAMES)
        assert [record.index for record in system.records.values()] == list(range(len(NAMES)))
        assert system.ledger.learned() == list(system.records)
        assert system.verify().ok
        assert {file.stem for file in (there / "pool").rglob("*.safetensors")} == system.reachable()
        assert system.ledger.unswept() == {}
        assert system.ledger.leased("nobody") == []
        assert not (system.directory / "ledger.db").exists()
    assert not (there / "ledger.db").exists()
    assert not (there / "driver").exists()
    assert list(there.rglob(".tmp-*")) == []


@pytest.mark.slow
def test_drivers_with_a_mirror_of_their_own_or_one_for_two_learn_each_task_once(
    url: str, tmp_path: FilePath, driven: Callable[..., Results]
) -> None:
    one, two = tmp_path / "machine1", tmp_path / "machine2"
    results = driven(url, tmp_path / "log.txt", f"work@{one}", f"work@{one}", f"work@{two}")
    whole(url, tmp_path / "there")
    by: dict[tuple[str, str], set[str]] = {}
    for pid, strategy, task in results:
        by.setdefault((strategy, task), set()).add(pid)
    assert all(len(pids) == 1 for pids in by.values()), "two drivers worked on one task"
    assert len(set.union(*(by["munet", task] for task in NAMES))) == 3, "a driver learned nothing"
    with System.open(url) as system:
        assert set(system.ledger.controls()) == {(control, task) for control in CONTROLS for task in NAMES}
    with System.open(tmp_path / "there") as system:  # what is on storage is a run directory like any other
        assert system.verify().ok


@pytest.mark.slow
def test_what_a_killed_driver_tried_is_trained_again_where_its_mirror_is_not(
    url: str, tmp_path: FilePath, driven: Callable[..., Results]
) -> None:
    results = driven(url, tmp_path / "log.txt", f"die@{tmp_path / 'machine1'}", f"work@{tmp_path / 'machine2'}")
    dead = results[0][0]
    assert [task for pid, _, task in results if pid == dead] == ["one", "one"]
    assert "one" in [task for pid, strategy, task in results if pid != dead and strategy == "munet"]
    whole(url, tmp_path / "there")


def test_a_run_in_a_database_and_on_storage_is_the_run_in_a_directory(url: str, tmp_path: FilePath) -> None:
    places = [tmp_path / "run", url]
    System.create(places[0], root=tiny_root(), training=TRAINING).close()
    found = []
    for place in places:
        with System.open(place) as system:
            for name in NAMES[:2]:
                system.learn(task_of(name), MuNet(generations=1, children=2))
            found.append(system.fingerprint)
    assert len(set(found)) == 1


def test_a_creation_that_was_cut_short_is_gone_on_with_by_any_machine(
    url: str, tmp_path: FilePath, servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with System.open(url) as system:
        ledger = system.ledger_url
        run = system.record.ledger
    (tmp_path / "there" / "system.json").unlink()
    monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / "another"))
    with System.create(url, root=tiny_root(), training=TRAINING, ledger=ledger) as system:
        assert system.record.ledger == run
        assert system.ledger.rows() == []
    with pytest.raises(LedgerError, match="must hold no run's ledger yet, found that of another run"):
        System.create(f"{url}2", root=tiny_root(), training=TRAINING, ledger=ledger)
