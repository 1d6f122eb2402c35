"""The process that `test_storage_crash` kills: it learns two tasks in a run on storage, from wherever it stands.

As a script it waits for orders on its standard input, one a line (`mirrors replaces`), forks for each a process that
carries it out with mirrors in that folder, and prints how it ended.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module

import pathways  # before the folder that holds this one, whose name hides it, is on the import path

assert pathways.__version__

from crash_driver import die_at  # noqa: E402 - it puts the helpers' folder on the import path
from helpers_tiny import TRAINING, task_of, tiny_root  # noqa: E402

from pathways.evolve.munet import MuNet  # noqa: E402
from pathways.mirror import located  # noqa: E402
from pathways.system import System  # noqa: E402
from pathways.trainer import Trainer  # noqa: E402

NAMES = ("one", "two")
STRATEGY = MuNet(generations=2, children=3)


def learn(url: str) -> None:
    """Create the run or go on with it, to its end."""
    directory, _ = located(url)
    there = (directory / "system.json").exists()
    with System.open(url) if there else System.create(url, root=tiny_root(), training=TRAINING) as system:
        tasks = [task_of(name) for name in NAMES]
        system.attach(task for task in tasks if task.name in system.briefs)
        for task in tasks:
            if task.name not in system.briefs:
                system.learn(task, STRATEGY)


def main() -> None:
    """Fork a driver for each order."""
    [url] = sys.argv[1:]
    Trainer.__doc__  # noqa: B018 - imported, so that no fork has to
    import_module("torch._dynamo")  # which takes seconds, and comes with the first optimizer
    for order in sys.stdin:
        mirrors, replaces = order.split()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.environ["PATHWAYS_MIRRORS"] = mirrors
                if int(replaces):
                    die_at(int(replaces))
                learn(url)
                status = 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
