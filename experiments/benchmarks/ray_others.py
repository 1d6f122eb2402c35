"""What the Ray engine is compared with: actors and processes as one writes them by hand, and Ray Tune.

Their classes know nothing of Ray, so that tests can call them; `actors` starts them in Ray.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pathways.candidate import Candidate
from pathways.evolve.far_pool import FarPool, Lent
from pathways.evolve.genotype import Genotype
from pathways.pool import Pool
from pathways.task import Task
from pathways.trainer import Trainer

from .pathnet_rows import Eager

TUNE_SECONDS = 0.173
"""The least that Ray Tune was measured to take for a trial with reused actors, where it cannot be run here."""


def actors(kind: type, count: int, *arguments: Any) -> list[Any]:
    """So many Ray actors of that class with a core each, ready to be called."""
    import ray

    started: list[Any] = [ray.remote(num_cpus=1)(kind).remote(*arguments) for _ in range(count)]
    ray.get([actor.ready.remote() for actor in started])
    return started


def streamed(workers: Sequence[Any], calls: Sequence[Callable[[Any], Any]], ahead: int = 1) -> list[Any]:
    """Make each call on whichever actor is free and take its result as it comes; `ahead` calls an actor at a time."""
    import ray

    under_way: dict[Any, Any] = {}
    waiting, results = iter(calls), []
    for worker in list(workers) * ahead:
        if (call := next(waiting, None)) is not None:
            under_way[call(worker)] = worker
    while under_way:
        ready, _ = ray.wait(list(under_way), num_returns=1)
        worker = under_way.pop(ready[0])
        results.append(ray.get(ready[0]))
        if (call := next(waiting, None)) is not None:
            under_way[call(worker)] = worker
    return results


class Plain:
    """An actor that measures an untrained linear map for each call: what one writes who does without a record.

    Args:
        x, y: the samples.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        torch.set_num_threads(1)
        self.x, self.y = torch.from_numpy(x.copy()), torch.from_numpy(y.copy())
        self.classes = int(self.y.max()) + 1

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def trial(self, config: Mapping[str, int]) -> dict[str, float]:
        """The accuracy of a linear map that is drawn from `seed`."""
        torch.manual_seed(config["seed"])  # no run of ours is in this process
        net = torch.nn.Linear(self.x.shape[1], self.classes)
        with torch.no_grad():
            outputs = net(self.x)
            right = (outputs.argmax(1) == self.y).float().mean()
            return {"seed": config["seed"], "accuracy": float(right), "loss": float(F.cross_entropy(outputs, self.y))}


