"""The charts of a report's results, each a figure from plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pathways.canvas import literal, styled
from pathways.palette import CHAMPION, FAINT, MUTED, PAPER, control_colours, on
from pathways.summary import CHAMPIONS
from pathways.text import PERCENT, short_count, short_names

from .against import Against
from .drawing import HEAT, WIDTH, WRITTEN, cell_height, few_ticks, heat, label_rows, name_axes, new_figure, scale_of
from .numbers import Table

_MARKS = ("o", "s", "^", "v", "P", "X", "p", "h")  # of controls, since colours alone do not tell all readers apart
_ONE_COLUMN = 16  # tasks, beyond which the chart of tasks has two columns


def side_colours(sides: Sequence[str]) -> dict[str, str]:
    """One colour for each side of the comparison, the same in every chart."""
    return {CHAMPIONS: CHAMPION} | control_colours([side for side in sides if side != CHAMPIONS])


def side_marks(sides: Sequence[str]) -> dict[str, str]:
    """One mark for each side, the same in every chart.

    >>> side_marks(["champions", "independent"])
    {'champions': 'D', 'independent': 'o'}
    """
    controls = [side for side in sides if side != CHAMPIONS]
    return {CHAMPIONS: "D"} | {side: _MARKS[i % len(_MARKS)] for i, side in enumerate(controls)}


def against_chart(found: Sequence[Against], metric: str, colours: Mapping[str, str]) -> Figure:
    """The champions against each control: every task's difference as a tick, their mean with its interval."""
    scale = 100.0 if metric in PERCENT else 1.0
    with styled():
        figure, axes = new_figure(0.75 + 0.62 * len(found), width=4.9)
        for row, one in enumerate(found):
            gains = [gain * scale for gain in one.gains.values()]
            axes.plot(gains, [row + 0.2] * len(gains), "|", color=MUTED, markersize=7, markeredgewidth=0.9)
            if one.mean is None:
                continue
            if one.mean.sure:
                axes.plot([one.mean.low * scale, one.mean.high * scale], [row - 0.08] * 2, color=colours[one.side],
                          linewidth=3.2, solid_capstyle="butt")  # fmt: skip
            axes.plot([one.mean.value * scale], [row - 0.08], "D", color=CHAMPION, markersize=7.5,
                      markeredgecolor=PAPER)  # fmt: skip
        axes.axvline(0, color=MUTED, linewidth=1, zorder=0)
        label_rows(axes, [one.side for one in found])
        points = " (points)" if metric in PERCENT else ""
        axes.set_xlabel(f"champion less control{points}; right is better")
        axes.xaxis.grid(True, color=FAINT, linewidth=0.6)
        axes.tick_params(labelsize=9)
    return figure


