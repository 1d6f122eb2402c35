"""Small joint problems whose clusters are known, and quadratic losses."""

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pathways.affinity import Affinity, Moment, Watch
from pathways.affinity.moment import Estimator

TASKS = ("a1", "b1", "a2", "b2", "a3", "b3")  # two clusters of three, interleaved


class Clusters:
    """Six tasks of two clusters on one trunk: those of one cluster read nearly one direction of the inputs, orthogonal
    to that of the other. Heads begin near zero, since random ones pull the trunk in random directions at first; and
    they are measured while all still learn: what is left to learn later is each task's own noise.
    """

    def __init__(self, seed: int, samples: int = 96) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.x = torch.randn(samples, 8, generator=draw)
        apart = torch.linalg.qr(torch.randn(8, 2, generator=draw)).Q * 8**0.5
        directions = {name: apart[:, place] for place, name in enumerate("ab")}
        self.y = {}
        for task in TASKS:
            own = directions[task[0]] + 0.2 * torch.randn(8, generator=draw)
            self.y[task] = (torch.tanh(self.x @ own) > 0).long()
        self.trunk = nn.Sequential(nn.Linear(8, 16), nn.Tanh())
        self.heads = nn.ModuleDict({task: nn.Linear(16, 2) for task in TASKS})
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.copy_(0.4 * torch.randn(parameter.shape, generator=draw))
            for parameter in self.heads.parameters():
                parameter.mul_(0.1)

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.trunk.parameters(), *self.heads.parameters()]

    def losses(self) -> dict[str, Tensor]:
        features = self.trunk(self.x)
        return {t: nn.functional.cross_entropy(self.heads[t](features), self.y[t]) for t in TASKS}

    def moment(self, rate: float = 0.2) -> Moment:
        return Moment(TASKS, self.losses, dict(self.trunk.named_parameters()), rate)

    def train(self, steps: int = 40, each: Callable[[Callable[[], Moment]], object] = lambda moment: None) -> None:
        optimizer = torch.optim.SGD(self.parameters, lr=0.2)
        for _ in range(steps):
            each(self.moment)
            optimizer.zero_grad()
            torch.stack(list(self.losses().values())).sum().backward()
            optimizer.step()

    def watched(self, estimator: Estimator) -> Affinity:
        watch = Watch(estimator, every=10)
        self.train(each=watch)
        return watch.matrix()


def best_halves(affinity: Affinity) -> set[frozenset[str]]:
    """The two groups of three with the largest sum over tasks of the mean affinity from the others of their group."""
    z = affinity.of(TASKS).values

    def score(group: tuple[int, ...]) -> float:
        rest = tuple(i for i in range(6) if i not in group)
        return sum(float(np.mean([z[j, i] for i in g if i != j])) for g in (group, rest) for j in g)

    best = max(combinations(range(6), 3), key=score)
    return {frozenset(TASKS[i] for i in g) for g in (best, [i for i in range(6) if i not in best])}


TRUTH = {frozenset(("a1", "a2", "a3")), frozenset(("b1", "b2", "b3"))}


class Quadratic:
    """L_j(θ) = c_j + b_j θ + θ' H_j θ / 2 in double precision, and all that is worked out from it by hand."""

    def __init__(self, seed: int = 0, tasks: int = 3, size: int = 4) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.theta = torch.randn(size, generator=draw, dtype=torch.float64).requires_grad_()
        roots = torch.randn(tasks, size, size, generator=draw, dtype=torch.float64)
        self.h = roots @ roots.mT / size
        self.b = torch.randn(tasks, size, generator=draw, dtype=torch.float64)
        self.c = 20 + torch.arange(tasks, dtype=torch.float64)
        self.v = torch.randn(size, generator=draw, dtype=torch.float64)
        self.tasks = tuple("abcdef"[:tasks])

    def loss(self, j: int, theta: Tensor | None = None) -> Tensor:
        at = self.theta if theta is None else theta
        return self.c[j] + self.b[j] @ at + at @ self.h[j] @ at / 2

    def moment(self, rate: float = 0.05) -> Moment:
        losses: Mapping[str, Callable[[], Tensor]] = {t: (lambda j=j: self.loss(j)) for j, t in enumerate(self.tasks)}
        return Moment(
            self.tasks, losses, {"theta": self.theta}, rate, velocity={"theta": self.v}, momentum=0.9, weight_decay=0.02
        )

    def by_hand(self, rate: float, momentum: float = 0.0, decay: float = 0.0) -> NDArray[np.float64]:
        """1 - L'/L, by numpy alone."""
        theta, h, b, c, v = (x.detach().numpy() for x in (self.theta, self.h, self.b, self.c, self.v))

        def value(j: int, at: NDArray[np.float64]) -> float:
            return float(c[j] + b[j] @ at + at @ h[j] @ at / 2)

        n = len(self.tasks)
        z = np.empty((n, n))
        for i in range(n):
            stepped = theta - rate * (b[i] + h[i] @ theta + decay * theta + momentum * v)
            for j in range(n):
                z[j, i] = 1 - value(j, stepped) / value(j, theta)
        return z
