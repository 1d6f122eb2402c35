"""What a record tells of PathNet's grid: who competed in each generation, through which cells, and what was frozen.

Reference: Fernando et al. 2017, "PathNet: Evolution Channels Gradient Descent in Super Neural Networks",
arXiv 1701.08734.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pathways.errors import ConfigError

Cell = tuple[int, int]
"""A layer and an index in it, both from 0."""


@dataclass(frozen=True)
class Contestant:
    """A path that competed in one generation.

    Args:
        generation: from 0.
        slot: its place in the population.
        cells: those that it goes through.
        fitness: minus infinity where it failed.
        fittest: whether no other of its generation was fitter.
    """

    generation: int
    slot: int
    cells: frozenset[Cell]
    fitness: float
    fittest: bool


@dataclass(frozen=True)
class GridTask:
    """The grid as one task found it, what it tried, and what it froze.

    Args:
        task: its name.
        place: how many tasks were learned before it, whatever found them: it decides the task's colour.
        widths: the cells of each layer.
        combine: how the outputs of each layer combine, `sum` or `mean`.
        frozen: the cells that earlier tasks had frozen, each with the task that did.
        begun_anew: the cells that the task before had trained and not frozen.
        contestants: all that competed, generation by generation; of equal paths in one generation one.
        path: the cells of its champion.
        grew: how many cells were added for it in each layer that grew.
        generations: how many there were.
        reached: whether the threshold ended the search.
        validation: the champion's measure on validation data; `metric` is its name.
    """

    task: str
    place: int
    widths: tuple[int, ...]
    combine: tuple[str, ...]
    frozen: Mapping[Cell, str]
    begun_anew: frozenset[Cell]
    contestants: tuple[Contestant, ...]
    path: frozenset[Cell]
    grew: Mapping[int, int]
    generations: int
    reached: bool
    validation: float
    metric: str

    @property
    def trained(self) -> frozenset[Cell]:
        """The cells that contestants have trained: those on their paths that were not frozen before."""
        return frozenset(cell for each in self.contestants for cell in each.cells) - set(self.frozen)

    def drawn(self) -> tuple[Contestant, ...]:
        """The first path of each slot that competed: what the population was drawn as."""
        return tuple({each.slot: each for each in reversed(self.contestants)}.values())[::-1]

    def between(self, first: float, last: float) -> tuple[Contestant, ...]:
        """Those of a part of the search, from `first` to `last` of its generations (0 to 1), of one at least."""
        begin = min(math.floor(first * self.generations), self.generations - 1)
        end = max(math.ceil(last * self.generations), begin + 1)
        return tuple(each for each in self.contestants if begin <= each.generation < end)


def shares(contestants: Sequence[Contestant]) -> dict[Cell, float]:
    """For each cell that any of them goes through, the share of them that do.

    >>> one, two = (Contestant(0, slot, frozenset({(0, 0), (0, slot)}), 0.5, False) for slot in (1, 2))
    >>> shares([one, two]) == {(0, 0): 1.0, (0, 1): 0.5, (0, 2): 0.5}
    True
    """
    counts: dict[Cell, int] = {}
    for each in contestants:
        for cell in each.cells:
            counts[cell] = counts.get(cell, 0) + 1
    return {cell: counts[cell] / len(contestants) for cell in sorted(counts)}


def grid_record(system: Any) -> tuple[GridTask, ...]:
    """The grid's record, one entry for each task that was learned with PathNet, in the order learned.

    Everything comes from manifests and the ledger; nothing is measured, no weights are read.

    Args:
        system: a `pathways.System`.

    Raises:
        ConfigError: no task was learned with PathNet, so there is no grid.
    """
    found: list[GridTask] = []
    cells: dict[str, Cell] = {}
    owners: dict[Cell, str] = {}
    for place, (name, brief) in enumerate(system.briefs.items()):
        champion = system.champions[name]
        if not isinstance(champion.extra.get("grid"), Mapping):
            continue
        own = {_cell(text): str(blob) for text, blob in champion.extra["grid"].items()}
        before, widths = dict(owners), [int(width) for width in champion.extra["widths"]]
        _place(own, name, widths, cells, owners)
        rows = [row for row in system.ledger.rows(name, brief.strategy) if "genotype" in row.labels]
        always = set(own) - _active(champion.extra["genotype"])  # a variant goes through all that is frozen
        steps = champion.path.steps
        found.append(
            GridTask(
                name, place, tuple(widths), tuple(str(steps[f"layer{i}"].combine) for i in range(len(widths))),
                before, found[-1].trained - set(before) if found else frozenset(),
                _contestants(rows, frozenset(before) if always else frozenset()), frozenset(own),
                {int(layer): int(more) for layer, more in champion.extra.get("grew", {}).items()},
                int(champion.extra["generations"]), bool(champion.extra["reached"]), brief.validation, brief.metric,
            )
        )  # fmt: skip
    if not found:
        tried = sorted({brief.strategy for brief in system.briefs.values()})
        raise ConfigError(
            f"a system must have a task that was learned with PathNet to have a grid, found {len(system.briefs)} "
            f"learned with {tried}: look at its paths instead."
        )
    return tuple(found)


def _place(
    own: Mapping[Cell, str], task: str, widths: list[int], cells: dict[str, Cell], owners: dict[Cell, str]
) -> None:
    """Note who froze which cell; what two tasks that were learned at once froze in one cell stands in two."""
    for cell, blob in own.items():
        if blob in cells:
            continue
        layer, index = cell
        if cell in owners:
            index = max([widths[layer] - 1, *(i for at, i in owners if at == layer)]) + 1
        cells[blob] = (layer, index)
        owners[layer, index] = task


def _contestants(rows: Iterable[Any], always: frozenset[Cell]) -> tuple[Contestant, ...]:
    ordered = sorted(rows, key=lambda row: (row.labels["generation"], row.labels["number"]))
    found: list[Contestant] = []
    for generation, group in groupby(ordered, key=lambda row: int(row.labels["generation"])):
        together = list(group)
        fitness = [row.result.fitness if row.result.ok else -math.inf for row in together]
        # of equal ones that of the lower hash wins, as in the tournament
        best = min(range(len(together)), key=lambda i: (-fitness[i], together[i].hash))
        for i, row in enumerate(together):
            cells = frozenset(_active(row.labels["genotype"])) | always
            found.append(Contestant(generation, int(row.labels.get("slot", 0)), cells, fitness[i], i == best))
    return tuple(found)


def _active(genotype: Iterable[Iterable[int]]) -> set[Cell]:
    return {(layer, int(gene)) for layer, genes in enumerate(genotype) for gene in genes}


def _cell(text: str) -> Cell:
    layer, _, index = text.partition(",")
    return int(layer), int(index)


__all__ = ["Cell", "Contestant", "GridTask", "grid_record", "shares"]
