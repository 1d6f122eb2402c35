"""The transfers to one target: readouts of frozen features, alone and side by side, and what they are beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pathways.errors import ConfigError
from pathways.seeds import seed_of, torch_generator
from pathways.task import Task
from pathways.trainer.samples import prepare, rows

from .encoders import called, encoded, fits, untrained
from .readout import Readout, Scaling, fit, item_losses
from .tournament import JOIN, PIXELS, RANDOM, SELF, transfer_from_losses

Array = NDArray[np.float64]
BEST = 5
"""Of how many of the best first-order sources all subsets are tried (Taskonomy's number)."""


@dataclass(eq=False)
class Target:
    """One target: its samples, and the standardised features of each source, computed when first read.

    Args:
        task: the target.
        networks: encoders by name.
        random: an untrained encoder; `None` draws one anew for each seed.
        readout: how readouts are made and trained.
        known: features of training and held-out samples by source.

    Raises:
        ConfigError: no encoder reads the task's inputs.
    """

    task: Task
    networks: Mapping[str, nn.Module]
    random: nn.Module | None
    readout: Readout
    known: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.train, self.held_out = prepare(self.task, "train"), prepare(self.task, "validation")
        self.sources = [name for name, module in self.networks.items() if fits(module, self.task)]
        if not self.sources:
            raise ConfigError(
                f"at least one encoder must read the inputs of task {self.task.name!r}, {dict(self.task.inputs)}: "
                f"found none."
            )

    def measured(
        self, full: Mapping[str, nn.Module], orders: tuple[int, ...], seeds: tuple[int, ...], pixels: bool
    ) -> list[dict[str, Array]]:
        """The losses of all sources, for each seed."""
        first: list[dict[str, Array]] = []
        for seed in seeds:
            losses = {source: self.losses((source,), seed) for source in self.sources}
            losses[RANDOM] = self.of_features(self.features(self.untrained(seed)), seed, RANDOM)
            if self.task.name in full and fits(full[self.task.name], self.task):
                losses[SELF] = self.of_network(full[self.task.name])
            first.append(losses)
        affinity = transfer_from_losses(*({self.task.name: losses} for losses in first))
        others = [source for source in self.sources if source != self.task.name]
        ranked = sorted(others, key=lambda source: -affinity[self.task.name, source])
        for seed, losses in zip(seeds, first, strict=True):
            for group in higher_orders(ranked, orders):
                ordered = tuple(source for source in self.sources if source in group)
                losses[JOIN.join(ordered)] = self.losses(ordered, seed)
            if pixels:
                losses[PIXELS] = self.from_inputs(seed)
        return first

    def losses(self, sources: tuple[str, ...], seed: int) -> Array:
        """The held-out losses of a readout of these sources' features, side by side."""
        for source in sources:
            if source not in self.known:
                self.known[source] = self.features(self.networks[source])
        parts = zip(*(self.known[source] for source in sources), strict=True)
        train, held_out = (torch.cat(each, 1) / len(sources) ** 0.5 for each in parts)  # again of length 1
        return self.of_features((train, held_out), seed, *sources)

    def features(self, module: nn.Module) -> tuple[Tensor, Tensor]:
        """The standardised features of training and held-out samples."""
        train = encoded(module, self.train.values)
        scaling = Scaling.of(train)
        return scaling(train), scaling(encoded(module, self.held_out.values))

    def of_features(self, both: tuple[Tensor, Tensor], seed: int, *names: str) -> Array:
        """The held-out losses of a readout that is trained on features."""
        train, held_out = both
        generator = torch_generator("transfer", "readout", self.task.name, seed, *names)
        model = self.readout.network(train.shape[1], self.task.target.n, generator)
        optimizer = self.readout.descent(model, self.task)
        fit(optimizer, lambda index: model(train[index]), self.task, self.train.targets, self.batches(seed))
        with torch.no_grad():
            return item_losses(self.task, model(held_out), self.held_out.targets)

    def of_network(self, network: nn.Module) -> Array:
        """The held-out losses of a full network."""
        return item_losses(self.task, encoded(network, self.held_out.values), self.held_out.targets)

    def from_inputs(self, seed: int) -> Array:
        """The held-out losses of a network that is trained whole on the readouts' batches."""
        trunk = deepcopy(self.untrained(seed)).requires_grad_(True).train()
        dim = encoded(trunk, rows(self.train.values, slice(0, 1))).shape[1]
        names = ("transfer", PIXELS, self.task.name, seed)
        head = self.readout.network(dim, self.task.target.n, torch_generator(*names))

        def read(index: Tensor) -> Tensor:
            found: Tensor = head(called(trunk, rows(self.train.values, index)))
            return found

        with torch.random.fork_rng(devices=[]):  # dropout of torch's layers draws from the global generator
            torch.default_generator.manual_seed(seed_of(*names))
            optimizer = self.readout.descent_from_inputs(nn.ModuleList([trunk, head]))
            fit(optimizer, read, self.task, self.train.targets, self.batches(seed))
        with torch.no_grad():
            return item_losses(self.task, head(encoded(trunk, self.held_out.values)), self.held_out.targets)

    def untrained(self, seed: int) -> nn.Module:
        """The untrained encoder of a repeat."""
        if self.random is not None:
            return self.random
        like = self.task.name if self.task.name in self.sources else self.sources[0]
        return untrained(self.networks[like], "transfer", RANDOM, self.task.name, seed)

    def batches(self, seed: int) -> Tensor:
        """The batches of a repeat, the same for all sources."""
        return self.readout.batches(len(self.train), torch_generator("transfer", "batches", self.task.name, seed))


def higher_orders(ranked: Sequence[str], orders: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """The sets of sources that higher-order transfers read, from sources in the order of their first-order affinity.

    >>> list(higher_orders(["a", "b", "c"], [2]))
    [('a', 'b'), ('a', 'c'), ('b', 'c')]
    >>> [len(list(higher_orders([*"abcdefgh"], [k]))) for k in (2, 3, 4, 5, 6, 9)]
    [10, 10, 5, 1, 1, 0]
    """
    for order in orders:
        if order <= BEST:
            yield from combinations(ranked[:BEST], order)
        elif order <= len(ranked):
            yield tuple(ranked[:order])


__all__ = ["Target", "higher_orders"]
