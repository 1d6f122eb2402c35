"""The process that `test_crash` kills: it learns three tasks in a run directory, from wherever an earlier one stopped.

As a script it waits for orders on its standard input, one a line (`workers replaces`), forks for each a process that
carries it out, and prints that process's id: so that only the first pays for importing torch.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pathways  # before the folder that holds this one, whose name hides it, is on the import path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers_tiny import TRAINING, task_of, tiny_root

from pathways import files
from pathways.engine import Answer, Dispatch
from pathways.evolve.local import Local
from pathways.evolve.munet import MuNet
from pathways.system import System
from pathways.trainer import Trainer

assert pathways.__version__
NAMES = ("one", "two", "three")
STRATEGY = MuNet(generations=4, children=5)
PACE = 0.02  # seconds before each answer, so that on fast machines too there is something left to kill


class Logged(Local):
    """Notes each candidate that is sent to be trained."""

    log: Path
    pace = 0.0

    def submit(self, dispatch: Dispatch) -> None:
        """Note, then queue."""
        with self.log.open("a") as file:
            file.writelines(f"{candidate.hash}\n" for candidate in dispatch.candidates)
        super().submit(dispatch)

    def next(self, timeout: float | None = None) -> Answer | None:
        """Wait a little, then answer."""
        time.sleep(self.pace)
        return super().next(timeout)


def learn(directory: Path, engine: Any) -> None:
    """Create the run or go on with it, to its end."""
    if (directory / "system.json").exists():
        system = System.open(directory)
    else:
        system = System.create(directory, root=tiny_root(), training=TRAINING)
    tasks = [task_of(name) for name in NAMES]
    with system:
        system.attach(task for task in tasks if task.name in system.records)
        for task in tasks:
            if task.name not in system.records:
                system.learn(task, STRATEGY, engine)


def die_at(replaces: int) -> None:
    """Kill this process when a file takes its name for that time: just before where the number is odd, else after."""
    seen = 0

    def dying(real: Callable[..., None]) -> Callable[..., None]:
        def name(*arguments: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == replaces and replaces % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            real(*arguments)
            if seen == replaces:
                os.kill(os.getpid(), signal.SIGKILL)

        return name

    # Manifests are linked to their names, which other files take in place of what was there.
    files.os.replace, files.os.link = dying(os.replace), dying(os.link)  # type: ignore[attr-defined]


def carry_out(directory: Path, log: Path, workers: int, replaces: int) -> None:
    """One life of the driver: `log` gets the hashes it sends, and a last line where it came to the end."""
    if replaces:
        die_at(replaces)
    with Logged(workers, oversubscribe=True) as engine:
        engine.log, engine.pace = log, PACE
        learn(directory, engine)
    with log.open("a") as file:
        file.write("done\n")


def main() -> None:
    """Fork a driver for each order."""
    directory, log = map(Path, sys.argv[1:])
    logging.getLogger("pathways.evolve.local").setLevel(logging.ERROR)  # that the machine is busy is no failure
    Trainer.__doc__  # noqa: B018 - imported, so that no fork has to
    import_module("torch._dynamo")  # which takes seconds, and comes with the first optimizer
    for order in sys.stdin:
        workers, replaces = map(int, order.split())
        pid = os.fork()
        if pid == 0:
            try:
                carry_out(directory, log, workers, replaces)
            except BaseException:
                traceback.print_exc()
            os._exit(0)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
