"""How one-sided help is: the distance between the two directions of each pair."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pathways.affinity.findings import Findings
from pathways.canvas import styled

from .colours import SEQUENTIAL
from .dendrogram import order
from .grid import Scale, grid_figure
from .heatmap import exponent, times, value_texts
from .structure import asymmetry as cells_and_index
from .structure import pairs


def asymmetry(findings: Findings) -> Figure:
    """`|Z_ij − Z_ji|`, in the order of the tree; symmetric estimators leave it empty of colour."""
    at = order(findings)
    cells = cells_and_index(pairs(findings.affinity, findings.tasks))[0][np.ix_(at, at)]
    names = [findings.tasks[i] for i in at]
    unit = f"|Z_ij − Z_ji| {times(cells)}"
    shown = cells / 10.0 ** exponent(cells)
    top = float(np.max(shown, where=np.isfinite(shown), initial=0.0)) or 1.0
    with styled():
        return grid_figure(
            shown, names, names, Scale(SEQUENTIAL, 0.0, top, unit), value_texts(cells), axis_names=("task i", "task j")
        )


__all__ = ["asymmetry"]
