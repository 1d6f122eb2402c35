"""Affinity over training: do early moments say what late ones say?"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pathways.affinity.findings import Findings
from pathways.canvas import literal, styled
from pathways.palette import FAINT, MUTED
from pathways.report.drawing import WIDTH, label_rows, legend_above
from pathways.text import short_names

from .colours import WAYS
from .structure import early_late, pairs, serving, standardised

Array = NDArray[np.float64]
BINS = 16
"""Into how many stretches training is cut: single moments are too noisy to see anything."""


def course(findings: Findings) -> Figure | None:
    """Left, pairs that the chosen networks group against the others, over training; right, each task's correlation.

    The lines are medians over pairs of their place in the row, the bands half of the pairs. The dots are Spearman's
    correlation of a row in the first and in the second half of training. `None` with fewer than two moments.
    """
    halves = early_late(findings.affinity, findings.tasks)
    if halves is None:
        return None
    steps, places = stretches(findings)
    together = serving(findings)
    apart = ~together & ~np.eye(len(together), dtype=bool)
    names = short_names(findings.tasks, longest=22)
    with styled():
        figure = Figure(figsize=(WIDTH, max(3.0, 1.2 + 0.2 * len(names))), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
        for mask, colour, label in (
            (together, WAYS["chosen"], "pairs in one chosen network"), (apart, WAYS["random"], "other pairs"),
        ):  # fmt: skip
            if np.isfinite(places[:, mask]).any():
                low, middle, high = (_quantile(places[:, mask], q) for q in (0.25, 0.5, 0.75))
                left.fill_between(steps, low, high, color=colour, alpha=0.18, linewidth=0)
                left.plot(steps, middle, color=colour, linewidth=2, marker="o", markersize=3.5, label=label)
        left.axhline(0, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
        left.set(xlabel="training step", ylabel="place in its row (standard deviations)")
        left.grid(axis="y", color=FAINT, linewidth=0.6)
        left.tick_params(length=0, labelsize=8)
        if left.get_legend_handles_labels()[0]:
            legend_above(left, 2, gap=0.6)
        for row, task in enumerate(findings.tasks):
            value = halves.rows[task].value
            if np.isfinite(value):
                right.plot([0, value], [row, row], color=FAINT, linewidth=2, zorder=1)
                right.plot(value, row, "o", color=WAYS["chosen"], markersize=5)
            else:
                right.text(0.04, row, "too few pairs", fontsize=7, color=MUTED, va="center")
        label_rows(right, [names[task] for task in findings.tasks])
        right.tick_params(labelsize=7.5)
        right.axvline(0, color=MUTED, linewidth=0.8)
        right.set(xlim=(-1.08, 1.08), xlabel="early against late, Spearman, by row")
        right.grid(axis="x", color=FAINT, linewidth=0.6)
        title = f"{halves.all.value:+.2f}" if np.isfinite(halves.all.value) else "too few pairs"
        right.set_title(literal(f"all rows: {title}"), fontsize=8.5, fontweight="normal")
    return figure


def stretches(findings: Findings) -> tuple[Array, Array]:
    """The middle steps of the stretches (B,), and each pair's place in its row there (B, T, T)."""
    affinity = findings.affinity
    moments = affinity.readings.shape[1]
    steps = np.array(affinity.steps or range(moments), dtype=np.float64)
    parts = np.array_split(np.arange(moments), min(BINS, moments))
    readings = pairs(affinity, findings.tasks, affinity.course)
    middles = np.array([steps[part].mean() for part in parts])
    return middles, np.stack([standardised(_mean(readings[part])) for part in parts])


def _mean(values: Array) -> Array:
    return np.ma.masked_invalid(values).mean(axis=0).filled(np.nan)


def _quantile(values: Array, q: float) -> Array:
    """Over pairs, of those that are known."""
    return np.array([np.quantile(row[np.isfinite(row)], q) if np.isfinite(row).any() else np.nan for row in values])


__all__ = ["BINS", "course", "stretches"]
