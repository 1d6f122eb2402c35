"""What one act on a run costs, in a process of its own: seconds, memory, files opened and bytes read."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pathways.evolve.munet import MuNet
from pathways.system import System

from .synthetic import blobs_task, synthetic

Act = Callable[[], Any]

STRATEGY = MuNet(generations=1, children=1, probes=2)
"""The search that is timed: two probes (the root, the newest champion) and one child, whatever the number of tasks."""


@dataclass(frozen=True)
class Cost:
    """What an act cost.

    Args:
        seconds: wall time of the act alone, the interpreter's start and imports left out.
        cpu_seconds: processor time of it.
        peak_mb: the largest resident memory of the process, in 10^6 bytes, libraries included.
        files: how many files were opened.
        bytes_read: what was asked of the file system by reading, in bytes, page cache included.
        bytes_written: likewise.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    files: int
    bytes_read: int
    bytes_written: int


def measured(act: str, directory: FilePath, number: int = 0) -> Cost:
    """What `act`, one of `ACTS`, costs on a run in a fresh process.

    Raises:
        RuntimeError: the process failed; its last line is told.
    """
    command = [sys.executable, "-m", __name__, act, str(directory), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(f"act `{act}` on {directory} must end well, found: {done.stderr.strip().splitlines()[-1:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _open(directory: FilePath, number: int) -> Act:
    return lambda: System.open(directory).close()


def _show(directory: FilePath, number: int) -> Act:
    from pathways.summary_table import summary_text

    return lambda: summary_text(_opened(directory).summary())


def _learn(directory: FilePath, number: int) -> Act:
    system, task = _opened(directory), blobs_task(f"new/{directory.name}/{number}")
    return lambda: system.learn(task, STRATEGY)


def _graph(directory: FilePath, number: int) -> Act:
    return _opened(directory).graph


def _draw(directory: FilePath, number: int) -> Act:
    from pathways.experiments.cli import main

    return lambda: main(["graph", str(directory), "--out", str(directory / "figures" / "graph.svg")])


def _collect(directory: FilePath, number: int) -> Act:
    return _opened(directory).collect


def _opened(directory: FilePath) -> System:
    system = System.open(directory)
    system.ledger.leased(system.owner)  # connected, as any further act of a process finds it
    return system


ACTS: Mapping[str, Callable[[FilePath, int], Act]] = {
    "open": _open, "show": _show, "learn": _learn, "graph": _graph, "draw": _draw, "collect": _collect,
}  # fmt: skip
"""Each prepares an act on an open system; what it returns is measured."""


def _read_so_far() -> tuple[int, int]:
    """Bytes that this process has read and written by system calls."""
    said = dict(line.split(": ") for line in FilePath("/proc/self/io").read_text().splitlines())
    return int(said["rchar"]), int(said["wchar"])


def main(arguments: Sequence[str]) -> int:
    """Carry out an act, first on a small run so that what is imported and remembered is there; print its cost."""
    name, directory, number = arguments
    with tempfile.TemporaryDirectory() as folder:
        synthetic(FilePath(folder) / "run", 2, 12, STRATEGY).close()
        with redirect_stdout(sys.stderr):
            ACTS[name](FilePath(folder) / "run", 0)()
    opened: list[Any] = []
    sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
    act = ACTS[name](FilePath(directory), int(number))
    opened.clear()
    before, wall, processor = _read_so_far(), time.perf_counter(), time.process_time()
    with redirect_stdout(sys.stderr):
        act()
    seconds, cpu, after = time.perf_counter() - wall, time.process_time() - processor, _read_so_far()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps(vars(Cost(seconds, cpu, peak, len(opened), after[0] - before[0], after[1] - before[1]))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