class Paths:
    """An actor that trains a PathNet path a call, from a state dict to a state dict.

    Args:
        x, y, vx, vy: samples to train and to measure on.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, vx: np.ndarray, vy: np.ndarray) -> None:
        torch.set_num_threads(1)
        self.x, self.y, self.vx, self.vy = (torch.from_numpy(a.copy()) for a in (x, y, vx, vy))

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def train(
        self, genotype: Genotype, start: Mapping[str, Tensor], orders: Tensor
    ) -> tuple[int, float, dict[str, Tensor]]:
        """Train by SGD on the batches that `orders` names.

        Returns:
            How many samples of these batches were right, PathNet's fitness; the validation accuracy; the weights.
        """
        net = Eager(genotype)
        net.load_state_dict(dict(start))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        right = 0
        for index in orders:
            targets = self.y[index]
            outputs = net(self.x[index])
            loss = F.cross_entropy(outputs, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((outputs.argmax(1) == targets).sum())
        with torch.no_grad():
            accuracy = float((net(self.vx).argmax(1) == self.vy).float().mean())
        return right, accuracy, {name: tensor.detach() for name, tensor in net.state_dict().items()}


class Reader:
    """An actor that reads weights from the object store, either way.

    Args:
        fetch: reads references; `ray.get` when not given.
    """

    def __init__(self, fetch: Callable[[Sequence[Any]], list[Any]] | None = None) -> None:
        torch.set_num_threads(1)
        self._pool = FarPool(fetch or _fetch)

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def lent(self, blob: str, lent: Lent) -> tuple[float, float, float]:
        """What it takes as a worker reads them, in seconds.

        Returns:
            From the parcel to tensors that can be used; to add all of them up; to look whether they were written to.
        """
        begun = time.perf_counter()
        self._pool.begin({blob: lent}, {})
        self._pool.read([blob])
        tensors = self._pool.get(blob)
        read = time.perf_counter()
        sum(float(tensor.sum()) for tensor in tensors.values())
        added = time.perf_counter()
        assert not self._pool.changed()
        looked = time.perf_counter()
        self._pool.begin({}, {}, (blob,))  # let go of them
        return read - begun, added - read, looked - added

    def pickled(self, references: Sequence[Any]) -> tuple[float, float]:
        """The same for a state dict that was put there as it is."""
        begun = time.perf_counter()
        [state] = _fetch(references)
        read = time.perf_counter()
        sum(float(tensor.sum()) for tensor in state.values())
        return read - begun, time.perf_counter() - read


def _fetch(references: Sequence[Any]) -> list[Any]:
    import ray

    return list(ray.get(list(references)))


def train_here(folder: str, task: bytes, candidates: Sequence[Candidate]) -> int:
    """What a plain process does: train candidates with a trainer of its own; how many were trained."""
    results = _trainer(f"{folder}/{os.getpid()}", task).run(list(candidates))
    assert all(result.ok for result in results)
    return len(results)


@cache
def _trainer(folder: str, task: bytes) -> Trainer:
    torch.set_num_threads(1)
    trainer = Trainer(Pool(FilePath(folder)))
    loaded: Task = torch.load(io.BytesIO(task), weights_only=False)  # made by this same run
    trainer.provide(loaded)
    return trainer


def tune_trials(count: int, x: np.ndarray, y: np.ndarray) -> float:
    """Trials a second of Ray Tune with two reused actors, each of `Plain`'s trivial work.

    Raises:
        ImportError: Ray Tune, or what it needs, is not installed.
    """
    for name, value in (("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1"), ("RAY_AIR_NEW_OUTPUT", "0")):
        os.environ.setdefault(name, value)  # no files and no tables beside the work itself
    from ray import tune

    class Trial(tune.Trainable):
        def setup(self, config: dict[str, int]) -> None:
            self.plain, self.own = Plain(x, y), config

        def reset_config(self, new_config: dict[str, int]) -> bool:
            self.own = new_config
            return True

        def step(self) -> dict[str, Any]:
            return {**self.plain.trial(self.own), "done": True}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            return None  # there is nothing to keep

        def load_checkpoint(self, checkpoint: Any) -> None:
            return None

    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        found = tune.Tuner(
            tune.with_resources(Trial, {"cpu": 1}),
            param_space={"seed": tune.grid_search(list(range(count)))},
            tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=2),
            run_config=tune.RunConfig(verbose=0, storage_path=folder),
        ).fit()
        seconds = time.perf_counter() - begun
    assert len(found) == count
    assert not found.errors
    return count / seconds


def orders(seed: int, steps: int, batch: int, samples: int) -> Tensor:
    """Which samples each step reads."""
    return torch.randint(0, samples, (steps, batch), generator=torch.Generator().manual_seed(seed))


def arrays(task: Task, *splits: str) -> Iterable[np.ndarray]:
    """The inputs and targets of those splits of a task with one input."""
    [name] = task.inputs
    for split in splits:
        inputs = task.splits[split].inputs[name]
        assert isinstance(inputs, Tensor)
        yield inputs.numpy()
        yield task.splits[split].targets.numpy()


__all__ = [
    "TUNE_SECONDS", "Paths", "Plain", "Reader", "actors", "arrays", "orders", "streamed", "train_here", "tune_trials",
]
