"""PathNet's grid: L layers of cells that share modules among paths, and what of it is frozen."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from pathways.candidate import Candidate, Result
from pathways.errors import ConfigError
from pathways.modules import Draft, Frozen, Init, ModuleRef, ModuleSpec, Port, Start, Warm
from pathways.path import Path, Step
from pathways.seeds import seed_of
from pathways.strategy import Champion, View, Winner

from .genotype import Genotype, active_cells
from .grid_settings import GridSettings, layers_for
from .paths import before_head, glue, head_spec

Cell = tuple[int, int]  # layer, index

_log = logging.getLogger("pathways.evolve")


class Grid:
    """The cells of one task's search: frozen, trained so far, or still at their start.

    Args:
        settings: the grid's size and modules.
        view: the task and its surroundings.
        champions: whose modules stand frozen in the grid; each tells its cells in `extra["grid"]`.

    Attributes:
        widths: the cells of each layer. A layer with fewer free cells than a path may draw grows.
        frozen: the frozen module of a cell. Paths may use it; nothing trains it.
        weights: the blob that a cell was last trained to, in this task.
        owners: the champion that first froze a cell.
        grew: how many cells each grown layer got for this task, by layer number.
    """

    def __init__(self, settings: GridSettings, view: View, champions: Mapping[str, Champion]) -> None:
        self.settings, self.view, self.task = settings, view, view.task
        self.frozen: dict[Cell, Frozen] = {}
        self.owners: dict[Cell, str] = {}
        self.weights: dict[Cell, str] = {}
        self._training = settings.training()
        self.head: Start = Init(seed_of(view.run, self.task.name, "head"))
        self._layers = layers_for(settings, self.task, view.families)
        self.widths = [settings.modules] * settings.layers
        for champion in champions.values():
            if "grid" in champion.extra:
                self._place(champion)
        self.grew = self._grow()

    def _place(self, champion: Champion) -> None:
        """Put a champion's modules into their cells; one whose cell is taken gets a new cell."""
        ports = champion.path.ports(self.view.families)
        placed = {ref.id for ref in self.frozen.values()}
        for layer, width in enumerate(champion.extra.get("widths", ())[: len(self._layers)]):
            self.widths[layer] = max(self.widths[layer], width)
        for text, blob in champion.extra["grid"].items():
            layer, index = map(int, text.split(","))
            step = champion.path.steps.get(f"layer{layer}")
            modules = step.modules if step else ()
            found = [ref for ref in modules if isinstance(ref, Frozen) and ref.id == blob]
            if not step or not found or layer >= len(self._layers):
                raise ConfigError(
                    f"the champion of {champion.task!r} has a module in grid cell {text!r} that does not fit "
                    f"a grid of {len(self._layers)} layers: use the settings that it was learned with."
                )
            self._check(layer, ports[step.reads[0]], ports[f"layer{layer}"], champion.task)
            if blob in placed:
                continue
            if (layer, index) in self.frozen:
                index = self.widths[layer]
            self.widths[layer] = max(self.widths[layer], index + 1)
            self.frozen[layer, index] = found[0]
            self.owners[layer, index] = champion.task

    def _check(self, layer: int, reads: Port, output: Port, owner: str) -> None:
        """A frozen module was made for the ports of its own path: they must be those of this task, too."""
        here = self._layers[layer]
        if (reads, output) != (here.reads, here.output):
            raise ConfigError(
                f"layer {layer} of the grid must read {here.reads} and give {here.output} for task "
                f"{self.task.name!r}, found {reads} and {output} where {owner!r} froze its modules: one grid "
                f"serves tasks of equal input ports and module settings."
            )

    def _grow(self) -> dict[str, int]:
        grew = {}
        for layer, width in enumerate(self.widths):
            free = width - sum(1 for cell in self.frozen if cell[0] == layer)
            more = self.settings.active - free
            if more > 0:
                grew[str(layer)] = more
                self.widths[layer] = width + more
                _log.info("task %r: layer %d of the grid had %d free modules and grew by %d to %d",
                          self.task.name, layer, free, more, width + more)
        return grew

    # -- paths --------------------------------------------------------------------------------------------

    def module(self, cell: Cell) -> ModuleRef:
        """The module of a cell as it stands now."""
        if cell in self.frozen:
            return self.frozen[cell]
        layer, index = cell
        if cell in self.weights:
            start: Start = Warm(self.weights[cell])
        else:
            # from names only, so that contestants that use the cell share its start
            start = Init(seed_of(self.view.run, self.task.name, "cell", layer, index))
        return Draft(_name(cell), self._layers[layer].spec, start)

    def path(self, genotype: Genotype) -> Path:
        """The task's path through the cells of `genotype`, frozen modules first in each layer."""
        steps: dict[str, Step] = {}
        last = next(iter(self.task.inputs))
        for layer, cells in enumerate(active_cells(genotype)):
            last = _convert(steps, self._layers[layer].converter, layer, last)
            refs = [self.module((layer, index)) for index in cells]
            refs.sort(key=lambda ref: not isinstance(ref, Frozen))
            steps[f"layer{layer}"] = Step(tuple(refs), (last,), self._layers[layer].combine)
            last = f"layer{layer}"
        for converter in before_head(self.task.target, self._layers[-1].output):
            last = _convert(steps, converter, len(self._layers), last)
        steps["head"] = Step((Draft("head", head_spec(self.task.target), self.head),), (last,))
        return Path(self.task.inputs, steps, "head")

    def candidate(self, genotype: Genotype, order: int, labels: Mapping[str, Any], keep: str = "all") -> Candidate:
        """The candidate that trains the path of `genotype` for one generation from the grid as it stands.

        `order` names the data order. The labels get the genotype, the champions it builds on and growth. `keep` says
        which blobs are wanted, as in `Candidate`.
        """
        notes = {"strategy": self.settings.name, **labels, "genotype": [list(genes) for genes in genotype],
                 "parents": list(self.parents(genotype))}
        if self.grew:
            notes["grew"] = dict(self.grew)
        name, data = self.task.name, self.task.fingerprint
        return Candidate({name: self.path(genotype)}, self._training, {name: data},
                         run=self.view.run, order=order, labels=notes, keep=keep)

    def cells(self, genotype: Genotype) -> list[Cell]:
        """The cells that `genotype` uses."""
        return [(layer, index) for layer, cells in enumerate(active_cells(genotype)) for index in cells]

    def parents(self, genotype: Genotype) -> tuple[str, ...]:
        """The champions whose frozen modules the path uses."""
        return tuple(dict.fromkeys(self.owners[cell] for cell in self.cells(genotype) if cell in self.owners))

    def write(self, genotype: Genotype, result: Result) -> None:
        """Let a path's trained modules and head stay in the grid; a failed result changes nothing.

        What was not kept, since a fitter path trained the same cell, is left out.
        """
        if not result.ok:
            return
        for cell in self.cells(genotype):
            if cell not in self.frozen and _name(cell) in result.blobs:
                self.weights[cell] = result.blobs[_name(cell)]
        if "head" in result.blobs:
            self.head = Warm(result.blobs["head"])

    def winner(self, genotype: Genotype, candidate: Candidate, result: Result, generations: int) -> Winner:
        """The winner as it was measured, with what the next task's grid must know of it."""
        extra = {
            "grid": {f"{cell[0]},{cell[1]}": self._blob(cell, result) for cell in self.cells(genotype)},
            "genotype": [list(genes) for genes in genotype],
            "widths": list(self.widths),
            "grew": dict(self.grew),
            "generations": generations,
            "reached": self.settings.reached(fitness(result)),
        }
        return Winner(candidate.trained_paths(result), candidate, result, self.parents(genotype), extra)

    def _blob(self, cell: Cell, result: Result) -> str:
        return self.frozen[cell].id if cell in self.frozen else result.blobs[_name(cell)]


def fitness(result: Result) -> float:
    """The fitness that tournaments compare: minus infinity where training failed."""
    return result.fitness if result.ok and not math.isnan(result.fitness) else -math.inf


def _name(cell: Cell) -> str:
    return f"l{cell[0]}m{cell[1]}"


def _convert(steps: dict[str, Step], spec: ModuleSpec | None, layer: int, last: str) -> str:
    """Put the converter, where one is needed, before a layer; the name of the step to read."""
    if spec is None:
        return last
    name = f"{spec.family}{layer}"
    steps[name] = Step((glue(name, spec),), (last,))
    return name
