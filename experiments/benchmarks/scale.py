"""`python -m pathways.experiments.benchmarks.scale`: how many candidates a second a driver keeps up with.

The driver is the real one: muNet's searches side by side, the loop that learns, the ledger, the Ray engine with its
scheduler and its lending, packed dispatches and replies, the pool. Virtual are the workers, whose results, seconds and
blobs are drawn from candidates that were trained before, and Ray's own calls, which cost what was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from pathways.candidate import Result, Training
from pathways.evolve.munet import MuNet
from pathways.evolve.ray import Ray
from pathways.learn import run_searches
from pathways.modules import Draft, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.search import bench_of, work_of
from pathways.system import System
from pathways.task import Task

from .scale_calls import MEASURED
from .scale_cluster import Calls, VirtualCluster
from .scale_phases import phases
from .scale_work import Work, measured
from .synthetic import DIM, blobs_task


@dataclass(frozen=True)
class Scale:
    """What is simulated.

    Args:
        workers: virtual ones.
        searches: tasks that are learned at once, each by a search without rounds.
        seconds: what a candidate takes in the mean.
        dispatch: candidates that travel and are committed together.
        candidates: of all searches, probes not counted; two for each worker where not given, at least 2,000.
        rounds: whether searches wait for the end of each of four rounds.
    """

    workers: int
    searches: int = 10
    seconds: float = 1.0
    dispatch: int = 1
    candidates: int | None = None
    rounds: bool = False

    @property
    def children(self) -> int:
        """Candidates of a round of a search."""
        every = self.candidates or max(2000, 2 * self.workers * self.dispatch)
        return max(1, every // (4 * self.searches))


SCALES = (
    *(Scale(workers) for workers in (100, 1000, 10_000)),
    *(Scale(workers, seconds=0.1) for workers in (100, 1000)),
    Scale(100, seconds=0.1, dispatch=16, candidates=8000),
    Scale(1000, dispatch=16, candidates=16_000),
    Scale(1000, rounds=True),
    Scale(1000, searches=1000, candidates=8000),
)  # fmt: skip


def simulate(
    scale: Scale, tasks: Sequence[Task], results: Sequence[Result], *, calls: Calls | None = None, drag: float = 1.0,
    samples: int = 0, **options: Any,
) -> dict[str, Any]:
    """Work off searches on virtual workers.

    Args:
        scale: how many of what.
        tasks: at least as many as there are searches.
        results: of real candidates, as `scale_work.measured` gives them.
        calls: what Ray's calls cost; nothing where not given.
        drag: by what the driver's own time is multiplied; 0 is a driver that takes none.
        samples: of a task whose activations of a frozen prefix are shared; 0 shares none.
        options: of `System.create`.

    Returns:
        The scale, its `mean` (seconds of a candidate), `candidates`;
        `seconds` (virtual, until all is done), `ideal` (those of workers that never wait), `busy` (the share of time
        that a worker trains), `rate` (candidates a second), `offered` (those of workers that never wait);
        `driver_ms`, `calls_ms` (a candidate), `limit` (candidates a second that the driver alone would keep up with),
        `phases` and `charged` (ms a candidate, by phase and by call of Ray's);
        `counts` (see `scale_cluster.Counts`), `replies` and `pending` (median and most at a look);
        `transactions` and `reads` of the ledger, `lost` (candidates that were trained and are not in
        it), `told` (results that searches took).
    """
    work = Work(results, scale.seconds, samples)
    cluster = VirtualCluster(scale.workers, work, calls, drag)
    strategy = MuNet(generations=4, children=scale.children, probes=2, steady=not scale.rounds)
    with (
        tempfile.TemporaryDirectory() as folder,
        System.create(FilePath(folder) / "run", stack=1, dispatch=scale.dispatch, **options) as system,
        phases(cluster.spent) as found,
    ):
        engine = Ray(workers=scale.workers, oversubscribe=True)
        engine.cluster = cluster  # type: ignore[assignment]
        learned = tasks[:scale.searches]
        names = [task.name for task in learned]
        told: list[str] = []
        with system.leased(names):
            bench = bench_of(system, learned, engine, lambda event: told.append(event.task), names)
            works = [work_of(system, [task], strategy) for task in learned]
            before, began = cluster.spent(), cluster.elapsed()
            charged = sum(cluster.charged.values())
            for _ in run_searches(works, bench):
                pass
            computed, taken = cluster.spent() - before, cluster.elapsed() - began
            called = sum(cluster.charged.values()) - charged
        engine.close()
        rows = system.ledger.rows()
        trained = sum(row.result.seconds for row in rows)
    n = len(rows)
    per = 1000 / n
    looks = np.array([(look.replies, look.pending, look.training) for look in cluster.looks])
    return {
        "workers": scale.workers, "searches": scale.searches, "mean": scale.seconds, "dispatch": scale.dispatch,
        "rounds": scale.rounds, "candidates": n, "seconds": taken,
        "ideal": trained / scale.workers, "busy": trained / (scale.workers * taken), "rate": n / taken,
        "offered": n / (trained / scale.workers), "driver_ms": computed * per, "calls_ms": called * per,
        "limit": n / (computed + called) if computed + called else None,
        "phases": {name: seconds * per for name, seconds in found.seconds.items()},
        "charged": {name: seconds * per for name, seconds in cluster.charged.items()},
        "counts": asdict(cluster.counts),
        "replies": [float(np.median(looks[:, 0])), int(looks[:, 0].max())],
        "pending": [float(np.median(looks[:, 1])), int(looks[:, 1].max())],
        "transactions": found.calls["ledger, write"], "reads": found.calls["ledger, read"],
        "lost": cluster.counts.candidates - n, "told": len(told),
    }  # fmt: skip


def trunk() -> Path:
    """A headless path of two layers, to be trained, for tasks of `synthetic.blobs_task`."""
    steps = {
        "a": Step((Draft("a", ModuleSpec("linear", {"dim": 16, "activation": "relu"})),), ("x",)),
        "b": Step((Draft("b", ModuleSpec("linear", {"dim": 16, "activation": "relu"})),), ("a",)),
    }
    return Path({"x": Vector(DIM)}, steps, "b")


def workload(searches: int) -> tuple[list[Task], tuple[Result, ...], dict[str, Any]]:
    """Tasks, results of candidates that are trained here, and the options of their systems.

    They are alphabets of Omniglot on the shipped root; where there are more searches than alphabets, small ones.
    """
    from pathways.data import omniglot as alphabets

    options = {"root": "omniglot", "training": Training(steps=40, batch=32, lr=2e-3, head_lr=0.1)}
    every = [*alphabets(), *alphabets(background=True)]
    results = measured(every[:3], MuNet(generations=2, children=8, probes=2), **options)
    if searches > len(every):
        return [blobs_task(f"scale/{i}") for i in range(searches)], results, {"root": trunk()}
    return every, results, options


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table.

    >>> row = {"workers": 100, "mean": 1.0, "dispatch": 1, "searches": 10, "rounds": False, "offered": 100.0,
    ...        "rate": 90.0, "busy": 0.9, "driver_ms": 2.0, "calls_ms": 0.5, "limit": 400.0, "replies": [0.0, 100]}
    >>> print(table([row]).splitlines()[2])
    | 100 | 1 s | 1 | 10 | 100 | 90 | 90 % | 2.0 + 0.5 | 400 | 0, 100 |
    """
    head = ("workers", "candidate", "dispatch", "searches", "offered", "done a second", "workers train",
            "driver, ms a candidate", "its limit a second", "replies that wait: median, most")  # fmt: skip
    lines = [" | ".join(head), "|".join(["---"] * len(head))]
    for row in rows:
        searches = f"{row['searches']}{' in rounds' if row['rounds'] else ''}"
        lines.append(" | ".join((
            f"{row['workers']:,}", f"{row['mean']:g} s", str(row["dispatch"]), searches, f"{row['offered']:,.0f}",
            f"{row['rate']:,.0f}", f"{100 * row['busy']:.0f} %", f"{row['driver_ms']:.1f} + {row['calls_ms']:.1f}",
            f"{row['limit']:,.0f}", f"{row['replies'][0]:,.0f}, {row['replies'][1]:,}",
        )))  # fmt: skip
    return "\n".join(f"|{line}|" if line.startswith("---") else f"| {line} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate one scale after another: a JSON object a line, and a table in the end."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.benchmarks.scale", description=__doc__)
    parser.add_argument("--scale", type=int, nargs="+", help="numbers of SCALES, from 0; all of them when not given")
    parser.add_argument("--rows", type=FilePath, help="rows that were printed before: only the table is made")
    given = parser.parse_args(arguments)
    if given.rows:
        rows = [json.loads(line) for line in given.rows.read_text().splitlines()]
        print(table(rows))
        return 0
    rows = []
    for number in given.scale or range(len(SCALES)):
        scale = SCALES[number]
        tasks, results, options = workload(scale.searches)
        samples = sum(len(tasks[0].splits[name]) for name in ("train", "validation"))
        rows.append(simulate(scale, tasks, results, calls=MEASURED, samples=samples, **options))
        print(json.dumps(rows[-1]), flush=True)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
