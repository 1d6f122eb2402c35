"""`python -m pathways.experiments.benchmarks.scale_modules`: acts on runs of a thousand tasks, up to a million modules.

The manifests are real ones, written by their writer. So that a million modules can be had in minutes, only the newest
champion has weights: no other's are read when a run is opened, nor by a search that probes the root and the newest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from statistics import median

from pathways import manifest
from pathways.modules import Frozen, ModuleRef, content_hash
from pathways.strategy import Strategy
from pathways.system import System

from .acts import STRATEGY
from .meter import Cost, measured
from .synthetic import blobs_task, synthetic

MODULES = (1, 10, 100, 1000)

PROBES = replace(STRATEGY, generations=0)
"""The search that is timed: its children may have any champion as parent, and most have no weights here."""


def hollow(directory: FilePath, tasks: int, modules: int, strategy: Strategy) -> None:
    """A run directory of so many tasks, of which the newest has weights.

    Args:
        directory: where; it must not hold a system.
        tasks: how many champions.
        modules: how many each has of its own, behind the shared trunk.
        strategy: whose champions they are said to be.
    """
    with synthetic(directory, 1, modules, strategy) as system:
        [newest] = system.records.values()
        assert system.root is not None
        trunk = set(system.root.frozen())
        manifest.task_file(directory, newest.name).unlink()
        for index in range(tasks):
            name = newest.name if index == tasks - 1 else f"hollow/{index:05d}"

            def own(ref: ModuleRef, name: str = name) -> ModuleRef:
                kept = not isinstance(ref, Frozen) or ref.id in trunk or name == newest.name
                return ref if kept else Frozen(content_hash([name, ref.id]), ref.spec)  # type: ignore[union-attr]

            champion = replace(newest.champion, task=name, path=newest.path.map_refs(own))
            data = newest.data if name == newest.name else content_hash(name)
            manifest.write_task(directory, replace(newest, champion=champion, index=index, data=data))
            system.ledger.record_evaluation("system", name, name, "test", newest.metric, 1.0, 1)
    with System.open(directory) as system:
        system.shelf.save()  # as any run that has learned a task has it


def costs(run: FilePath) -> Iterator[tuple[str, Cost]]:
    """What it costs this process to open a run and to learn one more task, after it did so on a small one."""
    with tempfile.TemporaryDirectory() as folder:
        small = FilePath(folder) / "run"
        hollow(small, 2, 1, STRATEGY)
        with System.open(small) as system:
            system.learn(blobs_task("new"), PROBES)
    with measured() as cost:
        system = System.open(run)
    yield "open", cost
    with measured() as cost:
        system.learn(blobs_task(f"new/{os.getpid()}"), PROBES)
    yield "learn", cost


def main(arguments: Sequence[str] | None = None) -> int:
    """A JSON line for each size and act: of three fresh processes the one in the middle."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.benchmarks.scale_modules")
    parser.add_argument("--tasks", type=int, default=1000, help="how many tasks")
    parser.add_argument("--modules", type=int, nargs="+", default=MODULES, help="how many each has of its own")
    parser.add_argument("--repeats", type=int, default=3, help="processes")
    parser.add_argument("--run", type=FilePath, help="a run directory, which is measured by this process")
    given = parser.parse_args(arguments)
    if given.run:
        print(json.dumps({act: vars(cost) for act, cost in costs(given.run)}))
        return 0
    for modules in given.modules:
        with tempfile.TemporaryDirectory() as folder:
            run = FilePath(folder) / "run"
            hollow(run, given.tasks, modules, STRATEGY)
            size = sum(file.stat().st_size for file in (run / "tasks").iterdir())
            found = [_apart(run) for _ in range(given.repeats)]
        for act in found[0]:
            middle = {name: median(each[act][name] for each in found) for name in found[0][act]}
            row = {"act": act, "tasks": given.tasks, "modules": given.tasks * modules, "manifest_bytes": size}
            print(json.dumps({**row, **middle}), flush=True)
    return 0


def _apart(run: FilePath) -> dict[str, dict[str, float]]:
    """The costs in a fresh process."""
    command = [sys.executable, "-m", __spec__.name, "--run", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    sys.exit(main())
