"""The heatmap ordered by a tree: tasks that rank each other high stand side by side."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram as branches
from scipy.cluster.hierarchy import leaves_list

from pathways.affinity.findings import Findings
from pathways.canvas import styled
from pathways.palette import MUTED
from pathways.report.drawing import WIDTH

from .grid import WRITTEN, colour_bar, draw_grid, grid_size
from .heatmap import PLACE, value_texts
from .structure import pairs, serving, standardised, tree


def order(findings: Findings) -> list[int]:
    """The tasks in the order of the tree's leaves."""
    linked = tree(pairs(findings.affinity, findings.tasks))
    return [int(i) for i in leaves_list(linked)] if linked is not None else list(range(len(findings.tasks)))


def dendrogram(findings: Findings) -> Figure:
    """The heatmap under an average-linkage tree on rank affinity, averaged over both directions.

    Frames hold the pairs of which the column's task is trained in the network that serves the row's.
    """
    values = pairs(findings.affinity, findings.tasks)
    linked = tree(values)
    at = order(findings)
    names = [findings.tasks[i] for i in at]
    size = grid_size(len(at), len(at))
    with styled():
        figure = Figure(figsize=(WIDTH, size + 0.9 + (1.5 if len(at) > WRITTEN else 1.1)), layout="constrained")
        top, axes = figure.subplots(2, 1, sharex=True, height_ratios=[0.9, size])
        image = draw_grid(
            axes, standardised(values)[np.ix_(at, at)], names, names, PLACE,
            value_texts(values[np.ix_(at, at)]), serving(findings)[np.ix_(at, at)] | _own(findings, at),
        )  # fmt: skip
        axes.set(ylabel="affected task", xlabel="source")
        if linked is not None:
            drawn = branches(linked, no_plot=True)
            for x, y in zip(drawn["icoord"], drawn["dcoord"], strict=True):
                top.plot((np.array(x) - 5) / 10, y, color=MUTED, linewidth=1.2, solid_joinstyle="miter")
            top.set_ylim(-0.03 * max(1e-9, float(linked[:, 2].max())), None)  # else a join at 0 is cut in half
        top.set_ylabel("1 − rank\naffinity", fontsize=7.5)
        top.tick_params(axis="x", which="both", length=0, labelbottom=False)
        top.tick_params(axis="y", length=2, labelsize=7)
        top.spines["bottom"].set_visible(False)
        colour_bar(figure, image, [top, axes], PLACE.label)
    return figure


def _own(findings: Findings, at: list[int]) -> np.ndarray:
    """The diagonal of tasks that share their network: a frame around a group holds its members' own cells too."""
    return np.diag(np.asarray(serving(findings).any(axis=1))[at])


__all__ = ["dendrogram", "order"]
