"""Benchmarks of stacks on a GPU: hundreds of PathNet's paths, and of convolutional candidates, as one program each."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.candidate import Candidate, Training
from pathways.evolve.genotype import active_cells, random_genotype
from pathways.modules import Draft, Image, Init, ModuleRef, ModuleSpec, Port, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.seeds import numpy_generator, torch_generator
from pathways.stack_plan import plan
from pathways.task import Classes, Split, Task
from pathways.trainer import Trainer
from pathways.trainer.fit import order_of
from pathways.trainer.numerics import repeatable

from .row import Row, compare, not_run

PATHS, CONVS, ALONE = 512, 256, 8  # candidates of both stacks, and how many the other side trains: rates compare
STEPS, BATCH = 50, 16
LAYERS, CELLS, ACTIVE, UNITS, SIDE = 3, 10, 3, 20, 28
UNIT = "candidates/s"


def rows(pairs: int) -> Iterator[Row]:
    """Candidates a second of a stack on a GPU against plain modules one by one on the same GPU."""
    sides = (("gpu-population", "paths", paths), ("gpu-population-conv", "convolutional candidates", convolutions))
    for name, what, made in sides:
        if not torch.cuda.is_available():
            yield not_run(name, UNIT, None, f"no GPU here: torch {torch.__version__} finds none")
            continue
        yield population(name, what, *made(), pairs)


def population(name: str, what: str, task: Task, candidates: Sequence[Candidate], pairs: int) -> Row:
    """One row: candidates of one shape as a stack, and the first of them one by one."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(Pool(folder), device="cuda")
        trainer.provide(task)
        [group] = plan(candidates, len(candidates), trainer.families, "cuda").stacks

        def ours() -> float:
            begun = time.perf_counter()
            results = trainer.run(group.candidates, stacked=True, slots=group.slots)
            if not all(result.ok and result.stack == len(candidates) for result in results):
                raise RuntimeError(f"row {name}: a candidate failed or left its stack: {results[0].failure}")
            return len(results) / (time.perf_counter() - begun)

        return compare(
            name, ours, one_by_one(trainer, candidates[:ALONE]), unit=UNIT, goal=None, pairs=pairs,
            note=f"{len(candidates)} {what} x {STEPS} steps of {BATCH} samples in one stack with blobs of the fittest "
            f"written, against {ALONE} of them as plain modules with `torch.optim.SGD`",
        )


def one_by_one(trainer: Trainer, candidates: Sequence[Candidate]) -> Callable[[], float]:
    """The other side: candidates a second of an ordinary loop over plain modules, assembled and measured with it."""
    [name] = candidates[0].paths
    task = trainer.task_of(candidates[0], name)
    splits = {split: trainer.prepared(task, split, None) for split in ("train", "validation")}
    x, y = splits["train"].values["x"], splits["train"].targets
    vx, vy = splits["validation"].values["x"], splits["validation"].targets
    assert isinstance(x, Tensor)

    def train(candidate: Candidate) -> None:
        model: nn.Module = trainer.assemble(candidate)[0][name].train()
        optimizer = torch.optim.SGD(model.parameters(), lr=candidate.training.lr)
        for index in order_of(candidate, name, len(y), 1).to(x.device):
            loss = F.cross_entropy(model(x[index]), y[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            float((model.eval()(vx).argmax(1) == vy).float().mean())

    def rate() -> float:
        begun = time.perf_counter()
        with repeatable(trainer.device):
            for candidate in candidates:
                train(candidate)
        return len(candidates) / (time.perf_counter() - begun)

    return rate


def paths() -> tuple[Task, list[Candidate]]:
    """Random paths of 3 layers of up to 3 of 10 linear modules, as PathNet's on binary MNIST."""
    task = _task("vectors", 2)
    rng = numpy_generator("benchmark", "gpu", "genotypes")
    linear = ModuleSpec("linear", {"dim": UNITS, "activation": "relu"})
    candidates: list[Candidate] = []
    for _ in range(PATHS):
        cells = active_cells(random_genotype((CELLS,) * LAYERS, ACTIVE, rng))
        layers = [
            tuple(Draft(f"l{layer}m{cell}", linear, Init(CELLS * layer + cell)) for cell in own)
            for layer, own in enumerate(cells)
        ]
        candidates.append(_candidate(task, layers, len(candidates)))
    return task, candidates


def convolutions() -> tuple[Task, list[Candidate]]:
    """Two convolutions with group norm and pooling, each candidate from weights of its own."""
    task = _task("images", 10)
    specs = [ModuleSpec("conv", {"channels": c, "norm": "group", "pool": 2}) for c in (8, 16)]
    specs.append(ModuleSpec("flatten"))
    return task, [
        _candidate(task, [(Draft(f"s{i}", spec, Init(k)),) for i, spec in enumerate(specs)], k) for k in range(CONVS)
    ]


def _candidate(task: Task, layers: Sequence[tuple[ModuleRef, ...]], number: int) -> Candidate:
    head = Draft("head", ModuleSpec("classifier", {"classes": task.target.n}), Init(number))
    steps, last = {}, "x"
    for i, modules in enumerate([*layers, (head,)]):
        steps[f"step{i}"] = Step(modules, (last,))
        last = f"step{i}"
    training = Training(optimizer="sgd", lr=0.02, momentum=0.0, weight_decay=0.0, clip=0.0, steps=STEPS, batch=BATCH,
                        schedule="constant", warmup=0.0)
    path = Path(task.inputs, steps, last)
    # Seeds of their own keep equal genotypes apart; of a cell, only the fittest module is stored, as PathNet asks for.
    return Candidate({task.name: path}, training, {task.name: task.fingerprint}, repeat=number, keep="fittest")


def _task(name: str, classes: int) -> Task:
    """Noisy samples around one centre a class: vectors, or images of one channel."""
    generator = torch_generator("benchmark", "gpu", name)
    centres = torch.rand(classes, SIDE * SIDE, generator=generator)
    port: Port = Image(1, SIDE, SIDE) if name == "images" else Vector(SIDE * SIDE)

    def split(n: int) -> Split:
        targets = torch.arange(n) % classes
        x = centres[targets] + 0.3 * torch.randn(n, SIDE * SIDE, generator=generator)
        return Split({"x": x.reshape(n, 1, SIDE, SIDE) if isinstance(port, Image) else x}, targets)

    splits = {"train": split(1000), "validation": split(200), "test": split(50)}
    return Task(f"gpu-{name}", {"x": port}, Classes(classes), splits)


__all__ = ["rows"]
