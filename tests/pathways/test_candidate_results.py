"""Candidates of one hash have one result: what the hash leaves out, training does not see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch

from pathways.candidate import Augment, Candidate, Result, Training
from pathways.modules import Draft, Image, ModuleSpec
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.task import Classes, Split, Task
from pathways.trainer.train import Trainer

STEPS = 6


def task_of(name: str, seed: int) -> Task:
    """A small task of random images."""
    generator = torch.Generator().manual_seed(seed)

    def split(n: int) -> Split:
        images = torch.rand(n, 1, 4, 4, generator=generator)
        return Split({"x": images}, torch.arange(n) % 3)

    return Task(name, {"x": Image(1, 4, 4)}, Classes(3), {"train": split(18), "validation": split(9), "test": split(9)})


TASKS = {"a": task_of("a", 0), "b": task_of("b", 1)}


def path_of(trunk: str, head: str, *, names: str = "") -> Path:
    """Flatten, a trunk, a head; `names` goes before the names of the steps."""
    def draft(name: str, family: str, **config: Any) -> Draft:
        return Draft(name, ModuleSpec(family, config))

    steps = {
        f"{names}flat": Step((draft(f"{trunk} flat", "flatten"),), ("x",)),
        f"{names}trunk": Step((draft(trunk, "linear", dim=5, activation="tanh"),), (f"{names}flat",)),
        f"{names}head": Step((draft(head, "classifier", classes=3),), (f"{names}trunk",)),
    }
    return Path({"x": Image(1, 4, 4)}, steps, f"{names}head")


def candidate_of(training: Training, tasks: str = "a", **changes: Any) -> Candidate:
    """A candidate for one task or several that share a trunk."""
    paths = {name: path_of("trunk", f"head {name}") for name in tasks}
    data = {name: TASKS[name].fingerprint for name in tasks}
    return replace(Candidate(paths, training, data), **changes)


def content(result: Result) -> tuple[Any, ...]:
    """What of a result must be equal: everything but times and names of drafts."""
    blobs = sorted(result.blobs.values())
    return (result.failure, result.measures, result.curve, blobs, result.parameters, result.flops)


SGD = Training(optimizer="sgd", steps=STEPS, momentum=0.5, lr=0.1)
ADAMW = Training(steps=STEPS)
NONE = Training(steps=0)

SAME: list[tuple[Candidate, Candidate]] = [
    (candidate_of(ADAMW), candidate_of(replace(ADAMW, momentum=0.9, nesterov=True))),
    (candidate_of(ADAMW), candidate_of(replace(ADAMW, evaluate_every=STEPS + 1, keep="last"))),
    (candidate_of(ADAMW), candidate_of(replace(ADAMW, augment=Augment(rotate=30.0, noise=0.5)))),
    (candidate_of(ADAMW), candidate_of(replace(ADAMW, augment=Augment(clean=False)))),
    (candidate_of(SGD), candidate_of(replace(SGD, beta2=0.5))),
    (candidate_of(replace(SGD, momentum=0)), candidate_of(replace(SGD, momentum=0, nesterov=True))),
    (candidate_of(replace(ADAMW, augment=Augment(rotate=9.0, views=0))),
     candidate_of(replace(ADAMW, augment=Augment(rotate=9.0, views=0, clean=False)))),
    (candidate_of(NONE), candidate_of(replace(NONE, lr=1.0, batch=3, fitness="training", optimizer="sgd"))),
    (candidate_of(NONE), candidate_of(replace(NONE, augment=Augment(noise=0.5, views=2), evaluate_every=7), order=5)),
    (candidate_of(replace(NONE, head_init="class_means")),
     candidate_of(replace(NONE, head_init="class_means", augment=Augment(noise=0.5, views=2)), order=5)),
    (candidate_of(NONE, "ab"), candidate_of(NONE, "ab", sampler="proportional")),
    (candidate_of(ADAMW), candidate_of(ADAMW, sampler="proportional", labels={"number": 9})),
    (candidate_of(ADAMW), candidate_of(ADAMW, paths={"a": path_of("z", "a", names="my ")})),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_candidates_of_one_hash_have_one_result(tmp_path: FilePath, one: Candidate, two: Candidate) -> None:
    assert one.hash == two.hash
    results = []
    for candidate in (one, two):
        trainer = Trainer(Pool(tmp_path / str(len(results))))
        for task in TASKS.values():
            trainer.provide(task.without_test())
        results += trainer.run([candidate])
    assert results[0].ok, results[0].failure
    assert content(results[0]) == content(results[1])