def task_chart(summary: Mapping[str, Any]) -> Figure:
    """Each task's test measure: the champion beside the controls."""
    tasks, sides = summary["tasks"], list(summary["sides"])
    colours, marks, names = side_colours(sides), side_marks(sides), _names(summary)
    scale, unit = scale_of(tasks[0]["metric"])
    columns = 1 if len(tasks) <= _ONE_COLUMN else 2
    each = -(-len(tasks) // columns)
    with styled():
        figure = Figure(figsize=(WIDTH, 0.95 + (0.3 if columns == 1 else 0.24) * each), layout="constrained")
        panels = figure.subplots(1, columns, squeeze=False, sharex=True)[0]
        lift = {side: 0.13 * (i - (len(sides) - 1) / 2) for i, side in enumerate(sides)}  # equal ones are all seen
        for axes, start in zip(panels, range(0, len(tasks), each), strict=True):
            some = tasks[start : start + each]
            for row, task in enumerate(some):
                _task(axes, row, {CHAMPIONS: task["test"], **task["controls"]}, scale, colours, marks, lift)
            label_rows(axes, [names[task["name"]] for task in some])
            axes.grid(axis="x", color=FAINT, linewidth=0.6)
        figure.supxlabel(f"test {tasks[0]['metric'].replace('_', ' ')}{unit}", fontsize=9)
        handles = [
            Line2D([], [], marker=marks[side], color=colours[side], linestyle="", markersize=7, label=literal(side))
            for side in sides
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=min(len(sides), 6), frameon=False, fontsize=8.5)
    return figure


def _task(
    axes: Axes, row: int, measured: Mapping[str, float | None], scale: float, colours: Mapping[str, str],
    marks: Mapping[str, str], lift: Mapping[str, float],
) -> None:  # fmt: skip
    values = {side: value * scale for side, value in measured.items() if value is not None}
    if values:
        axes.plot([min(values.values()), max(values.values())], [row, row], color=FAINT, linewidth=3, zorder=1)
    for side in reversed(list(values)):
        champion = side == CHAMPIONS
        at = row + (lift[side] if len(lift) <= 6 else 0)
        axes.plot(
            values[side], at, marks[side], color=colours[side], markersize=8 if champion else 6.5,
            zorder=3 if champion else 2, markeredgecolor=PAPER, markeredgewidth=0.8,
        )  # fmt: skip


def forgetting_sides(summary: Mapping[str, Any]) -> list[str]:
    """The sides that were measured on earlier tasks again: the champions, and controls that carry one network on."""
    return [
        side for side, cells in summary["matrices"].items()
        if side == CHAMPIONS or any(cell is not None for i, row in enumerate(cells) for cell in row[:i])
    ]  # fmt: skip


def matrix_chart(summary: Mapping[str, Any], sides: Sequence[str] = (CHAMPIONS,)) -> Figure:
    """R[i, j] as heat maps of one scale: rows are what was learned last, columns the task that is measured."""
    names = list(_names(summary).values())
    scale, unit = scale_of(summary["tasks"][0]["metric"])
    count = len(names)
    shown = {
        side: np.array([[np.nan if c is None else c * scale for c in row] for row in summary["matrices"][side]])
        for side in sides
    }
    values = np.concatenate([cells[np.isfinite(cells)] for cells in shown.values()])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    low, high = (low, high) if high > low else (low - 1, high)
    with styled():
        figure = Figure(figsize=(WIDTH, (1.5 + cell_height(count) * count) * len(sides)), layout="constrained")
        panels = figure.subplots(len(sides), 1, squeeze=False)[:, 0]
        for axes, (side, cells) in zip(panels, shown.items(), strict=True):
            image = axes.imshow(cells, cmap=HEAT, vmin=low, vmax=high, aspect="auto")
            for i, j in np.argwhere(np.isfinite(cells)) if count <= WRITTEN else ():
                text = f"{cells[i, j]:.1f}" if scale == 100 else f"{cells[i, j]:.3g}"
                colour = on(heat((cells[i, j] - low) / (high - low)))
                axes.text(j, i, text, ha="center", va="center", fontsize=8, color=colour)
            name_axes(axes, names, names, count)
            axes.spines[:].set_visible(False)
            axes.set(xlabel="measured on", ylabel="after learning")
            if len(sides) > 1:
                axes.set_title(literal(side))
        bar = figure.colorbar(image, ax=list(panels), shrink=0.6, pad=0.015)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=8)
        bar.set_label(f"test {summary['tasks'][0]['metric'].replace('_', ' ')}{unit}", fontsize=8)
    return figure


def matrix_table(summary: Mapping[str, Any], side: str = CHAMPIONS) -> Table:
    """R[i, j] of a side: a row for each task learned."""
    names = [task["name"] for task in summary["tasks"]]
    rows = tuple((name, *row) for name, row in zip(names, summary["matrices"][side], strict=True))
    return Table("matrix" if side == CHAMPIONS else f"matrix-{side}", ("after learning", *names), rows)


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
                    text, (value or 0, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8.5
                )
            axes.set_title(title)
            axes.xaxis.set_major_locator(few_ticks())
            axes.xaxis.set_major_formatter(lambda x, _: short_count(x))
            axes.tick_params(length=0, labelsize=8.5)
            axes.margins(x=0.2)
            axes.spines["left"].set_visible(False)
        label_rows(panels[0], list(sides))
    return figure


def _names(summary: Mapping[str, Any]) -> dict[str, str]:
    return short_names([task["name"] for task in summary["tasks"]], longest=22)
