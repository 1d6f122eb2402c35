"""A Ray cluster of several nodes on this machine, to try on one machine what several are for."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pathways.errors import EngineError

START = ("-m", "ray.scripts.scripts", "start", "--block")
START_SECONDS = 60.0
STORE_BYTES = 100 << 20
IP = "127.0.0.1"


@dataclass(eq=False)
class Raylet:
    """One node: the process that started it, whose session all its processes are in."""

    process: subprocess.Popen[bytes]
    cpus: int


@dataclass
class Raylets:
    """Nodes of one cluster, each of `ray start`, with a token and a folder of their own.

    Ray listens on this machine's address, also where it is told loopback: without the token nobody gets in.

    A node is a session of processes, so that it can be killed as a whole, and nothing of it is left behind.

    Args:
        cpus: of each node; the first is the head.

    Raises:
        EngineError: Ray could not be started.

    Attributes:
        address: HOST:PORT, to be joined.
        folder: what Ray writes, deleted in the end.
        environment: what a process needs to join.
        nodes: those that were started and not killed; the head is the first.
        sessions: of all nodes, also those that were killed.
    """

    cpus: Sequence[int] = (1, 1, 1)
    address: str = field(init=False)
    folder: Path = field(init=False)
    environment: dict[str, str] = field(init=False)
    nodes: list[Raylet] = field(init=False, default_factory=list)
    sessions: set[int] = field(init=False, default_factory=set)

    def __enter__(self) -> Raylets:
        self.folder = Path(tempfile.mkdtemp(prefix="raylets-"))
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = {
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        }  # fmt: skip
        with socket.create_server((IP, 0)) as free:
            self.address = f"{IP}:{free.getsockname()[1]}"
        try:
            port = self.address.rpartition(":")[2]
            self._start(self.cpus[0], "--head", f"--port={port}", "--include-dashboard=false")
            self._until(1)
            for cpus in self.cpus[1:]:
                self.add(cpus)
            self._until(len(self.cpus))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, cpus: int) -> Raylet:
        """Start one more node; it joins in a few seconds."""
        # Of nodes that begin at the same moment several take the same name, and all but one of them never start.
        sockets = len(self._sockets())
        node = self._start(cpus, f"--address={self.address}")
        until = time.monotonic() + START_SECONDS
        while len(self._sockets()) == sockets and node.process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        return node

    def _sockets(self) -> list[Path]:
        return list(self.folder.glob("session_2*/sockets/raylet*"))

    def kill(self, node: Raylet) -> None:
        """Kill a node with all that runs on it, like a machine that loses its power."""
        self.nodes.remove(node)
        self._end(node.process.pid)
        node.process.wait()

    def workers(self) -> dict[int, str]:
        """What each actor is at, by process id: `take` while it trains, an empty word while it waits."""
        found = {}
        for pid in self.processes():
            with suppress(OSError):
                title = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
                if title.startswith("ray::_Actor"):
                    found[pid] = title.removeprefix("ray::_Actor").removeprefix(".")
        return found

    def processes(self) -> list[int]:
        """The ids of all processes of the cluster."""
        return [pid for pid, session in sessions() if session in self.sessions]

    def close(self) -> None:
        """End all of it, and delete what Ray wrote."""
        for session in self.sessions:
            self._end(session)
        for node in self.nodes:
            node.process.wait()
        self.nodes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, cpus: int, *options: str) -> Raylet:
        number = len(self.sessions)
        command = [
            sys.executable, *START, f"--num-cpus={cpus}", "--num-gpus=0",
            f"--object-store-memory={STORE_BYTES}", *options,
        ]  # fmt: skip
        if "--head" in options:
            command.append(f"--temp-dir={self.folder}")
        log = self.folder / f"node-{number}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=self.folder,
                env={**os.environ, **self.environment},
            )  # fmt: skip
        self.sessions.add(process.pid)
        self.nodes.append(node := Raylet(process, cpus))
        return node

    def _until(self, count: int) -> None:
        """Wait until so many nodes have said that they run."""
        until = time.monotonic() + START_SECONDS
        logs = [self.folder / f"node-{number}.log" for number in range(count)]
        while not all("Ray runtime started" in log.read_text(errors="replace") for log in logs):
            ended = [node.process.poll() is not None for node in self.nodes]
            dead = next((log for log, end in zip(logs, ended, strict=False) if end), None)
            if dead or time.monotonic() > until:
                said = (dead or logs[-1]).read_text(errors="replace").strip().splitlines()[-5:]
                raise EngineError(f"`ray start` must start a node in {START_SECONDS:g} s, found: {' '.join(said)}")
            time.sleep(0.05)

    def _end(self, session: int) -> None:
        until = time.monotonic() + 10
        while (left := [pid for pid, of in sessions() if of == session]) and time.monotonic() < until:
            for pid in left:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)


def sessions() -> Iterator[tuple[int, int]]:
    """Every process that has not ended, with its session."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if state != "Z":
                    yield int(entry.name), int(session)


__all__ = ["Raylet", "Raylets", "sessions"]
