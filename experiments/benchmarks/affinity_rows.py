"""The benchmark of what measuring affinity costs a joint run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from pathways.affinity import Moment, Watch, first_order, gradient_cosine, lookahead, projected_gradients
from pathways.affinity.moment import Estimator
from pathways.seeds import torch_generator
from pathways.trainer import one_thread

from .memory_rows import peak_bytes
from .row import Row, compare

TASKS, EVERY, STEPS = 9, 10, 30


def cost(pairs: int) -> Iterator[Row]:
    """Joint runs of 9 tasks that are measured every 10 steps, against the same runs that are not.

    Those that need gradients only take the losses of the step's own forward pass; lookaheads start from one of their
    own, so that what is drawn is the same before and after.
    """
    yield _row("affinity-lookahead", _mlp, lookahead, 2.2, pairs)
    yield _row("affinity-first-order", _mlp, first_order, 1.7, pairs)
    yield _row("affinity-sampled", _mlp, _one_source(), 1.2, pairs)
    yield _row("affinity-cosine", _mlp, gradient_cosine, None, pairs)
    yield _row("affinity-projected", _mlp, projected_gradients, None, pairs)
    yield _row("affinity-lookahead-conv", _conv, lookahead, 2.2, pairs)
    yield _row("affinity-first-order-conv", _conv, first_order, 1.7, pairs)
    yield _row("affinity-sampled-conv", _conv, _one_source(), 1.2, pairs)


def _one_source() -> Estimator:
    return partial(lookahead, sources=1, generator=torch_generator("affinity rows"))


def _row(name: str, trunk: Callable[[], nn.Module], estimator: Estimator, most: float | None, pairs: int) -> Row:
    """Ours is the run that is measured: `ratio` is 1 over its cost in joint runs, and so is the goal."""
    ours, theirs = (Joint(trunk()) for _ in range(2))
    step, measurement = peak_bytes(theirs.step), peak_bytes(lambda: estimator(ours.moment(ours.losses)))
    row = compare(
        name, lambda: ours.rate(estimator), lambda: theirs.rate(None), unit="steps/s", goal=most and 1 / most,
        pairs=pairs,
    )  # fmt: skip
    joint_runs = 0.0 if row.ratio is None else 1 / row.ratio
    note = (
        f"{joint_runs:.2f} joint runs{f', at most {most:g} wanted' if most else ''}; processor time; peak tensor bytes "
        f"of a measurement {measurement / 1e6:.1f} MB, of a joint step {step / 1e6:.1f} MB, beyond weights, velocity "
        f"and data; the shared weights are {ours.shared_bytes / 1e6:.1f} MB"
    )
    return Row(**{**row.to_json(), "note": note})


class Joint:
    """A joint run: one batch for all tasks, a trunk, a linear head each, SGD with momentum."""

    def __init__(self, trunk: nn.Module, batch: int = 128) -> None:
        draw = torch_generator("affinity rows", "data")
        self.trunk = trunk
        shape = (batch, 784) if isinstance(next(trunk.children()), nn.Linear) else (batch, 1, 28, 28)
        self.x = torch.randn(shape, generator=draw)
        with torch.no_grad():
            width = trunk(self.x).shape[1]
        self.tasks = tuple(f"task {i}" for i in range(TASKS))
        self.y = {task: torch.randint(10, (batch,), generator=draw) for task in self.tasks}
        self.heads = nn.ModuleDict({task: nn.Linear(width, 10) for task in self.tasks})
        self.shared = dict(trunk.named_parameters())
        self.shared_bytes = sum(p.numel() * p.element_size() for p in trunk.parameters())
        self.optimizer = torch.optim.SGD([*trunk.parameters(), *self.heads.parameters()], lr=0.01, momentum=0.9)
        self.step()

    def losses(self) -> dict[str, Tensor]:
        """By task its loss, from one pass through the trunk."""
        features = self.trunk(self.x)
        return {t: nn.functional.cross_entropy(self.heads[t](features), self.y[t]) for t in self.tasks}

    def moment(self, losses: Callable[[], dict[str, Tensor]]) -> Moment:
        """The run as it is."""
        return Moment(self.tasks, losses, self.shared, 0.01, module=self.trunk)

    def step(self, watch: Watch | None = None) -> None:
        """One joint step, and a measurement where one is due."""
        losses = self.losses()
        if watch:
            watch(lambda: self.moment(self.losses if watch.name == "lookahead" else lambda: losses))
        torch.stack(list(losses.values())).sum().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def rate(self, estimator: Estimator | None) -> float:
        """Steps a second of processor time, of one thread."""
        watch = Watch(estimator, every=EVERY) if estimator else None
        with one_thread():
            begun = time.process_time()
            for _ in range(STEPS):
                self.step(watch)
            return STEPS / (time.process_time() - begun)


def _mlp() -> nn.Module:
    """784-512-512-512: 0.93 million shared weights, 46 thousand in heads."""
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()
    )


def _conv() -> nn.Module:
    """Three blocks of 32 channels with batch normalisation."""
    blocks = [
        (nn.Conv2d(channels, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2))
        for channels in (1, 32, 32)
    ]
    return nn.Sequential(*(module for block in blocks for module in block), nn.Flatten())


__all__ = ["Joint", "cost"]
