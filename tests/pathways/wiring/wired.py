"""What the tests of wirings share: assembled paths, two inputs whose bits make a label, a few steps of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pathways.assemble import PathModule
from pathways.evolve.paths import with_head
from pathways.modules import Context, Tokens, Value
from pathways.modules.ports import example, split
from pathways.path import Path
from pathways.seeds import torch_generator
from pathways.task import Classes

PAIR = {"a": Tokens(2, 4), "b": Tokens(3, 4)}
SMALL: dict[str, Any] = {"dim": 8, "heads": 2}


def assembled(path: Path, seed: int = 0) -> PathModule:
    """The path with weights that a module's name decides, so that equal names are equal modules."""
    return PathModule(path, lambda ref: torch_generator("weights", seed, getattr(ref, "name", ref.spec.family)))


def values(path: Path | Mapping[str, Any], batch: int = 3, seed: int = 0) -> dict[str, Value]:
    """Random values of the inputs."""
    ports = path.inputs if isinstance(path, Path) else path
    return {name: example(port, batch, torch_generator("values", name, seed)) for name, port in ports.items()}


def bits(n: int, seed: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Two inputs of `PAIR`, whose first tokens' first number says a bit, and the bits (n,) of each."""
    generator = torch_generator("bits", seed)
    first, second = torch.randint(0, 2, (2, n), generator=generator)
    given = {}
    for (name, port), bit in zip(PAIR.items(), (first, second), strict=True):
        x = 0.3 * torch.randn(n, port.length or 0, port.dim, generator=generator)
        x[:, 0, 0] = 2.0 * bit - 1.0
        given[name] = x
    return given, first, second


def accuracy(path: Path, label: Callable[[Tensor, Tensor], Tensor], steps: int = 250, seed: int = 0) -> float:
    """How often the trained path with a head tells, on new samples, what the bits of its inputs say together."""
    module = assembled(with_head(path, Classes(2)), seed)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for step in range(steps):
        given, first, second = bits(48, 1000 * seed + step)
        loss = torch.nn.functional.cross_entropy(module(given), label(first, second).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    given, first, second = bits(500, -1)
    with torch.no_grad():
        return float((module.eval()(given).argmax(1) == label(first, second)).float().mean())


def xor(first: Tensor, second: Tensor) -> Tensor:
    """Neither input alone says anything of it."""
    return first ^ second


def gradient(module: PathModule, step: str, name: str, seed: int = 0) -> float:
    """The largest gradient of a step's value with respect to an input."""
    given = values(module.path, seed=seed)
    tensor = split(given[name])[0].requires_grad_()
    value = split(module.eval().compute(given, (step,), Context())[step])[0]
    [found] = torch.autograd.grad(value.pow(2).sum(), tensor, allow_unused=True)
    return 0.0 if found is None else float(found.abs().max())
