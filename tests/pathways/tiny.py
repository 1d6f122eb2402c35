"""Tiny tasks, paths and candidates that train in milliseconds, for the tests of assembly and training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pathways.assemble import PathModule
from pathways.candidate import Candidate, Training
from pathways.modules import Draft, Frozen, Image, Init, ModuleRef, ModuleSpec, Port, Vector, build
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.task import Classes, Split, Task, Values


def seeded(seed: int = 0) -> torch.Generator:
    """A generator of that seed."""
    return torch.Generator().manual_seed(seed)


def clusters(name: str = "clusters", *, classes: int = 3, dim: int = 4, n: int = 30, seed: int = 0,
             spread: float = 0.5, shape: tuple[int, ...] | None = None) -> Task:
    """A classification task: `n` samples in each split, around one random centre a class, in turn."""
    generator = seeded(seed)
    centres = torch.randn(classes, dim, generator=generator)

    def split() -> Split:
        labels = torch.arange(n) % classes
        x = centres[labels] + spread * torch.randn(n, dim, generator=generator)
        return Split({"x": x.reshape(n, *shape) if shape else x}, labels)

    port: Port = Image(*shape) if shape else Vector(dim)
    return Task(name, {"x": port}, Classes(classes), {s: split() for s in ("train", "validation", "test")})


def images(name: str = "images", *, classes: int = 2, side: int = 6, n: int = 24, seed: int = 0) -> Task:
    """A classification task of one-channel images."""
    return clusters(name, classes=classes, dim=side * side, n=n, seed=seed, shape=(1, side, side))


def plane(name: str = "plane", *, n: int = 40, seed: int = 0) -> Task:
    """A regression task: two numbers that are linear in four, with a little noise."""
    generator = seeded(seed)
    slope = torch.randn(4, 2, generator=generator)

    def split() -> Split:
        x = torch.randn(n, 4, generator=generator)
        return Split({"x": x}, x @ slope + 0.01 * torch.randn(n, 2, generator=generator))

    return Task(name, {"x": Vector(4)}, Values(2), {s: split() for s in ("train", "validation", "test")})


def chain(port: Port, *refs: ModuleRef) -> Path:
    """The path from an input `x` through the modules, one step each, named `s0`, `s1`, ..."""
    reads = ["x", *(f"s{i}" for i in range(len(refs)))]
    return Path({"x": port}, {f"s{i}": Step((ref,), (reads[i],)) for i, ref in enumerate(refs)}, reads[-1])


def linear(name: str, dim: int, seed: int | None = 0, activation: str = "relu") -> Draft:
    """A draft of the linear family."""
    return Draft(name, ModuleSpec("linear", {"dim": dim, "activation": activation}), Init(seed))


def head(classes: int = 3, name: str = "head", seed: int | None = 0) -> Draft:
    """A draft classifier."""
    return Draft(name, ModuleSpec("classifier", {"classes": classes}), Init(seed))


def frozen(pool: Pool, spec: ModuleSpec, *ports: Port, seed: int = 0) -> Frozen:
    """A freshly initialised module, put in the pool."""
    module = build(spec, ports, seeded(seed))
    return Frozen(pool.put(spec, module.state_dict()), spec)


def candidate(paths: Path | Mapping[str, Path], *tasks: Task, sampler: str = "joint", run: int = 0, order: int = 0,
              repeat: int = 0, optimizer_state: bool = False, **training: Any) -> Candidate:
    """A candidate for one path and task, or for several; `training` fields as keywords."""
    by_task = {tasks[0].name: paths} if isinstance(paths, Path) else paths
    settings = {"steps": 20, "batch": 8, "lr": 0.01, **training}
    return Candidate(by_task, Training(**settings), {t.name: t.fingerprint for t in tasks}, run, order, repeat,
                     sampler, optimizer_state)


def assembled(path: Path, pool: Pool | None = None, seed: int = 0) -> PathModule:
    """A path with weights from a pool, drafts from one generator."""
    generator = seeded(seed)

    def weights(ref: ModuleRef) -> Mapping[str, Tensor] | torch.Generator:
        if isinstance(ref, Frozen):
            assert pool is not None
            return pool.get(ref.id)
        return generator

    return PathModule(path, weights)
