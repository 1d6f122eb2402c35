"""Candidates that train data-parallel, one for each thing that ranks could disagree about; a process that is a rank.

`python team_cases.py RANK FOLDER SIZE=ADDRESS ...` trains them in one team after another, those of which it is a rank;
for `other=ADDRESS` rank 1 trains something else than rank 0.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from tiny import candidate, chain, clusters, head, images, linear, plane
from torch import nn

from pathways.candidate import Augment, Candidate
from pathways.errors import TeamError
from pathways.modules import Context, Draft, Families, Image, Init, Module, ModuleSpec, Port, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.racing import Paired, Race, Rival, pack
from pathways.task import Task
from pathways.trainer import Trainer
from pathways.trainer.rank import train_rank

TASKS = [clusters("a", n=60, spread=1.5), clusters("b", n=33, seed=1), clusters("c", n=21, seed=2), images(), plane()]
A, B, C, PICTURES, NUMBERS = TASKS
RANK = 0  # of this process


class Dropout(Module):
    """Sets values to zero at random in training; `noise` is all it draws from."""

    family = "team_dropout"

    def __init__(self, ports: tuple[Port, ...]) -> None:
        super().__init__()
        self.output = ports[0]

    def forward(self, *inputs: Any, context: Context) -> Any:
        (x,) = inputs
        if not self.training:
            return x
        return x * (torch.rand(x.shape, generator=context.generator) < 0.7)


class Odd(Module):
    """The identity, with a fault: `raises` in training where a sample is of that sign, in evaluation, or it `dies`."""

    family = "team_odd"

    def __init__(self, ports: tuple[Port, ...], *, fault: str) -> None:
        super().__init__()
        self.output, self.fault = ports[0], fault
        self.weight = nn.Parameter(torch.empty(1))
        self.seen = 0

    def initialise(self, generator: torch.Generator) -> None:
        nn.init.ones_(self.weight)

    def forward(self, *inputs: Any, context: Context) -> Any:
        (x,) = inputs
        self.seen += self.training
        if self.fault == "evaluation" and not self.training:
            raise ValueError("it cannot be measured")
        if self.fault == "part" and self.training and self.seen > 3 and bool((x[:, 0] > 1).any()):
            raise ValueError(f"it cannot bear {int((x[:, 0] > 1).sum())} such samples")
        if self.fault == "death" and self.seen > 3 and RANK:
            os._exit(9)
        return x * self.weight


FAMILIES = Families([Dropout, Odd])


def joint(*tasks: Task, middle: tuple[Draft, ...] = ()) -> dict[str, Path]:
    """Paths of one trunk, a head each."""
    return {t.name: chain(Vector(4), linear("body", 16), *middle, head(name=f"head-{t.name}")) for t in tasks}


def odd(fault: str) -> dict[str, Path]:
    """A joint network with a fault."""
    return joint(A, B, middle=(Draft("odd", ModuleSpec("team_odd", {"fault": fault})),))


def routed() -> Path:
    """A path whose middle is two modules of which a noisy router with a balance loss chooses."""
    steps = {
        "body": Step((linear("body", 8),), ("x",)),
        "mixed": Step((linear("m0", 6, seed=1), linear("m1", 6, seed=2)), ("body",),
                      combine=Draft("gate", ModuleSpec("topk_router", {"experts": 2, "k": 1}), Init(3))),
        "head": Step((head(),), ("mixed",)),
    }
    return Path({"x": Vector(4)}, steps, "head")


def race() -> Race:
    """One that nobody can lose before its second point, and this rival's children lose there."""
    poor, good = np.zeros(60), np.ones(60)
    return Race(Paired(0.5, (0.3, 0.6)), {"a": 1.0}, (Rival("r" * 64, factors={"a": 1.0}, merits={"a": (
        pack(poor), pack(2 * good))}),))  # fmt: skip


def cases(k: int) -> dict[str, Candidate]:
    """The candidates of k workers."""
    picture = chain(
        Image(1, 6, 6), Draft("conv", ModuleSpec("conv", {"channels": 3, "norm": "batch"}), Init(1)),
        Draft("deep", ModuleSpec("conv", {"channels": 4, "norm": "batch"}), Init(2)),
        Draft("flat", ModuleSpec("flatten")), head(2),
    )
    changes = Augment(rotate=9, scale=0.1, noise=0.1, views=0)
    dropout = joint(A, B, middle=(Draft("drop", ModuleSpec("team_dropout")),))
    made = partial(candidate, steps=10)
    mlp = chain(Vector(4), linear("body", 16), head())
    found = {
        "sgd": made(joint(A, B), A, B, optimizer="sgd", momentum=0.9, nesterov=True, batch=7, clip=0.3,
                         weight_decay=0.01, optimizer_state=True),
        "adamw": made(dropout, A, B, evaluate_every=4, label_smoothing=0.1, optimizer_state=True, clip=0.5),
        "batch-norm": made(picture, PICTURES, augment=changes, batch=9, clip=1.0, evaluate_every=5),
        "few": made(joint(A, B, C), A, B, C, sampler="proportional", batch=2, weight_decay=0.1),
        "joint-fitness": made(joint(A, B, C), A, B, C, batch=5, fitness="training"),
        "values": made(chain(Vector(4), linear("body", 8), Draft("out", ModuleSpec("regressor", {"values": 2}))),
                            NUMBERS, batch=10, fitness="training"),
        "routed": made(routed(), A, optimizer_state=True),
        "raced": replace(made(mlp, A, evaluate_every=3), race=race()),
        "refit": made(mlp, A, head_init="class_means", head_refit="discriminant", score_views=1),
        "diverges": made(mlp, A, optimizer="sgd", lr=100.0, weight_decay=90.0, steps=40),
        "cannot-be-measured": made(odd("evaluation"), A, B, evaluate_every=5),
        "a-part-fails": made(odd("part"), A, B, batch=4),
        "after-failures": made(mlp, A, steps=4),
        "nothing-to-do": made(mlp, A, steps=0),
    }
    return {name: replace(case, workers=k) for name, case in found.items()}


def trainer_in(folder: FilePath) -> Trainer:
    """A trainer that knows the tasks."""
    trainer = Trainer(Pool(folder), FAMILIES)
    for task in TASKS:
        trainer.provide(task.without_test())
    return trainer


def main(rank: int, folder: FilePath, teams: list[str]) -> None:
    """Be a rank of each team that is large enough."""
    global RANK
    RANK = rank
    trainer = trainer_in(folder)
    for team in teams:
        size, address = team.split("=")
        if size == "other" and rank == 1:
            try:
                train_rank(trainer, [cases(2)["adamw"]], 1, 2, address, 90.0)
            except TeamError:
                continue
            raise AssertionError("it trained something else than rank 0")
        if size != "other" and rank < int(size):
            assert train_rank(trainer, list(cases(int(size)).values()), rank, int(size), address, 90.0) is None


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]), FilePath(sys.argv[2]), sys.argv[3:])
