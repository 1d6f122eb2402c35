"""Benchmarks of PathNet: a generation of a population, and the fitness of many paths over one pool."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.candidate import Candidate, Training
from pathways.evolve.genotype import Genotype, active_cells, random_genotype
from pathways.evolve.pathnet import PathNet
from pathways.in_process import InProcess
from pathways.learn import Bench, Work, try_all
from pathways.modules import Draft, Frozen, Init, ModuleSpec, Vector, build
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.search import view
from pathways.seeds import numpy_generator, torch_generator
from pathways.system import System
from pathways.task import Classes, Split, Task
from pathways.trainer import Trainer, one_thread
from pathways.trainer.stack import StackedPaths
from pathways.trainer.stack_fit import fit_stack
from pathways.trainer.stack_split import Bound, StackSplit

from .row import Row, compare

PATHS, STEPS, BATCH = 64, 50, 16
LAYERS, CELLS, ACTIVE, UNITS, INPUTS = 3, 10, 3, 20, 784
SETTINGS = PathNet(
    population=PATHS, tournament="population", threshold=None, generations=10**6, steps=STEPS, batch=BATCH
)


def population(pairs: int) -> Iterator[Row]:
    """A generation of 64 paths x 50 steps, ledger and commit included, against one `nn.Linear` a module."""
    task = digits_like(1000, 200)
    folder = tempfile.TemporaryDirectory()
    with folder as name, one_thread(), System.create(FilePath(name) / "run", stack=PATHS) as system:
        ours = _Generations(system, task)
        yield compare(
            "pathnet-population", ours.rate, lambda: eager_generation(task), unit="path-steps/s", goal=10.0,
            floor=traffic_floor(), pairs=pairs,
            note="a generation of 64 different paths x 50 steps, each measured on 200 validation samples; ours with "
            "candidates, blobs and results committed to the ledger",
        )


def fitness(pairs: int) -> Iterator[Row]:
    """The fitness of 64 paths over one pool on 1,000 samples, all at once against path by path."""
    task = digits_like(50, 1000)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(Pool(folder))
        trainer.provide(task)
        cells = _frozen_cells(trainer.pool)
        candidates = [
            Candidate({task.name: _path(genotype, cells)}, Training(steps=0), {task.name: task.fingerprint})
            for genotype in genotypes()
        ]
        models = [trainer.assemble(c)[0][task.name].eval() for c in candidates]
        samples = trainer.prepared(task, "validation", None)
        paths, trainings = [c.paths[task.name] for c in candidates], [c.training for c in candidates]
        program = StackedPaths(paths, trainings, lambda k, ref: trainer.weights(candidates[k], ref), [True])
        split = StackSplit((Bound((cast(Tensor, samples.values["x"]),)),), (), samples.targets)

        def ours() -> float:
            begun = time.perf_counter()
            trainer.run(candidates, stacked=True)
            return PATHS / (time.perf_counter() - begun)

        def assembled() -> float:
            begun = time.perf_counter()
            with one_thread():
                fit_stack(candidates, task, program, split, split, torch.empty(0, 1, dtype=torch.long))
            return PATHS / (time.perf_counter() - begun)

        def theirs() -> float:
            begun = time.perf_counter()
            with torch.no_grad(), one_thread():
                for model in models:
                    outputs = model(samples.values["x"])
                    float((outputs.argmax(1) == samples.targets).float().mean())
            return PATHS / (time.perf_counter() - begun)

        yield compare(
            "fitness-of-paths", ours, theirs, unit="paths/s", goal=5.0, pairs=pairs,
            note="64 frozen paths, 1,000 samples; theirs are assembled beforehand, ours are assembled each time, and "
            "make results and blobs",
        )
        yield compare(
            "fitness-of-paths-assembled", assembled, theirs, unit="paths/s", goal=5.0, pairs=pairs,
            note="the same, both sides assembled beforehand",
        )


def digits_like(train: int, validation: int) -> Task:
    """A task of two classes and 784 inputs, as PathNet's binary MNIST is."""
    generator = torch_generator("benchmark", "digits")
    centres = torch.rand(2, INPUTS, generator=generator)

    def split(n: int) -> Split:
        targets = torch.arange(n) % 2
        return Split({"x": centres[targets] + 0.3 * torch.randn(n, INPUTS, generator=generator)}, targets)

    splits = {"train": split(train), "validation": split(validation), "test": split(50)}
    return Task("digits", {"x": Vector(INPUTS)}, Classes(2), splits)


