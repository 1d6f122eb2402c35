"""Verified gains: chosen, all-in-one and random groupings against a network for each task."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pathways.affinity.evidence import Estimate, mean_over
from pathways.affinity.findings import Findings
from pathways.canvas import literal, styled
from pathways.palette import FAINT, INK, PAPER
from pathways.report.drawing import WIDTH, label_rows, legend_above
from pathways.text import PERCENT, short_names

from .colours import MARKS, WAYS
from .verified import ALONE, CHOSEN, TOGETHER, arm, by_task, difference, random_gains, randoms

Array = NDArray[np.float64]
MEAN = "mean over tasks"


def gains(findings: Findings) -> Figure | None:
    """Each task's gain against its own network, and the mean; bars are 95 % intervals over seeds, paired.

    The grey bar spans the random groupings, its tick their median. `None` where nothing was verified.
    """
    if arm(findings, ALONE) is None:
        return None
    names = short_names(findings.tasks, longest=24)
    labels = [MEAN, *(names[task] for task in findings.tasks)]
    scale = 100.0 if findings.metric in PERCENT else 1.0
    with styled():
        figure = Figure(figsize=(WIDTH, 1.0 + 0.34 * len(labels)), layout="constrained")
        axes = figure.add_subplot()
        axes.axvline(0, color=WAYS[ALONE], linewidth=1.6, label="separate", zorder=1)
        _random_bars(axes, findings, scale)
        for name, shift in ((TOGETHER, 0.16), (CHOSEN, -0.16)):
            each = by_task(findings, name, ALONE)
            mean = difference(findings, name, ALONE)
            if mean is not None:
                _dots(axes, [mean, *(each[task] for task in findings.tasks)], name, shift, scale)
        label_rows(axes, labels)
        axes.get_yticklabels()[0].set_fontweight("bold")
        axes.axhline(0.5, color=INK, linewidth=0.7)
        axes.set_xlabel(literal(f"gain against separate (test {findings.metric}, {findings.unit or 'difference'})"))
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        axes.margins(x=0.05)
        legend_above(axes, 4, gap=0.6)
    return figure


def random_by_task(findings: Findings) -> Array:
    """(random groupings, tasks): gains against separate, the mean over seeds."""
    found = [mean_over(findings.gain(random, ALONE), 0) for random in randoms(findings)]
    return np.array(found, dtype=np.float64).reshape(len(found), len(findings.tasks))


def _dots(axes: Axes, found: list[Estimate], name: str, shift: float, scale: float) -> None:
    rows = np.arange(len(found)) + shift
    for row, estimate in zip(rows, found, strict=True):
        if estimate.sure:
            axes.plot(
                [estimate.low * scale, estimate.high * scale], [row, row], color=WAYS[name], linewidth=1.4, zorder=3,
                solid_capstyle="butt",
            )  # fmt: skip
    axes.plot(
        [estimate.value * scale for estimate in found], rows, MARKS[name], color=WAYS[name], markersize=6.5,
        markeredgecolor=PAPER, markeredgewidth=0.7, zorder=4, label=name,
    )  # fmt: skip


def _random_bars(axes: Axes, findings: Findings, scale: float) -> None:
    if not randoms(findings):
        return
    columns = [random_gains(findings), *random_by_task(findings).T]
    label: str | None = f"random, {len(randoms(findings))} grouping{'s' if len(randoms(findings)) > 1 else ''}"
    for row, values in enumerate(columns):
        known = values[np.isfinite(values)] * scale
        if len(known):
            axes.plot([known.min(), known.max()], [row, row], color=FAINT, linewidth=7, zorder=1, solid_capstyle="butt",
                      label=label)  # fmt: skip
            axes.plot(np.median(known), row, "|", color=WAYS["random"], markersize=11, markeredgewidth=2, zorder=2)
            label = None


__all__ = ["MEAN", "gains", "random_by_task"]
