"""`python -m pathways.experiments.benchmarks.acts ACT DIR NUMBER`: what one act on a run costs a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path as FilePath
from typing import Any

from pathways.evolve.munet import MuNet
from pathways.graph import path_graph
from pathways.graph.draw import MODULES, draw_graph
from pathways.summary_table import summary_text
from pathways.system import System

from .meter import Cost, measured
from .synthetic import blobs_task, synthetic

Act = Callable[[], Any]

STRATEGY = MuNet(generations=2, children=4, probes=2)
"""The search that is timed: two probes (the root, the newest champion) and eight children."""


def cost_of(act: str, directory: FilePath, number: int = 0) -> Cost:
    """What `act`, one of `ACTS`, costs on a run, in a process that has done the same on a small run before.

    Raises:
        RuntimeError: the process failed; its last line is told.
    """
    command = [sys.executable, "-m", __name__, act, str(directory), str(number)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    if done.returncode:
        raise RuntimeError(f"act `{act}` on {directory} must end well, found: {done.stderr.strip().splitlines()[-1:]}.")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _opened(directory: FilePath) -> System:
    system = System.open(directory)
    system.ledger.leased(system.owner)  # connected, as any further act of a process finds it
    return system


def _learn(directory: FilePath, number: int) -> Act:
    system, task = _opened(directory), blobs_task(f"new/{directory.name}/{number}")
    return lambda: system.learn(task, STRATEGY)


def _draw(directory: FilePath, number: int) -> Act:
    system, out = _opened(directory), directory / "figures" / "graph.svg"
    return lambda: draw_graph(path_graph(system, MODULES), out)


ACTS: Mapping[str, Callable[[FilePath, int], Act]] = {
    "open": lambda directory, number: lambda: System.open(directory),
    "show": lambda directory, number: lambda: summary_text(_opened(directory).summary()),
    "learn": _learn,
    "collect": lambda directory, number: _opened(directory).collect,
    "draw": _draw,
    "graph": lambda directory, number: _opened(directory).graph,
}
"""What is measured, each given a run and a number that no call had before, and made ready before it is timed."""


def main(arguments: Sequence[str]) -> int:
    """Carry out an act, first on a small run so that what is imported and remembered is there; print its cost."""
    name, directory, number = arguments
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        synthetic(FilePath(folder) / "run", 2, 12, STRATEGY).close()
        ACTS[name](FilePath(folder) / "run", 0)()
    act = ACTS[name](FilePath(directory), int(number))
    with measured() as cost:
        act()
    print(json.dumps(vars(cost)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
