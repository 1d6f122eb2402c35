"""The figure of the study of parents: who helps whom, and what each rule loses by how many parents it may try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from pathways.canvas import literal, render, styled
from pathways.files import write_atomically
from pathways.palette import FAINT, INK, TASKS


def stream_figure(found: Sequence[Mapping[str, Any]], drawn: Sequence[Mapping[str, Any]]) -> Figure:
    """Gains of children over scratch, in points, mean over orders; regret by the number of parents that are tried.

    Args:
        found: orders, as `affinity_stream.run` gives them.
        drawn: rows of `affinity_regret.regrets`.
    """
    names = sorted(found[0]["tasks"])
    with styled():
        figure = Figure(figsize=(12.5, 5.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.45, 1))
        _heatmap(figure, left, gains(found, names), names)
        _curves(right, drawn)
    return figure


def gains(found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> np.ndarray[Any, Any]:
    """In points, a child's quality minus that from scratch, (tasks, parents), mean over orders; NaN where none was."""
    cells: list[list[list[float]]] = [[[] for _ in names] for _ in names]
    for order in found:
        for step in order["streams"]["exhaustive"]:
            for parent, child in step["children"].items():
                cells[names.index(step["task"])][names.index(parent)].append(100 * (child - step["scratch"]))
    return np.array([[np.mean(cell) if cell else np.nan for cell in row] for row in cells])


def _heatmap(figure: Figure, axes: Any, values: np.ndarray[Any, Any], names: Sequence[str]) -> None:
    largest = float(np.nanmax(np.abs(values))) or 1.0
    axes.set_facecolor(FAINT)
    image = axes.imshow(values, cmap="RdBu", norm=TwoSlopeNorm(0, -largest, largest))
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.6 * largest else INK
            text = f"{value:+.0f}" if abs(value) >= 0.5 else "0"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    labels = [literal(name) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("parent")
    axes.set_ylabel("new task")
    axes.set_title("Child minus scratch, points of validation accuracy")
    figure.colorbar(image, ax=axes, shrink=0.7).outline.set_visible(False)


def _curves(axes: Any, drawn: Sequence[Mapping[str, Any]]) -> None:
    rules = [rule for rule in dict.fromkeys(row["rule"] for row in drawn) if not rule.endswith(" (top)")]
    for i, rule in enumerate(rules):
        rows = sorted((row for row in drawn if row["rule"] == rule), key=lambda row: row["tries"] or 99)
        places = range(len(rows))
        style: dict[str, Any] = {"color": INK, "linestyle": "--"} if rule == "uniform" else {"color": TASKS[i]}
        regret, error = ([100 * row[key] for row in rows] for key in ("regret", "error"))
        axes.errorbar(places, regret, error, marker="o", markersize=4, capsize=2, linewidth=1.6, label=rule, **style)
    axes.set_xticks(places, [str(row["tries"]) if row["tries"] else "half" for row in rows])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_xlabel("parents that are tried for a task")
    axes.set_ylabel("regret, points")
    axes.set_title("Best child of all minus best of those tried")
    axes.legend(frameon=False)


def draw(found: Sequence[Mapping[str, Any]], drawn: Sequence[Mapping[str, Any]], file: FilePath) -> None:
    """Write the figure as an `.svg` or `.png` file."""
    write_atomically(file, render(stream_figure(found, drawn), file.suffix.lstrip("."), "stream"))


__all__ = ["draw", "gains", "stream_figure"]
