"""Kill -9 of a driver whose run is on storage: it stays whole, and a machine with nothing but the URL goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path as FilePath

import pytest
import storage_driver
from helpers_tiny import TRAINING, task_of, tiny_root

from pathways.system import System

KILLS = (7, 22, 40, 16, 27, 48, 11, 0)  # after how many files have taken their names, here or there; 0 never


def test_a_killed_driver_is_carried_on_by_a_machine_that_has_the_url_only(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    with System.create(tmp_path / "local", root=tiny_root(), training=TRAINING) as system:
        for name in storage_driver.NAMES:
            system.learn(task_of(name), storage_driver.STRATEGY)
        fingerprint = system.fingerprint
    url = f"file://{tmp_path}/there"
    killed = 0
    seen = set()
    with subprocess.Popen(
        [sys.executable, storage_driver.__file__, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for life, kill in enumerate(KILLS):
            machine = tmp_path / f"machine{life if life % 3 else life - 1}"  # now and then one that was there before
            print(machine, kill, file=process.stdin, flush=True)
            ended = int(process.stdout.readline())
            killed += ended == -signal.SIGKILL
            assert ended in (0, -signal.SIGKILL)
            monkeypatch.setenv("PATHWAYS_MIRRORS", str(tmp_path / f"looking{life}"))
            if (tmp_path / "there" / "system.json").exists():
                with System.open(url) as system:
                    seen.add(len(system.briefs))
                    assert system.verify().ok
        process.stdin.close()
    assert ended == 0
    assert killed >= 4
    assert len(seen) > 1
    with System.open(url) as system:
        assert system.fingerprint == fingerprint
        assert system.verify().ok
        assert [e.task for e in system.ledger.evaluations("system", carried=False)] == list(storage_driver.NAMES)
        system.collect()
        kept = {file.stem for file in (tmp_path / "there" / "pool").rglob("*.safetensors")}
        assert kept == system.reachable()
    assert list((tmp_path / "there").rglob(".tmp-*")) == []
    with System.open(tmp_path / "there") as system:  # what is on storage is a run directory like any other
        assert system.fingerprint == fingerprint
        assert system.verify().ok
