"""What searches leave is deleted by what the ledger says, and where one was cut short the whole run is swept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from helpers_tiny import TRAINING, interrupt_after, linear, task_of, tiny_root

from pathways import manifest
from pathways.errors import PathwaysError
from pathways.evolve.controls import Independent
from pathways.evolve.munet import MuNet
from pathways.system import System

STRATEGY = MuNet(generations=1, children=3)


@pytest.fixture
def system(tmp_path: FilePath) -> Any:
    with System.create(tmp_path / "run", root=tiny_root(), training=TRAINING) as made:
        made.learn(task_of("one"), STRATEGY)
        yield made


def stray(system: System, value: float = 1.0) -> str:
    """A blob that no ledger names, as a killed trainer leaves it."""
    return system.pool.put(linear("a").spec, {"w": torch.full((1,), value)})


def test_a_search_leaves_nothing_but_its_champion(system: System) -> None:
    assert set(system.pool) == system.reachable()
    tried = system.ledger.blobs_of(["one"])
    assert tried > set(system.champions["one"].path.frozen())
    system.learn(task_of("two"), STRATEGY)
    assert set(system.pool) == system.reachable()
    assert system.ledger.unswept() == {}


def test_learning_does_not_look_at_the_whole_pool(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = stray(system)
    with monkeypatch.context() as patch:
        patch.setattr("pathways.pool.Pool.__iter__", lambda pool: pytest.fail("the pool was listed"))
        system.learn(task_of("two"), STRATEGY)
    assert orphan in system.pool, "what this search did not make is none of its business"
    system.collect()
    assert set(system.pool) == system.reachable()


@pytest.mark.parametrize("again", ["the same task", "another task"])
def test_after_a_search_that_was_cut_short_the_next_one_sweeps(system: System, again: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        system.learn(task_of("two"), STRATEGY, progress=interrupt_after(2))
    orphan = stray(system)
    torn = system.pool.directory / "ab" / ".tmp-1-x"
    torn.parent.mkdir(exist_ok=True)
    torn.write_bytes(b"half")
    with System.open(system.directory) as later:
        later.learn(task_of("two" if again == "the same task" else "three"), STRATEGY)
        assert orphan not in later.pool
        assert not torn.exists()
        assert set(later.pool) == later.reachable()
        assert later.ledger.unswept() == {}
        assert later.verify().ok


def test_a_control_that_was_cut_short_is_swept_by_the_next_search(system: System) -> None:
    with pytest.raises(KeyboardInterrupt):
        system.compare([task_of("one")], Independent(), progress=interrupt_after(1))
    assert not set(system.pool) <= system.reachable()
    system.learn(task_of("two"), STRATEGY)
    assert set(system.pool) == system.reachable()


def test_beside_another_search_nothing_is_deleted_and_the_last_to_end_sweeps(system: System) -> None:
    with System.open(system.directory) as other:
        with other.leased(["busy"]):
            other.ledger.remember(["busy"])
            orphan = stray(system)
            system.learn(task_of("two"), STRATEGY)
            assert orphan in system.pool
            assert not set(system.pool) <= system.reachable()
        other.learn(task_of("three"), STRATEGY)
        assert set(other.pool) == other.reachable()
        assert list(other.records) == ["one", "two", "three"]


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}]
from helpers_tiny import task_of
from pathways.evolve.munet import MuNet
from pathways.system import System
import pathways.upkeep
pathways.upkeep.{at} = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)
System.open({run!r}).learn(task_of("two"), MuNet(generations=1, children=3))
"""


@pytest.mark.parametrize("at", ["tidy", "needed", "carried"])
def test_killed_while_it_tidies_a_run_is_whole_and_swept_later(system: System, at: str) -> None:
    code = KILLED.format(tests=str(FilePath(__file__).parents[1]), run=str(system.directory), at=at)
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with System.open(system.directory) as later:
        assert later.verify().ok
        later.learn(task_of("three"), STRATEGY)
        assert set(later.pool) == later.reachable()
        assert len(list((later.directory / "probes").iterdir())) == len(later.records)


@pytest.mark.parametrize("damage", ["edited", "removed"])
def test_a_manifest_damaged_while_a_search_runs_is_noticed_before_anything_is_deleted(
    system: System, damage: str
) -> None:
    file = manifest.task_file(system.directory, "one")

    def spoil(event: Any) -> None:
        if damage == "edited":
            file.write_bytes(file.read_bytes().replace(b'"index": 0', b'"index": 4'))
        else:
            file.unlink(missing_ok=True)

    kept = set(system.reachable())
    with pytest.raises(PathwaysError, match="task 'one' is damaged"):
        system.learn(task_of("two"), STRATEGY, progress=spoil)
    assert kept <= set(system.pool)


def test_a_forgotten_task_is_named_nowhere(system: System) -> None:
    system.learn(task_of("unspeakable"), STRATEGY)
    system.forget("unspeakable")
    system.close()  # which folds the write-ahead log into the ledger
    for file in system.directory.rglob("*"):
        assert "unspeakable" not in file.name
        assert not file.is_file() or b"unspeakable" not in file.read_bytes(), file
