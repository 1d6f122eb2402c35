"""The chosen networks as a graph of two sides: tasks left, networks right."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from pathways.affinity.findings import Findings
from pathways.canvas import literal, styled
from pathways.palette import INK, MUTED, on, task_colour
from pathways.report.drawing import WIDTH
from pathways.text import short_names

APART = 1.15
"""How far networks stand apart at least, in rows of tasks."""

_HELPER = "#c3c9d0"


def networks(findings: Findings) -> Figure:
    """Solid edges lead to the network that serves a task; grey ones to one that only trains on it, to help others."""
    chosen = findings.selection
    tasks = sorted(
        findings.tasks, key=lambda task: (chosen.serves.get(task, len(chosen.networks)), findings.tasks.index(task))
    )
    row = {task: float(i) for i, task in enumerate(tasks)}
    heights = _apart([
        float(np.mean([row[t] for t in (served(findings, n) or list(network.tasks)) if t in row] or [0.0]))
        for n, network in enumerate(chosen.networks)
    ])  # fmt: skip
    names = short_names(findings.tasks, longest=28)
    labels = [names.get(n.name, n.name) or f"network {i + 1}" for i, n in enumerate(chosen.networks)]
    beside = max(1.2, 1.06 + 0.0115 * max(map(len, labels), default=0))
    help_ = "in part {} more" if chosen.rule == "taskonomy" else "{} helper{}"
    with styled():
        figure = Figure(figsize=(WIDTH, 0.4 + 0.28 * max(len(tasks), APART * len(heights))), layout="constrained")
        axes = figure.add_subplot()
        axes.set_axis_off()
        for n, network in enumerate(chosen.networks):
            for task in network.tasks:
                if task in row:
                    serves = chosen.serves.get(task) == n
                    axes.plot(
                        *_curve(row[task], heights[n]), color=task_colour(n) if serves else _HELPER,
                        linewidth=2.2 if serves else 1.1, zorder=2 if serves else 1, solid_capstyle="butt",
                    )  # fmt: skip
        for task in tasks:
            colour = task_colour(chosen.serves[task]) if task in chosen.serves else MUTED
            axes.plot(0, row[task], "o", color=colour, markersize=6, zorder=3)
            axes.text(-0.03, row[task], literal(names[task]), ha="right", va="center", fontsize=8.5)
        for n, network in enumerate(chosen.networks):
            box = {"boxstyle": "round,pad=0.35", "facecolor": task_colour(n), "edgecolor": "none"}
            axes.text(
                1.0, heights[n], literal(labels[n]), ha="left", va="center", fontsize=8.5, color=on(task_colour(n)),
                bbox=box, zorder=4,
            )  # fmt: skip
            own = served(findings, n)
            helpers = len(network.tasks) - len(own)
            note = f"serves {len(own)}" + (f", {help_.format(helpers, 's' * (helpers != 1))}" if helpers else "")
            axes.text(
                beside, heights[n], literal(f"{note} · cost {network.cost:g}"), va="center", fontsize=8, color=INK
            )
        axes.set(xlim=(-0.42, 0.4 + beside), ylim=(max([*row.values(), *heights]) + 0.7, min([0.0, *heights]) - 0.7))
    return figure


def served(findings: Findings, network: int) -> list[str]:
    """The tasks that a network serves."""
    return [task for task in findings.tasks if findings.selection.serves.get(task) == network]


def _curve(start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(0, 1, 40)
    return t, start + (end - start) * (3 * t**2 - 2 * t**3)


def _apart(wanted: list[float]) -> list[float]:
    """These heights in their order, pushed apart where they are too near, as many up as down."""
    order = np.argsort(wanted, kind="stable")
    heights = np.array(wanted, dtype=np.float64)[order]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + APART)
    out = np.empty_like(heights)
    out[order] = heights - (heights.mean() - np.mean(wanted) if len(heights) else 0.0)
    return [float(height) for height in out]


__all__ = ["APART", "networks", "served"]
