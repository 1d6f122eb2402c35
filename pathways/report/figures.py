"""The charts of a report, each a figure from plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from pathways.canvas import literal, styled
from pathways.palette import CHAMPION, FAINT, INK, PAPER, control_colours, task_colour
from pathways.summary import CHAMPIONS
from pathways.text import PERCENT, short_count, short_names

from .drawing import WIDTH, few_ticks, label_rows, legend_above, new_figure

_HEAT = LinearSegmentedColormap.from_list("heat", ["#f3f6f9", "#9fc4d8", "#2f7fa3", "#0a3d56"])


def side_colours(sides: Sequence[str]) -> dict[str, str]:
    """One colour for each side of the comparison, the same in every chart."""
    return {CHAMPIONS: CHAMPION} | control_colours([side for side in sides if side != CHAMPIONS])


def task_chart(summary: Mapping[str, Any]) -> Figure:
    """Each task's test measure: the champion beside the controls."""
    tasks, colours = summary["tasks"], side_colours(list(summary["sides"]))
    names = _names(summary)
    scale, unit = _scale(tasks[0]["metric"])
    with styled():
        figure, axes = new_figure(0.9 + 0.3 * len(tasks))
        for row, task in enumerate(tasks):
            measured = {CHAMPIONS: task["test"], **task["controls"]}
            values = {side: value * scale for side, value in measured.items() if value is not None}
            if values:
                axes.plot([min(values.values()), max(values.values())], [row, row], color=FAINT, linewidth=3, zorder=1)
            for side in reversed(list(values)):
                champion = side == CHAMPIONS
                axes.plot(
                    values[side],
                    row,
                    "o",
                    color=colours[side],
                    markersize=9 if champion else 6.5,
                    zorder=3 if champion else 2,
                    markeredgecolor=PAPER,
                    markeredgewidth=0.8,
                )
        for side, colour in colours.items():
            axes.plot([], [], "o", color=colour, markersize=7, label=literal(side))
        label_rows(axes, [names[task["name"]] for task in tasks])
        axes.set_xlabel(f"test {tasks[0]['metric'].replace('_', ' ')}{unit}")
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        legend_above(axes, len(colours))
    return figure


def matrix_chart(summary: Mapping[str, Any], side: str = CHAMPIONS) -> Figure:
    """R[i, j] as a heat map: rows are what was learned last, columns the task that is measured."""
    cells, names = summary["matrices"][side], list(_names(summary).values())
    scale, unit = _scale(summary["tasks"][0]["metric"])
    count = len(names)
    values = [cell * scale for row in cells for cell in row if cell is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    low, high = (low, high) if high > low else (low - 1, high)
    with styled():
        figure, axes = new_figure(1.5 + 0.36 * count)
        shown = [[float("nan") if cell is None else cell * scale for cell in row] for row in cells]
        image = axes.imshow(shown, cmap=_HEAT, vmin=low, vmax=high, aspect="auto")
        for i, row in enumerate(shown):
            for j, cell in enumerate(row):
                if cell == cell:
                    dark = (cell - low) / (high - low) > 0.5
                    text = f"{cell:.1f}" if scale == 100 else f"{cell:.3g}"
                    axes.text(j, i, text, ha="center", va="center", fontsize=7, color=PAPER if dark else INK)
        axes.set_xticks(
            range(count), [literal(name) for name in names], rotation=35, ha="right", rotation_mode="anchor"
        )
        axes.set_yticks(range(count), [literal(name) for name in names])
        axes.set_xticks([x - 0.5 for x in range(1, count)], minor=True)
        axes.set_yticks([y - 0.5 for y in range(1, count)], minor=True)
        axes.grid(which="minor", color=PAPER, linewidth=1.5)
        axes.tick_params(which="both", length=0, labelsize=8)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="measured on", ylabel="after learning")
        bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.015)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=7)
        bar.set_label(f"test {summary['tasks'][0]['metric']}{unit}", fontsize=8)
    return figure


def cost_chart(summary: Mapping[str, Any]) -> Figure:
    """Processor time and parameters of each side."""
    sides, colours = summary["sides"], side_colours(list(summary["sides"]))
    with styled():
        figure = Figure(figsize=(WIDTH, 0.9 + 0.34 * len(sides)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, key, title in zip(panels, ("cpu_seconds", "parameters"), ("CPU-seconds", "parameters"), strict=True):
            for row, side in enumerate(sides):
                value = sides[side][key]
                axes.barh(row, value or 0, color=colours[side], height=0.62)
                text = "not measured" if value is None else f"{value:,.1f}" if key == "cpu_seconds" else f"{value:,}"
                axes.annotate(
                    text, (value or 0, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
                )
            axes.set_title(title)
            axes.xaxis.set_major_locator(few_ticks())
            axes.xaxis.set_major_formatter(lambda x, _: short_count(x))
            axes.tick_params(length=0, labelsize=8)
            axes.margins(x=0.2)
            axes.spines["left"].set_visible(False)
        label_rows(panels[0], list(sides))
    return figure


def search_chart(curves: Mapping[str, Sequence[float]], metric: str) -> Figure:
    """The best validation quality so far of each task, against the candidates tried."""
    names = short_names(list(curves), longest=18)
    scale, unit = _scale(metric)
    longest = max(len(values) for values in curves.values())
    with styled():
        figure, axes = new_figure(3.6)
        for i, (task, values) in enumerate(curves.items()):
            best = [max(values[: j + 1]) * scale for j in range(len(values))]
            steps = range(1, len(best) + 1)
            axes.step(steps, best, where="post", color=task_colour(i), linewidth=1.6, label=literal(names[task]))
            axes.plot(len(best), best[-1], "o", color=task_colour(i), markersize=4)
        axes.set(
            xlabel="candidates tried",
            ylabel=f"best validation {metric.replace('_', ' ')}{unit}",
            xlim=(0.5, longest + 0.5),
        )
        axes.xaxis.set_major_locator(few_ticks())
        axes.grid(color=FAINT, linewidth=0.6)
        axes.tick_params(length=0)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=7.5)
    return figure


def _names(summary: Mapping[str, Any]) -> dict[str, str]:
    return short_names([task["name"] for task in summary["tasks"]], longest=22)


def _scale(metric: str) -> tuple[float, str]:
    return (100.0, " (%)") if metric in PERCENT else (1.0, "")
