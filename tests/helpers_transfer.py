"""Tasks whose classes depend on one part of their inputs, and encoders that see one part."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pathways.modules import Vector
from pathways.seeds import torch_generator
from pathways.task import Classes, Split, Task, Values

DIM = 6
PARTS = {"left": slice(0, 3), "right": slice(3, 6)}


class Part(nn.Module):
    """An encoder that sees one part of the input, bent so that a linear readout of it is enough."""

    def __init__(self, part: slice, scale: float = 1.0) -> None:
        super().__init__()
        self.part, self.scale = part, scale
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.scale * torch.cat([x[:, self.part], x[:, self.part].abs()], 1)


def encoders() -> dict[str, Part]:
    return {"left": Part(PARTS["left"]), "right": Part(PARTS["right"], 100.0)}


def task_of(name: str, part: str = "left", n: int = 120, values: bool = False,
            label: Callable[[Tensor], Tensor] | None = None) -> Task:
    """Two classes, or one value, that the sum of the inputs of one part decides."""
    generator = torch_generator("transfer tasks", name)

    def split(size: int) -> Split:
        x = torch.randn(size, DIM, generator=generator)
        total = (label or (lambda part: part.sum(1)))(x[:, PARTS[part]])
        return Split({"x": x}, total[:, None] if values else (total > 0).long())

    splits = {"train": split(n), "validation": split(80), "test": split(20)}
    return Task(name, {"x": Vector(DIM)}, Values(1) if values else Classes(2), splits)


def mlp(width: int = 8, seed: int = 0) -> nn.Sequential:
    """A small trunk of plain torch layers, drawn from a seed."""
    net = nn.Sequential(nn.Linear(DIM, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(0.5 * torch.randn(p.shape, generator=generator))
    return net
