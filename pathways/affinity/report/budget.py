"""Value against budget: what more networks are worth, and what an exact choice gains over simpler ones."""

from __future__ import annotations

from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from pathways.affinity.findings import Findings
from pathways.canvas import literal, styled
from pathways.palette import FAINT, INK
from pathways.report.drawing import few_ticks, legend_above, new_figure

from .colours import MARKS, way_colour
from .heatmap import exponent, times

BAND = ("random low", "random high")
"""Names in `Curve.predicted` of the ends of the band around `random`, where they are known."""

_DASHES = {"exact": "solid", "hoa": (0, (5, 2)), "greedy": (0, (2, 1.5)), "random": (0, (1, 1.2))}


def budget(findings: Findings) -> Figure | None:
    """A line for each way to choose, by the rule's own value; `None` without budgets.

    Ways that exist at one cost only (all-in-one, separate) are points. The line upright is the budget of the study.
    """
    curve = findings.curve
    budgets = np.asarray(curve.budgets, dtype=np.float64)
    ways = [name for name in curve.predicted if name not in BAND and np.isfinite(curve.predicted[name]).any()]
    if not len(budgets) or not ways:
        return None
    every = np.concatenate([curve.predicted[name] for name in ways])
    scale = 10.0 ** exponent(every)
    with styled():
        figure, axes = new_figure(3.7)
        if all(name in curve.predicted for name in BAND):
            low, high = (curve.predicted[name] / scale for name in BAND)
            axes.fill_between(budgets, low, high, color=way_colour("random"), alpha=0.2, linewidth=0)
        for name in ways:
            values = np.asarray(curve.predicted[name], dtype=np.float64) / scale
            known = np.isfinite(values)
            wide = name == "exact"
            axes.plot(
                budgets[known], values[known], color=way_colour(name), linestyle=_DASHES.get(name, (0, (4, 2))),
                linewidth=3.0 if wide else 1.6, marker="o" if name == "random" else MARKS.get(name, "o"),
                markersize=9 if known.sum() == 1 else 6 if wide else 4.5, zorder=2 if wide else 3, label=literal(name),
                markeredgecolor="white", markeredgewidth=0.7,
            )  # fmt: skip
        axes.axvline(findings.selection.budget, color=INK, linewidth=0.9, linestyle=(0, (3, 3)), zorder=1)
        axes.annotate(
            "this study's budget", (findings.selection.budget, 0.02), xycoords=("data", "axes fraction"),
            xytext=(4, 0), textcoords="offset points", fontsize=7.5, color=INK,
        )  # fmt: skip
        better = "higher is better" if curve.higher_is_better else "lower is better"
        unit = fill(f"({_unit(curve.unit, times(every))}{better})", 44)
        axes.set(
            xlabel="budget, in " + ("source tasks" if curve.rule == "taskonomy" else "networks of full size"),
            ylabel=literal(f"value by the rule {curve.rule}, predicted\n{unit}"),
        )
        axes.xaxis.set_major_locator(few_ticks())
        axes.margins(x=0.04)
        axes.grid(color=FAINT, linewidth=0.6)
        axes.tick_params(length=0, labelsize=8)
        legend_above(axes, len(ways), gap=0.6)
    return figure


def _unit(unit: str, power: str) -> str:
    named = " ".join(part for part in (unit, power) if part)
    return f"{named}; " if named else ""


__all__ = ["BAND", "budget"]
