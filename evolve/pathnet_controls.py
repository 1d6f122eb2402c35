"""What PathNet is compared with: single paths of its grid, trained without evolution.

They train one candidate of T minibatches in each generation until the threshold. So generations compare with
PathNet's, whose tournaments train two. Reference: Fernando et al. 2017, arXiv 1701.08734, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import ClassVar

from pathways.candidate import Candidate, Result
from pathways.path import Path
from pathways.seeds import numpy_generator
from pathways.strategy import View, Winner

from .genotype import Genotype, random_genotype
from .grid import Grid, fitness
from .grid_settings import GridSettings
from .paths import on_trunk_of


@dataclass(frozen=True)
class RandomPath(GridSettings):
    """Train one random path for each task: what PathNet does without evolution.

    Args:
        reuse: whether the path is drawn from the grid that earlier champions left, frozen modules included.
            By default it starts from nothing.

    The other arguments are those of `GridSettings`.
    """

    name: str = "random-path"
    reuse: bool = False

    def begin(self, view: View) -> PathSearch:
        """Draw the path and start to train it."""
        # a control may run when later tasks, or this one, have champions already
        earlier = list(takewhile(lambda name: name != view.task.name, view.champions))
        grid = Grid(self, view, {name: view.champions[name] for name in earlier if self.reuse})
        return PathSearch(grid, _random(self, grid, view))


@dataclass(frozen=True)
class PathNetFineTune(GridSettings):
    """Draw one random path for the first task and go on training its modules in every later one.

    Each task gets a head of its own; earlier tasks keep theirs behind modules that have moved on, so they
    are forgotten. The arguments are those of `GridSettings`.
    """

    sequential: ClassVar[bool] = True

    name: str = "pathnet-fine-tune"

    def begin(self, view: View) -> PathSearch:
        """Start from the modules that the last task left (`view.memory`), or from a random path."""
        grid = Grid(self, view, {})
        if view.memory is None:
            return PathSearch(grid, _random(self, grid, view), lambda winner: _remembered(winner, {}))
        for text, blob in view.memory["grid"].items():
            layer, index = map(int, text.split(","))
            grid.weights[layer, index] = blob
        genotype = tuple(tuple(genes) for genes in view.memory["genotype"])
        earlier = {task: Path.from_json(path) for task, path in view.memory["paths"].items()}
        return PathSearch(grid, genotype, lambda winner: _remembered(winner, earlier))


def _random(settings: GridSettings, grid: Grid, view: View) -> Genotype:
    rng = numpy_generator(view.run, view.task.name, settings.name)
    return random_genotype(grid.widths, settings.active, rng)


def _remembered(winner: Winner, earlier: dict[str, Path]) -> Winner:
    """The winner with the earlier tasks' paths on its trunk, and what the next task starts from."""
    (path,) = winner.paths.values()
    revised = {task: on_trunk_of(old, path) for task, old in earlier.items() if task not in winner.paths}
    memory = {
        "grid": winner.extra["grid"],
        "genotype": winner.extra["genotype"],
        "paths": {task: p.to_json() for task, p in {**revised, **winner.paths}.items()},
    }
    return replace(winner, revised=revised, memory=memory)


class PathSearch:
    """Trains one path of a grid, a generation at a time, each from the weights that the last one left."""

    def __init__(
        self, grid: Grid, genotype: Genotype, finish: Callable[[Winner], Winner] = lambda winner: winner
    ) -> None:
        self.grid, self.genotype = grid, genotype
        self._finish = finish
        self._best: tuple[Candidate, Result] | None = None
        self.generation = 0
        self.finished = False

    def ask(self) -> list[Candidate]:
        """The path from the weights that it has now."""
        if self.finished:
            return []
        labels = {"number": self.generation, "generation": self.generation, "mutations": []}
        return [self.grid.candidate(self.genotype, self.generation, labels)]

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """Take the generation's result; the weights stay unless it failed."""
        ((candidate, result),) = results
        self.grid.write(self.genotype, result)
        if result.ok and (self._best is None or fitness(result) >= fitness(self._best[1])):
            self._best = (candidate, result)
        self.generation += 1
        settings = self.grid.settings
        self.finished = self.generation >= settings.generations or settings.reached(fitness(result))

    def best(self) -> Winner | None:
        """The fittest generation as it was measured; of equals the latest."""
        if self._best is None:
            return None
        return self._finish(self.grid.winner(self.genotype, *self._best, self.generation))
