"""How often each pair is grouped when seeds and moments are drawn again."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pathways.affinity.findings import Findings
from pathways.canvas import styled

from .colours import SEQUENTIAL
from .dendrogram import order
from .grid import Scale, grid_figure
from .structure import serving

SHARE = Scale(SEQUENTIAL, 0.0, 100.0, "together, % of samples")


def stability(findings: Findings) -> Figure | None:
    """The share of bootstrap samples in which two tasks are in one network, in the order of the tree.

    Frames hold the pairs that the chosen networks group; a grouping that stands shows dark inside and light outside.
    `None` where nothing could be drawn again.
    """
    at = order(findings)
    names = [findings.tasks[i] for i in at]
    shown = 100 * findings.stability[np.ix_(at, at)]
    np.fill_diagonal(shown, np.nan)
    if not np.isfinite(shown).any():
        return None
    texts = [[f"{cell:.0f}" for cell in row] for row in shown]
    together = serving(findings)
    framed = (together | together.T)[np.ix_(at, at)]
    framed |= np.diag(framed.any(axis=1))
    with styled():
        return grid_figure(shown, names, names, SHARE, texts, framed, axis_names=("task", "task"))


__all__ = ["SHARE", "stability"]
