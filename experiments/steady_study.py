"""Is a search without rounds as good as one in rounds, with as many candidates, and how much sooner is it done?

Both learn the same stream, from the same seeds, on virtual workers: every candidate is trained for real, here, one
after another, and its measured seconds are the time that one of N workers would have taken. So answers come in the
order in which N workers of one speed would give them, and the time at the end is theirs, without that of dispatching.

    python -m pathways.experiments.steady_study --seeds 3 --workers 8 --json
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from pathways.affinity.evidence import paired_interval
from pathways.candidate import Training
from pathways.data import digits_tasks
from pathways.engine import Answer
from pathways.evolve import MuNet
from pathways.in_process import InProcess
from pathways.modules import Draft, Image, ModuleSpec
from pathways.path import Path, Step
from pathways.system import System

GROUPS = ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9), (0, 2, 4, 6, 8), (1, 3, 5, 7, 9), (0, 1, 3, 6, 9), (2, 4, 5, 7, 8))
TRAINING = Training(steps=20, batch=16, lr=0.01)


class VirtualWorkers(InProcess):
    """Trains in this process, and answers when and in the order in which so many workers would.

    Args:
        workers: how many.

    Attributes:
        now: the seconds that have passed for them.
    """

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.workers = workers
        self.now = 0.0
        self._running: list[tuple[float, int, Answer]] = []
        self._numbers = count()

    def next(self, timeout: float | None = None) -> Answer | None:
        """What is finished next."""
        while len(self._running) < self.workers and (answer := super().next()) is not None:
            seconds = sum(result.cpu_seconds for result in answer.results)
            heapq.heappush(self._running, (self.now + seconds, next(self._numbers), answer))
        if not self._running:
            return None
        self.now, _, answer = heapq.heappop(self._running)
        return answer


def trunk() -> Path:
    """A headless path of three layers, to be trained."""
    specs = {
        "flat": ModuleSpec("flatten"), "a": ModuleSpec("linear", {"dim": 48, "activation": "relu"}),
        "b": ModuleSpec("linear", {"dim": 32, "activation": "relu"}),
    }  # fmt: skip
    steps, last = {}, "image"
    for name, spec in specs.items():
        steps[name] = Step((Draft(name, spec),), (last,))
        last = name
    return Path({"image": Image(1, 8, 8)}, steps, last)


def learned(seed: int, strategy: MuNet, workers: int, tasks: int) -> dict[str, Any]:
    """What a stream reaches, and the seconds it takes so many workers.

    Returns:
        `validation`, `test`: mean accuracy over the tasks; `candidates`; `seconds`, and `busy`, the share of them that
        a worker trains.
    """
    engine = VirtualWorkers(workers)
    with (
        tempfile.TemporaryDirectory() as folder,
        System.create(FilePath(folder) / "run", seed=seed, root=trunk(), training=TRAINING, stack=1) as system,
    ):
        for task in digits_tasks(GROUPS[:tasks], validation=0.4, test=0.4):
            system.learn(task, strategy, engine)
        rows = system.ledger.rows()
        briefs = list(system.briefs.values())
    worked = sum(row.result.cpu_seconds for row in rows)
    return {
        "validation": float(np.mean([brief.validation for brief in briefs])),
        "test": float(np.mean([brief.test for brief in briefs])),
        "candidates": len(rows), "seconds": engine.now, "busy": worked / (workers * engine.now),
    }  # fmt: skip


def study(seeds: int, workers: int, generations: int, children: int, tasks: int) -> dict[str, Any]:
    """Both ways for each seed, and what they differ by: paired means with 95 % intervals over seeds."""
    settings = MuNet(generations=generations, children=children)
    ways = {"rounds": settings, "steady": MuNet(generations=generations, children=children, steady=True)}
    learned(0, MuNet(generations=0), workers, 1)  # what is slow when it is used first shall be nobody's
    found = {name: [learned(seed, way, workers, tasks) for seed in range(seeds)] for name, way in ways.items()}

    def over(name: str, key: str) -> list[float]:
        return [each[key] for each in found[name]]

    def difference(key: str) -> dict[str, float]:
        gains = np.subtract(over("steady", key), over("rounds", key))[:, None]
        return asdict(paired_interval(gains))

    return {
        "seeds": seeds, "workers": workers, "generations": generations, "children": children, "tasks": tasks,
        **{name: {key: float(np.mean(over(name, key))) for key in found[name][0]} for name in ways},
        "steady minus rounds": {key: difference(key) for key in ("validation", "test")},
        "time of rounds": float(np.sum(over("rounds", "seconds")) / np.sum(over("steady", "seconds"))),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and print what it found."""
    parser = argparse.ArgumentParser(prog="python -m pathways.experiments.steady_study", description=__doc__)
    for name, value in (("seeds", 3), ("workers", 8), ("generations", 4), ("children", 8), ("tasks", 6)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = study(options.seeds, options.workers, options.generations, options.children, options.tasks)
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    for name in ("rounds", "steady"):
        side = found[name]
        sys.stdout.write(
            f"{name}  validation {side['validation']:.4f}  test {side['test']:.4f}  {side['candidates']:.0f} candidates"
            f"  {side['seconds']:.2f} s  workers busy {side['busy']:.0%}\n"
        )
    lead = found["steady minus rounds"]["test"]
    sys.stdout.write(
        f"steady minus rounds on test data: {lead['value']:+.4f} ({lead['low']:+.4f} to {lead['high']:+.4f})\n"
        f"rounds take {found['time of rounds']:.2f} times as long\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
