"""Large run directories made without training: real manifests, blobs, probes and ledger rows, written by their writers.

What is made so differs from a learned run in one thing: the new modules of a champion keep the weights that they
start from. Everything in it verifies, can be used, and can be learned on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

import torch

from pathways import manifest
from pathways.candidate import Candidate, Measures, Result, Training
from pathways.freeze import probe_of, test_value, write_probe
from pathways.manifest import TaskRecord
from pathways.modules import Draft, Init, ModuleSpec, Vector, build
from pathways.path import Path, Step
from pathways.seeds import torch_generator
from pathways.strategy import Champion, Strategy
from pathways.system import System
from pathways.task import Classes, Split, Task

DIM, CLASSES, SAMPLES = 8, 3, 24
TRUNK = 4
"""Modules of the root, which every champion shares."""

BESIDE = 10
"""Modules side by side in each step that a task has of its own."""

TRAINING = Training(steps=40, batch=8, lr=0.02)
_LINEAR = ModuleSpec("linear", {"dim": DIM, "activation": "relu"})


def blobs_task(name: str) -> Task:
    """A task of three clusters in eight dimensions, 24 samples a split; its data derives from its name."""
    centres = 2 * torch.randn(CLASSES, DIM, generator=torch_generator("centres", name))
    targets = torch.arange(SAMPLES) % CLASSES
    splits = {}
    for split in ("train", "validation", "test"):
        noise = torch.randn(SAMPLES, DIM, generator=torch_generator(name, split))
        splits[split] = Split({"x": centres[targets] + noise}, targets)
    return Task(name, {"x": Vector(DIM)}, Classes(CLASSES), splits)


def synthetic(directory: FilePath, tasks: int, modules: int, strategy: Strategy, seed: int = 0) -> System:
    """A run directory that looks as if a stream of tasks had been learned.

    Args:
        directory: where; it must not hold a system.
        tasks: how many champions.
        modules: how many each has of its own, in steps of `BESIDE` behind the shared trunk, its head among them.
        strategy: whose champions they are said to be.
        seed: of the run.

    Returns:
        The system, with the data of no task at hand, as after opening.
    """
    system = System.create(directory, seed=seed, training=TRAINING)
    system.close()
    trunk = _built(_chain(TRUNK), system)
    manifest.write_system(directory, replace(system.record, root=trunk))
    with System.open(directory) as system:
        for index in range(tasks):
            _add(system, blobs_task(f"synthetic/{index:05d}"), modules, index, strategy)
    return System.open(directory)


def _chain(length: int) -> Path:
    """A headless path of drafts, one behind the other."""
    reads = ["x", *(f"trunk{i}" for i in range(length))]
    steps = {f"trunk{i}": Step((Draft(f"trunk{i}", _LINEAR, Init(i)),), (reads[i],)) for i in range(length)}
    return Path({"x": Vector(DIM)}, steps, reads[-1])


def _own(trunk: Path, modules: int) -> Path:
    """`trunk` with steps of modules of a task's own behind it, and a head."""
    steps, last, left = dict(trunk.steps), trunk.output, modules - 1
    for number in range(-(-left // BESIDE)):
        drafts = tuple(Draft(f"own{number}.{i}", _LINEAR) for i in range(min(BESIDE, left - number * BESIDE)))
        steps[f"own{number}"] = Step(drafts, (last,), "mean")
        last = f"own{number}"
    steps["head"] = Step((Draft("head", ModuleSpec("classifier", {"classes": CLASSES})),), (last,))
    return Path(trunk.inputs, steps, "head")


def _blobs(path: Path, system: System, *seed: str) -> Iterator[tuple[str, str]]:
    ports = path.ports(system.families)
    for step in path.steps.values():
        for ref in step.modules:
            if isinstance(ref, Draft):
                module = build(ref.spec, [ports[read] for read in step.reads], torch_generator(*seed, ref.name))
                yield ref.name, system.pool.put(ref.spec, module.state_dict())


def _built(path: Path, system: System, *seed: str) -> Path:
    return path.trained(dict(_blobs(path, system, *seed)))


def _add(system: System, task: Task, modules: int, index: int, strategy: Strategy) -> None:
    """One champion: its candidate in the ledger, then its probe, then its manifest, then its evaluation."""
    assert system.root is not None
    drafted = _own(system.root, modules)
    candidate = Candidate(
        {task.name: drafted}, TRAINING, {task.name: task.fingerprint}, system.seed,
        labels={"strategy": strategy.name, "number": 0, "generation": 0, "parents": ["root"], "mutations": []},
    )  # fmt: skip
    blobs = dict(_blobs(drafted, system, task.name))
    path = drafted.trained(blobs)
    costs = path.costs(system.families)
    test = test_value(path, task, system)
    measures = Measures(test, test, 1.0, test, SAMPLES)
    result = Result(
        candidate.hash, measures={task.name: measures}, parameters=costs.parameters, flops=costs.flops, blobs=blobs
    )
    system.ledger.commit(strategy.name, [task.name], index, [(candidate, result)])
    record = TaskRecord.of(
        task, Champion(task.name, path, TRAINING, measures, candidate.hash, ("root",)),
        index=index, strategy=strategy, test=test,
        new_parameters=sum(costs.sizes[blob] for blob in blobs.values()),
        probe=write_probe(system.directory, task, probe_of(task, path, system)),
    )  # fmt: skip
    manifest.write_task(system.directory, record)
    system.ledger.record_evaluation(
        "system", task.name, task.name, "test", record.metric, test, len(task.splits["test"])
    )

