"""PathNet whose frozen modules are all active in every later path, as in the public re-run of its MNIST result.

Reference: Fernando et al. 2017, arXiv 1701.08734, where frozen modules are used if a path's genes name them; the
re-run https://github.com/jsikyoon/pathnet, which adds them to every path "for generating more dramatic results".
"""

from __future__ import annotations

from dataclasses import dataclass

from pathways.path import Path
from pathways.strategy import View

from .genotype import Genotype
from .grid import Cell, Grid
from .pathnet import PathNet, PathNetSearch


@dataclass(frozen=True)
class PathNetAlways(PathNet):
    """PathNet, with all frozen modules of a layer in each path beside those that its genes name.

    So a later task's paths hold more modules than a first one's: what that alone does can be seen where the first
    task was not trained. The arguments are those of `PathNet`.

    Example:
        >>> PathNetAlways.preset("pathnet-2017-author", lr=0.05).name
        'pathnet-always'
    """

    name: str = "pathnet-always"

    def begin(self, view: View) -> PathNetSearch:
        """Start the search for one task, on the grid that earlier champions left."""
        search = PathNetSearch(self, view)
        search.grid = _AlwaysGrid(self, view, view.champions)
        return search


class _AlwaysGrid(Grid):
    """A grid whose paths go through all its frozen cells, whatever their genotype."""

    def path(self, genotype: Genotype) -> Path:
        """The task's path through the cells of `genotype` and all frozen ones."""
        return super().path(self._with_frozen(genotype))

    def cells(self, genotype: Genotype) -> list[Cell]:
        """The cells that `genotype` names, and all frozen ones."""
        return super().cells(self._with_frozen(genotype))

    def _with_frozen(self, genotype: Genotype) -> Genotype:
        frozen = [tuple(index for at, index in self.frozen if at == layer) for layer in range(len(genotype))]
        return tuple(genes + more for genes, more in zip(genotype, frozen, strict=True))
