"""Kill -9 at any moment: the run directory stays whole, and the run goes on to the same system."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path as FilePath

import crash_driver
import numpy as np
import pytest

from pathways.ledger import Ledger
from pathways.system import System

KILLS = 24
WORKER_KILLS = 4


class Driver:
    """A line of driver processes, forked one after another, and what was committed when each began."""

    def __init__(self, folder: FilePath) -> None:
        self.directory, self.log = folder / "run", folder / "sent.txt"
        self.log.touch()
        self.errors = (folder / "errors.txt").open("w+")
        self.parent = subprocess.Popen(
            [sys.executable, crash_driver.__file__, str(self.directory), str(self.log)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=folder,
        )  # fmt: skip
        self.pids: list[int] = []

    def start(self, workers: int, replaces: int = 0) -> int:
        """Fork a driver; returns its process id."""
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(f"{workers} {replaces}\n")
        self.parent.stdin.flush()
        self.pids.append(int(self.parent.stdout.readline()))
        return self.pids[-1]

    def ended(self) -> None:
        """Wait until the driver is gone."""
        assert self.parent.stdout is not None
        assert self.parent.stdout.readline() == "ended\n"

    def sent(self) -> list[str]:
        """The hashes sent to trainers since the last call, and `done`."""
        lines = self.log.read_text().splitlines()
        self.log.write_text("")
        return lines

    def said(self) -> str:
        """What drivers and workers wrote to standard error."""
        self.errors.seek(0)
        return self.errors.read()

    def close(self) -> None:
        """Stop all."""
        self.parent.kill()
        self.parent.communicate()
        self.errors.close()


@pytest.fixture
def driver(tmp_path: FilePath) -> Iterator[Driver]:
    made = Driver(tmp_path)
    yield made
    made.close()


def committed(directory: FilePath) -> set[str]:
    """The candidates in the ledger, read past the ledger's own code."""
    if not (directory / "ledger.db").exists():
        return set()
    connection = sqlite3.connect(directory / "ledger.db", timeout=30)
    try:
        return {row[0] for row in connection.execute("SELECT hash FROM candidates")}
    except sqlite3.OperationalError:  # its tables are not made yet
        return set()
    finally:
        connection.close()


def workers_of(drivers: list[int]) -> list[int]:
    """The living worker processes of these drivers: the last argument of each is its driver's process id."""
    found = []
    for file in FilePath("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
            state = (file.parent / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if b"pathways.evolve.worker" in words and int(words[-2]) in drivers and state not in ("Z", "X"):
            found.append(int(file.parent.name))
    return found


def wait_for(directory: FilePath, more: int, pid: int) -> None:
    """Wait until so many more candidates are committed, or the driver is gone."""
    before = len(committed(directory))
    until = time.monotonic() + 60
    while len(committed(directory)) < before + more and time.monotonic() < until and os.path.exists(f"/proc/{pid}"):
        time.sleep(0.01)


def kill(pid: int) -> None:
    """Kill a driver; one that has ended by itself is found out by what it logged."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The fingerprint of a run that nothing interrupts, in this process."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    with crash_driver.Logged(workers=0) as engine:
        engine.log = directory.parent / "sent.txt"
        crash_driver.learn(directory, engine)
    with System.open(directory) as system:
        assert len(system.ledger.rows()) == len(engine.log.read_text().splitlines()) > KILLS
        return system.fingerprint


@pytest.mark.slow
def test_kill_9_at_any_moment_and_resume_give_the_same_system(driver: Driver, uninterrupted: str) -> None:
    rng = np.random.default_rng(0)
    places: set[tuple[int, int]] = set()
    worker_kills = 0
    for life in range(KILLS):
        before = committed(driver.directory)
        if life % 6 == 5:  # with two workers, one of which is killed before the driver is
            pid = driver.start(workers=2)
            wait_for(driver.directory, 1, pid)
            victims = workers_of([pid])
            os.kill(victims[int(rng.integers(len(victims)))], signal.SIGKILL)
            worker_kills += 1
            wait_for(driver.directory, int(rng.integers(3)), pid)
            kill(pid)
        elif life % 2:  # at the very moment at which a file takes its name
            driver.start(workers=0, replaces=1 + life // 2 if life < 12 else 1 + int(rng.integers(12)))
        else:
            pid = driver.start(workers=0)
            wait_for(driver.directory, int(rng.integers(4)), pid)
            time.sleep(float(rng.uniform(0, 0.05)))
            kill(pid)
        driver.ended()
        sent = driver.sent()
        assert driver.said() == ""  # it was killed, it did not fail
        assert "done" not in sent, f"there was nothing left to kill after {life} kills"
        assert len(sent) == len(set(sent))
        assert not before & set(sent), "a committed candidate was sent to be trained again"
        assert before <= committed(driver.directory)
        if (driver.directory / "system.json").exists():
            with System.open(driver.directory) as system:
                assert system.verify().ok
                places.add((len(system.records), len(committed(driver.directory))))
    assert worker_kills >= WORKER_KILLS
    assert len(places) > KILLS // 2
    assert {tasks for tasks, _ in places} >= {0, 1}

    before = committed(driver.directory)
    driver.start(workers=1)
    driver.ended()
    sent = driver.sent()
    assert sent[-1] == "done"
    assert not before & set(sent)
    whole_at_the_end(driver, uninterrupted)


def whole_at_the_end(driver: Driver, fingerprint: str) -> None:
    with System.open(driver.directory) as system:
        assert system.fingerprint == fingerprint
        assert list(system.records) == list(crash_driver.NAMES)
        assert system.verify().ok
        rows = {(e.after, e.task) for e in system.ledger.evaluations("system")}
        assert len(rows) == 6
        system.collect()
        assert set(system.pool) == system.reachable()
    assert list(driver.directory.rglob(".tmp-*")) == []
    assert {file.name for file in driver.directory.iterdir()} >= {"config.yaml", "system.json", "ledger.db", "pool"}
    with Ledger(driver.directory / "ledger.db") as ledger, ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    until = time.monotonic() + 10
    while workers_of(driver.pids) and time.monotonic() < until:
        time.sleep(0.1)
    assert workers_of(driver.pids) == []


@pytest.mark.slow
def test_kill_9_while_a_process_starts(tmp_path: FilePath, uninterrupted: str) -> None:
    rng = np.random.default_rng(1)
    code = f"import sys; sys.path.insert(0, {os.path.dirname(crash_driver.__file__)!r}); import crash_driver; "
    code += "from pathlib import Path; crash_driver.carry_out(Path('run'), Path('sent.txt'), 2, 0)"
    pids = []
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
        pids.append(process.pid)
        time.sleep(float(rng.uniform(0.2, 4)))
        process.kill()
        process.wait()
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=200)
    with System.open(tmp_path / "run") as system:
        assert system.fingerprint == uninterrupted
        assert system.verify().ok
    until = time.monotonic() + 10
    while workers_of(pids) and time.monotonic() < until:
        time.sleep(0.1)
    assert workers_of(pids) == []
