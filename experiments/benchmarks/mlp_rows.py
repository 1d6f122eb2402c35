"""The benchmark of stacked MLPs on two cores."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path as FilePath
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.candidate import Candidate, Training
from pathways.engine import Dispatch
from pathways.evolve import Local
from pathways.modules import Draft, Init, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.seeds import torch_generator
from pathways.task import Classes, Split, Task

from .row import Row, compare

MLPS, MLP_STEPS, MLP_BATCH = 16, 100, 128


def mlps(pairs: int) -> Iterator[Row]:
    """16 MLPs 784-64-64-10 on two cores: two stacks of 8 against two processes of eager modules."""
    task = vectors(2000, 500)
    spawn = get_context("spawn")
    folder = tempfile.TemporaryDirectory()
    with folder as name, Local(workers=2) as engine, ProcessPoolExecutor(2, mp_context=spawn) as processes:
        engine.open(FilePath(name) / "pool")
        engine.provide(task)
        numbers = iter(range(10**6))

        def ours(precision: str) -> float:
            candidates = [mlp_candidate(task, k, next(numbers), precision) for k in range(MLPS)]
            begun = time.perf_counter()
            for half in (candidates[::2], candidates[1::2]):
                engine.submit(Dispatch(next(numbers), tuple(half), True, (1, 1, 1)))
            for _ in range(2):
                answer = engine.next()
                assert answer is not None
                assert all(result.ok and result.stack == MLPS // 2 for result in answer.results)
            return MLPS * MLP_STEPS / (time.perf_counter() - begun)

        def theirs() -> float:
            begun = time.perf_counter()
            done = [processes.submit(_eager_mlps, _plain(task), MLPS // 2) for _ in range(2)]
            for each in done:
                each.result()
            return MLPS * MLP_STEPS / (time.perf_counter() - begun)

        note = ("SGD with momentum 0.9, batch 128, 100 steps, 500 validation samples; data sent beforehand on our "
                "side, with the work on theirs")
        yield compare("mlps-two-cores", partial(ours, "float32"), theirs, unit="steps/s", goal=2.0, pairs=pairs,
                      note=note)
        yield compare("mlps-two-cores-bf16", partial(ours, "bfloat16"), theirs, unit="steps/s", goal=2.5, pairs=pairs,
                      note=f"{note}; our products in bfloat16")


def mlp_candidate(task: Task, k: int, order: int, precision: str = "float32") -> Candidate:
    """An MLP 784-64-64-10 from its own seed, trained by SGD with momentum 0.9."""
    hidden = ModuleSpec("linear", {"dim": 64, "activation": "relu"})
    steps = {
        "a": Step((Draft("a", hidden, Init(k)),), ("x",)), "b": Step((Draft("b", hidden, Init(k)),), ("a",)),
        "head": Step((Draft("head", ModuleSpec("classifier", {"classes": 10}), Init(k)),), ("b",)),
    }
    training = Training(optimizer="sgd", lr=0.01, momentum=0.9, steps=MLP_STEPS, batch=MLP_BATCH, schedule="constant",
                        warmup=0.0, precision=precision)
    path = Path(task.inputs, steps, "head")
    return Candidate({task.name: path}, training, {task.name: task.fingerprint}, order=order)


def _plain(task: Task) -> dict[str, Tensor]:
    return {f"{part}_{name}": value for name in ("train", "validation") for part, value in (
        ("x", cast(Tensor, task.splits[name].inputs["x"])), ("y", task.splits[name].targets))}  # fmt: skip


def _eager_mlps(data: dict[str, Tensor], count: int) -> float:
    """What a process of the other side does: one MLP after another; returns the mean validation accuracy."""
    torch.set_num_threads(1)
    accuracy = 0.0
    order = torch.randint(0, len(data["y_train"]), (MLP_STEPS, MLP_BATCH))
    for _ in range(count):
        net = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        for index in order:
            loss = F.cross_entropy(net(data["x_train"][index]), data["y_train"][index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = net(data["x_validation"]).argmax(1) == data["y_validation"]
            accuracy += float(right.float().mean()) / count
    return accuracy


def vectors(train: int, validation: int) -> Task:
    """Ten noisy classes of 784 numbers each."""
    generator = torch_generator("benchmark", "vectors")
    centres = torch.rand(10, 784, generator=generator)

    def split(n: int) -> Split:
        targets = torch.arange(n) % 10
        return Split({"x": centres[targets] + 0.5 * torch.randn(n, 784, generator=generator)}, targets)

    splits = {"train": split(train), "validation": split(validation), "test": split(50)}
    return Task("vectors", {"x": Vector(784)}, Classes(10), splits)


__all__ = ["mlp_candidate", "mlps", "vectors"]
