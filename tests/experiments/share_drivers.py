"""Drivers that share a run, as `test_turns` starts them: forked from one process, so that only that imports torch.

Each line of standard input is a list in JSON: the run directory or its URL, a file that gets a line (process id,
strategy, task) for each result, and what each driver does: `work`, or `die` after two results on a host of another
name, which nobody can look into; behind an `@` the folder of its mirrors. When all have ended, the highest of their
exit statuses is printed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pathways  # before the folder that holds this one, whose name hides it, is on the import path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers_tiny import task_of

from pathways import freeze, leases
from pathways.evolve.controls import FineTune, Independent
from pathways.evolve.munet import MuNet
from pathways.experiments import turns
from pathways.experiments.arguments import place
from pathways.experiments.config import Config, Named, Source
from pathways.experiments.runner import carry_out
from pathways.experiments.turns import Arrivals
from pathways.progress import Event
from pathways.system import System
from pathways.trainer import Trainer

assert pathways.__version__
NAMES = ("one", "two", "three")
PACE = 0.02  # seconds after each result, so that nobody learns all before others have begun
CONTROLS = (Named("independent", Independent()), Named("fine-tune", FineTune()))


Results = list[tuple[str, str, str]]


@contextmanager
def waiting() -> Iterator[Callable[..., Results]]:
    """A function that lets drivers come to the end; gives which had a result of which strategy for which task.

    It takes the run directory or its URL, an empty file, and what each driver does.
    """
    with subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as main:
        def driven(run: Path | str, log: Path, *drivers: str) -> Results:
            log.touch()
            assert main.stdin is not None
            assert main.stdout is not None
            main.stdin.write(json.dumps([str(run), str(log), *drivers]) + "\n")
            main.stdin.flush()
            assert main.stdout.readline() == "0\n"
            return [tuple(line.split()) for line in log.read_text().splitlines()]  # type: ignore[misc]

        yield driven
        assert main.stdin is not None
        main.stdin.close()


def drive(directory: Path | str, log: Path, what: str, meeting: Any) -> None:
    """One driver, to the end of the run."""
    seen = 0

    def progress(event: Event) -> None:
        nonlocal seen
        with log.open("a") as file:
            file.write(f"{os.getpid()} {event.strategy} {event.task}\n")
        seen += 1
        if what == "die" and seen == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(PACE)

    if what == "die":
        leases._host = lambda: "elsewhere~0"  # type: ignore[assignment]
    real = freeze.probe_of

    def together(*arguments: Any) -> bytes:
        made = real(*arguments)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(20)  # each driver's first champion is frozen at one moment
        meeting.abort()
        return made

    freeze.probe_of = together
    turns.PAUSE = 0.1
    os.environ["PATHWAYS_LEASE_SECONDS"] = "2"
    tasks = [task_of(name) for name in NAMES]
    controls = CONTROLS if what == "work" else ()
    strategy = Named("munet", MuNet(generations=1, children=3))
    config = Config("shared", (Source("none"),), strategy, controls, training=System.open(directory).training)
    with System.open(directory) as system:
        carry_out(system, config, [Arrivals([task]) for task in tasks], progress, share=True)


def main() -> None:
    """Fork the drivers of each line, and wait for them."""
    Trainer.__doc__  # noqa: B018 - imported, so that no fork has to
    import_module("torch._dynamo")  # which takes seconds, and comes with the first optimizer
    for line in sys.stdin:
        directory, log, *wanted = json.loads(line)
        print(carried_out(place(directory), Path(log), wanted), flush=True)


def carried_out(directory: Path | str, log: Path, wanted: list[str]) -> int:
    """The highest exit status of the drivers."""
    meeting = multiprocessing.get_context("fork").Barrier(sum(what.startswith("work") for what in wanted))
    children = []
    for what, _, mirrors in (word.partition("@") for word in wanted):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                if mirrors:
                    os.environ["PATHWAYS_MIRRORS"] = mirrors
                drive(directory, log, what, meeting)
                status = 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        children.append(pid)
        if what == "die":
            os.waitpid(children.pop(), 0)  # first it dies, then others begin
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)


if __name__ == "__main__":
    main()
