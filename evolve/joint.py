"""Networks that several tasks share: one trunk, a head for each task, trained together on a system's bench."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pathways.candidate import Candidate, Result, Training
from pathways.engine import Engine
from pathways.learn import Bench, Work, try_all
from pathways.modules import Draft, Families, Init
from pathways.path import Path
from pathways.progress import Progress
from pathways.recording import Record
from pathways.sampler import Sampling
from pathways.search import bench_of
from pathways.seeds import seed_of
from pathways.system import System
from pathways.task import Task

from .controls import OneAsk
from .paths import warm, with_head


def shared_network(
    tasks: Sequence[Task], trunk: Path, training: Training, families: Families, *, seed: int = 0,
    sampler: Sampling = "joint", record: Record | None = None,
) -> Candidate:
    """A network of one trunk with a head for each task, as a candidate.

    Networks of one seed start alike: a trunk from scratch draws its weights from the seed and a head from seed and
    task, whichever tasks share it, and batches come in an order of task and seed. So what differs between two
    groupings of one seed is the grouping.

    Args:
        tasks: those that share the trunk; one alone is a network of its own.
        trunk: headless: `Init` drafts (from scratch) or frozen modules, of which trainable copies are made.
        training: hyperparameters and budget.
        families: the families that specs may name.
        seed: of weights, batches and noise.
        sampler: how batches alternate over the tasks, as in `Candidate`.
        record: what is measured while it trains.
    """
    body = warm(trunk).map_refs(
        lambda ref: replace(ref, start=Init(seed_of("trunk", seed, ref.name)))
        if isinstance(ref, Draft) and ref.start == Init() else ref
    )
    paths = {
        task.name: with_head(
            body, task.target, f"head/{task.name}", start=Init(seed_of("head", seed, task.name)), inputs=task.inputs,
            families=families,
        )
        for task in tasks
    }
    labels = {"strategy": "affinity", "generation": 0, "parents": [], "mutations": []}
    data = {task.name: task.fingerprint for task in tasks}
    return Candidate(paths, training, data, run=seed, sampler=sampler, labels=labels, record=record)


def train_networks(
    system: System, tasks: Sequence[Task], candidates: Sequence[Candidate], engine: Engine | None = None,
    progress: Progress | None = None, *, name: str = "affinity", leases: Sequence[str] = (),
) -> dict[str, Result]:
    """Train networks on a system's bench; what its ledger knows is not trained again.

    Args:
        system: whose ledger and pool keep what comes of it.
        tasks: the data of all candidates.
        candidates: of `shared_network`.
        engine: where trainers run; in this process when not given.
        progress: called with an `Event` after each result.
        name: under which they stand in the ledger.
        leases: what to renew meanwhile.

    Returns:
        Each candidate's result, by its hash.
    """
    bench = bench_of(system, tasks, engine, progress, leases)
    return {result.candidate: result for result in _tried(candidates, name, bench)}


def _tried(candidates: Sequence[Candidate], name: str, bench: Bench) -> Iterator[Result]:
    works: dict[tuple[str, ...], tuple[Work, list[Candidate]]] = {}
    for candidate in candidates:
        key = tuple(candidate.paths)
        works.setdefault(key, (Work(OneAsk([], lambda winner: winner), name, key), []))[1].append(candidate)
    bench.alive()
    for work, result in try_all(list(works.values()), bench):
        bench.progress(work.see(result))
        bench.alive()
        yield result


__all__ = ["shared_network", "train_networks"]
