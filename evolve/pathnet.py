"""PathNet: evolution finds which modules of a shared grid a task's path uses; the winner's are frozen.

Reference: Fernando et al. 2017, "PathNet: Evolution Channels Gradient Descent in Super Neural Networks",
arXiv 1701.08734, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathways.candidate import Candidate, Result
from pathways.errors import ConfigError
from pathways.modules.near import did_you_mean
from pathways.seeds import numpy_generator
from pathways.strategy import View, Winner

from .genotype import Genotype, changes, mutate, random_genotype
from .grid import Grid, fitness
from .grid_settings import GridSettings
from .presets import preset
from .settings import whole_number

TOURNAMENTS = ("fair", "sequential", "population")


@dataclass(frozen=True)
class PathNet(GridSettings):
    """Evolve a path through a grid of shared modules, freeze it, and let later tasks build on it.

    A population of genotypes is drawn. In each generation contestants train their paths for T minibatches; in
    each pair the loser becomes a mutated copy of the winner. The search ends when a winner reaches the
    threshold, or with the last generation. The best path is frozen; for the next task all other modules
    start anew, and frozen ones stay selectable. A layer with fewer free modules than a path may draw grows.

    Args:
        population: P, how many genotypes there are.
        tournament: who trains in one generation, and what stays in the grid:
            `fair`: two genotypes start from the same weights and see the same batches; the winner's stay.
            `sequential` (the paper): two genotypes, the second starts from weights that the first has just
            trained, on batches of its own; both stay.
            `population`: all genotypes train copies of one snapshot on the same batches; on each cell the
            fittest path that used it writes back, and all are paired at random.

    The other arguments are those of `GridSettings`. Exact ties are decided by a seeded coin.

    Example:
        >>> PathNet.preset("pathnet-2017-text", generations=20).population
        64
    """

    name: str = "pathnet"
    population: int = 64
    tournament: str = "fair"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole_number("population", self.population, 2)
        if self.tournament not in TOURNAMENTS:
            near = did_you_mean(self.tournament, TOURNAMENTS, ".")
            raise ConfigError(f"`tournament` must be one of {TOURNAMENTS}, found {self.tournament!r}{near}")

    @classmethod
    def preset(cls, name: str, **changed: Any) -> PathNet:
        """The named settings of `evolve.presets`, with changes."""
        return cls(**{**preset(name), **changed})

    def begin(self, view: View) -> PathNetSearch:
        """Start the search for one task, on the grid that earlier champions left."""
        return PathNetSearch(self, view)


class PathNetSearch:
    """One task's search. `population`, `grid` and `generation` may be looked at while it runs."""

    def __init__(self, settings: PathNet, view: View) -> None:
        self.settings = settings
        self.grid = Grid(settings, view, view.champions)
        self._rng = numpy_generator(view.run, view.task.name, settings.name)
        self.population = [
            random_genotype(self.grid.widths, settings.active, self._rng) for _ in range(settings.population)
        ]
        self._mutations: list[list[list[int]]] = [[] for _ in self.population]
        self._best: tuple[Genotype, Candidate, Result] | None = None
        self.generation = 0
        self.finished = False
        self._contestants = self._draw()
        self._told: list[tuple[Candidate, Result]] = []

    def ask(self) -> list[Candidate]:
        """The contestants of this generation; with `sequential` one after the other."""
        if self.finished:
            return []
        waiting = range(len(self._told), len(self._contestants))
        return [self._candidate(place) for place in (waiting[:1] if self._in_turn else waiting)]

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """Take the contestants' results; when all are there, the generation ends."""
        if self._in_turn:
            self.grid.write(self.population[self._contestants[len(self._told)]], results[0][1])
        self._told.extend(results)
        if len(self._told) == len(self._contestants):
            self._end_generation()

    def best(self) -> Winner | None:
        """The fittest winner as it was measured, of equals the latest: the one that reached the threshold."""
        if self._best is None:
            return None
        return self.grid.winner(*self._best, self.generation)

    @property
    def _in_turn(self) -> bool:
        return self.settings.tournament == "sequential"

    def _draw(self) -> list[int]:
        """The population's places that compete in this generation, in pairs."""
        places = self._rng.permutation(self.settings.population)
        return [int(place) for place in (places if self.settings.tournament == "population" else places[:2])]

    def _candidate(self, place: int) -> Candidate:
        slot = self._contestants[place]
        several = len(self._contestants)
        labels = {
            "number": self.generation * several + place, "generation": self.generation, "slot": slot,
            "mutations": self._mutations[slot],
        }
        # contestants that train one after the other must not see the same batches twice
        order = self.generation * several + place if self._in_turn else self.generation
        keep = "all" if self._in_turn else "fittest"  # a cell is written by the fittest path that used it
        return self.grid.candidate(self.population[slot], order, labels, keep)

    def _end_generation(self) -> None:
        ranks = self._ranks()
        by_rank = sorted(range(len(ranks)), key=ranks.__getitem__)
        self._write_back(by_rank)
        for first in range(0, len(ranks) - 1, 2):
            pair = (first, first + 1)
            self._replace_loser(min(pair, key=ranks.__getitem__), max(pair, key=ranks.__getitem__))
        self.generation += 1
        self.finished |= self.generation >= self.settings.generations
        self._contestants, self._told = self._draw(), []

    def _ranks(self) -> list[int]:
        """The rank of each contestant, 0 the fittest; a seeded coin decides among equals.

        Of different paths their hash is the coin, which covers the run's seed: so trainers know who wins. Of equal
        paths another one is.
        """
        coin = self._rng.permutation(len(self._told))
        hashes = np.unique([candidate.hash for candidate, _ in self._told], return_inverse=True)[1]
        scores = np.array([fitness(result) for _, result in self._told])
        order = np.lexsort((coin, hashes, -scores))
        return [int(rank) for rank in np.argsort(order)]

    def _write_back(self, by_rank: list[int]) -> None:
        """Let weights stay in the grid, the fittest's last, and remember the best path."""
        winner = by_rank[0]
        writers = {"fair": [winner], "sequential": [], "population": by_rank[::-1]}[self.settings.tournament]
        for place in writers:
            self.grid.write(self.population[self._contestants[place]], self._told[place][1])
        candidate, result = self._told[winner]
        if result.ok and (self._best is None or fitness(result) >= fitness(self._best[2])):
            self._best = (self.population[self._contestants[winner]], candidate, result)
        self.finished = self.settings.reached(fitness(result))

    def _replace_loser(self, winner: int, loser: int) -> None:
        parent = self.population[self._contestants[winner]]
        child = mutate(parent, self.grid.widths, self._rng)
        slot = self._contestants[loser]
        self.population[slot] = child
        self._mutations[slot] = changes(parent, child)
