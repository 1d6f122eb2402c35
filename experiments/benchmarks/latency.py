"""How long one sample takes: `predict` and exported programs beside the plain assembled module."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from pathways import System, Task, Training, data
from pathways.evolve import MuNet
from pathways.modules import Draft, ModuleSpec
from pathways.path import Path, Step
from pathways.program import Program
from pathways.trainer import one_thread

from .row import Row, compare

PREDICT_FACTOR = 1.2
SECONDS = 0.25
"""How long each side runs for one measurement: hundreds of calls of the fastest path, at least."""

Call = Callable[[], Tensor]


def predict_latency(pairs: int) -> Iterator[Row]:
    """`System.predict` of one sample, warm, against transform, module and softmax called by hand."""
    for kind, system, task, x in _systems():
        plain = _plain(system, task, x)
        name = task.name

        def predict(system: System = system, name: str = name, x: Tensor = x) -> Tensor:
            return system.predict(name, x)

        _same(predict(), plain())
        with one_thread():
            yield compare(f"predict-latency-{kind}", _rate(predict), _rate(plain), unit="calls/s",
                          goal=1 / PREDICT_FACTOR, pairs=pairs, note="batch 1, one thread, same bits")


def export_latency(pairs: int) -> Iterator[Row]:
    """An exported program of one sample against transform and module called by hand.

    It is run both by `Program` and by `torch.export.load(file).module()`, which checks its inputs and takes them
    apart at every call: that takes the same time for every path, however small.
    """
    for kind, system, task, x in _systems():
        with TemporaryDirectory() as folder:
            file = system.export(task.name, "pt2", FilePath(folder) / "path.pt2")
            program, loaded = Program(file), torch.export.load(file).module()
        plain = _plain(system, task, x)

        def by_program(program: Program = program, x: Tensor = x) -> Tensor:
            return program(x).softmax(1)

        def by_torch(loaded: torch.nn.Module = loaded, x: Tensor = x) -> Tensor:
            with torch.no_grad():
                return loaded(x).softmax(1)

        for call in (by_program, by_torch):
            _same(call(), plain())
        with one_thread():
            yield compare(f"export-latency-{kind}", _rate(by_program), _rate(plain), unit="calls/s", goal=1.0,
                          pairs=pairs, note="batch 1, one thread, same bits, run by `pathways.program.Program`")
            yield compare(f"export-latency-{kind}-torch", _rate(by_torch), _rate(plain), unit="calls/s", goal=1.0,
                          pairs=pairs, note="the same program, run by `torch.export.load(file).module()`")


def _systems() -> Iterator[tuple[str, System, Task, Tensor]]:
    """A convolutional path on the shipped root, and a small path of linear modules, each with a sample of its task."""
    images = next(iter(data.omniglot(alphabets=["Greek"])))
    digits = next(iter(data.digits_tasks(groups=[list(range(10))])))
    for kind, task, root in (("conv", images, "omniglot"), ("mlp", digits, _linear_root(digits))):
        with TemporaryDirectory() as folder:
            training = Training(steps=4, batch=16)
            with System.create(FilePath(folder) / "run", root=root, training=training) as system:
                system.learn(task, MuNet(generations=1, children=1))
                (value,) = task.splits["test"].inputs.values()
                yield kind, system, task, value[:1]


def _linear_root(task: Task) -> Path:
    """Two layers of 64, untrained."""
    (name,) = task.inputs
    layer = ModuleSpec("linear", {"dim": 64, "activation": "relu"})
    steps = {
        "flat": Step((Draft("flat", ModuleSpec("flatten")),), (name,)),
        "first": Step((Draft("first", layer),), ("flat",)),
        "second": Step((Draft("second", layer),), ("first",)),
    }
    return Path(task.inputs, steps, "second")


def _plain(system: System, task: Task, x: Tensor) -> Call:
    """Transform, the assembled module, softmax."""
    (transform,) = task.transform.values()
    module = system.module(task.name)

    def plain() -> Tensor:
        with torch.no_grad():
            return module(transform(x)).softmax(1)

    return plain


def _same(found: Tensor, expected: Tensor) -> None:
    if not torch.equal(found, expected):
        gap = float((found - expected).abs().max())
        raise RuntimeError(f"both sides must give the same bits, found a difference of {gap:.3g}.")


def _rate(call: Call) -> Callable[[], float]:
    """One side of a row: calls a second, after a few that warm it up."""

    def measure() -> float:
        for _ in range(10):
            call()
        calls, begin = 0, time.perf_counter()
        while (spent := time.perf_counter() - begin) < SECONDS:
            for _ in range(20):
                call()
            calls += 20
        return calls / spent

    return measure


__all__ = ["export_latency", "predict_latency"]