def traffic_floor() -> float:
    """The ratio at which the two large products of a step take all the time, measured here.

    A path-step reads and writes its first layer's weights: one pass forward, a read and a write to update. Nothing
    that trains these weights can do with less; what the eager side takes is measured beside it.
    """
    rows = round(PATHS * _modules_in_use() * UNITS)
    x, w, g = torch.rand(BATCH, INPUTS), torch.rand(rows, INPUTS), torch.rand(rows, BATCH)
    seconds = []
    for _ in range(20):
        begun = time.perf_counter()
        torch.mm(w, x.t())
        w.addmm_(g, x, alpha=-1e-9)
        seconds.append(time.perf_counter() - begun)
    ours = PATHS / sorted(seconds)[10]
    return ours / eager_generation(digits_like(1000, 200))


class Eager(nn.Module):
    """A path as one writes it by hand: a list of linear layers a step."""

    def __init__(self, genotype: Genotype) -> None:
        super().__init__()
        widths = [INPUTS] + [UNITS] * (LAYERS - 1)
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(width, UNITS) for _ in cells)
            for width, cells in zip(widths, active_cells(genotype), strict=True)
        )
        self.head = nn.Linear(UNITS, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, 784) to scores (B, 2)."""
        for modules in self.layers:
            first, *others = [F.relu(module(x)) for module in cast(nn.ModuleList, modules)]
            x = sum(others, first)
        return self.head(x)


def eager_generation(task: Task) -> float:
    """Path-steps a second of the plain way: one path after another, `torch.optim.SGD`, data as tensors in memory."""
    x, y = task.splits["train"].inputs["x"], task.splits["train"].targets
    vx, vy = task.splits["validation"].inputs["x"], task.splits["validation"].targets
    orders = torch.randint(0, len(y), (STEPS, BATCH), generator=torch_generator("benchmark", "order"))
    nets = [Eager(genotype) for genotype in genotypes()]
    begun = time.perf_counter()
    for net in nets:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        right = 0
        for index in orders:
            targets = y[index]
            outputs = net(x[index])
            loss = F.cross_entropy(outputs, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((outputs.argmax(1) == targets).sum())
        with torch.no_grad():
            float((net(vx).argmax(1) == vy).float().mean())
    return PATHS * STEPS / (time.perf_counter() - begun)


class _Generations:
    """A search whose generations are timed one by one."""

    drawn = 0

    def __init__(self, system: System, task: Task) -> None:
        engine = InProcess()
        engine.open(system.pool.directory, system.families)
        engine.provide(task)
        self.search = SETTINGS.begin(view(system, [task]))
        self.work = Work(self.search, SETTINGS.name, (task.name,))
        self.bench = Bench(system.ledger, system.pool, engine, stack=system.stack, families=system.families)

    def rate(self) -> float:
        """Path-steps a second of the next generation: asked for, trained, committed, told."""
        # Evolution makes some paths equal, which are trained once: so that all are different they are drawn anew.
        self.drawn += 1
        self.search.population = genotypes(self.drawn)
        begun = time.perf_counter()
        asked = self.search.ask()
        results = {result.candidate: result for _, result in try_all([(self.work, asked)], self.bench)}
        self.search.tell([(candidate, results[candidate.hash]) for candidate in asked])
        return len(results) * STEPS / (time.perf_counter() - begun)


def genotypes(drawn: int = 0) -> list[Genotype]:
    """64 paths drawn anew for each number."""
    rng = numpy_generator("benchmark", "genotypes", drawn)
    return [random_genotype((CELLS,) * LAYERS, ACTIVE, rng) for _ in range(PATHS)]


def _modules_in_use() -> float:
    return float(np.mean([len(active_cells(genotype)[0]) for genotype in genotypes()]))


def _frozen_cells(pool: Pool) -> dict[tuple[int, int], Frozen]:
    spec = ModuleSpec("linear", {"dim": UNITS, "activation": "relu"})
    cells = {}
    for layer in range(LAYERS):
        for cell in range(CELLS):
            port = Vector(INPUTS if layer == 0 else UNITS)
            module = build(spec, (port,), torch_generator("benchmark", layer, cell))
            cells[layer, cell] = Frozen(pool.put(spec, module.state_dict()), spec)
    return cells


def _path(genotype: Genotype, cells: dict[tuple[int, int], Frozen]) -> Path:
    steps, last = {}, "x"
    for layer, own in enumerate(active_cells(genotype)):
        steps[f"layer{layer}"] = Step(tuple(cells[layer, cell] for cell in own), (last,))
        last = f"layer{layer}"
    head = Draft("head", ModuleSpec("classifier", {"classes": 2}), Init(0))
    return Path({"x": Vector(INPUTS)}, {**steps, "head": Step((head,), (last,))}, "head")
