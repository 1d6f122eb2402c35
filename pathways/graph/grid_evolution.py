"""How PathNet's population changed: the first and the last tournament of each task, and each cell's use in between.

After the figures of Fernando et al. 2017, "PathNet: Evolution Channels Gradient Descent in Super Neural Networks",
arXiv 1701.08734.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pathways.canvas import styled
from pathways.palette import FAINT, INK, MUTED, PAPER, task_colour
from pathways.text import PERCENT

from .grid import (
    BOX,
    TASKS,
    cell_place,
    draw_cells,
    draw_ends,
    draw_flow,
    join_place,
    name_layers,
    name_task,
    task_rows,
)
from .grid_record import Contestant, GridTask, shares

_LEFT, _TOP, _BOTTOM, _BETWEEN, _ROW = 0.75, 0.5, 0.78, 0.42, 1.2  # inches; of a row it is what stands above its grids
_HEAT = 4.6  # inches: the width of the chart over generations
COLUMNS = 80
"""How many columns the chart has at most; more generations are put together."""


def evolution_figure(record: Sequence[GridTask], most: int = TASKS) -> Figure:
    """For each task the first and the last tournament, and between them how often each cell was used, and fitness.

    Args:
        record: made by `pathways.graph.grid_record.grid_record`.
        most: how many tasks are shown, the newest.
    """
    shown, names, colours, numbers, wide, tall = task_rows(record, most, longest=28)
    width = max(_LEFT + 2 * wide + _HEAT + 2 * _BETWEEN + 0.75, 8.0)
    height = _TOP + len(shown) * (tall + _ROW) + _BOTTOM - 0.2
    with styled():
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(0, height))
        for row, task in enumerate(shown):
            bottom = height - _TOP - (row + 1) * (tall + _ROW) + 0.5
            colour, top = colours[task.task], bottom + tall + 0.62
            name_task(axes, numbers[task.task], names[task.task], colour, top)
            name_layers(axes, task, _LEFT, bottom, wide)
            second = _LEFT + wide + _BETWEEN + 0.35
            if not task.contestants:
                axes.text(_LEFT + wide / 2, bottom + tall / 2, "not recorded", color=MUTED, ha="center")
                continue
            for number, x in ((0, _LEFT), (task.generations - 1, second + _HEAT + _BETWEEN - 0.1)):
                _tournament(axes, task, number, x, bottom, wide, colours)
            place = (second / width, (bottom + 0.2) / height, _HEAT / width, (tall - 0.42) / height)
            heat = figure.add_axes(place)
            _heat(heat, task, colours)
            above = (place[0], (bottom + tall - 0.16) / height, place[2], 0.52 / height)
            _fitness(figure.add_axes(above, sharex=heat), task, colour)
        _legend(figure, shown)
    return figure


def _tournament(
    axes: Axes, task: GridTask, generation: int, x: float, y: float, wide: float, colours: Mapping[str, str]
) -> None:
    """The paths of one generation: the fittest with full lines, the others dashed."""
    there = [each for each in task.contestants if each.generation == generation]
    colour = colours[task.task]
    draw_cells(axes, task, x, y, wide, colours)
    for each in there:
        if each.fittest:
            draw_flow(axes, task, dict.fromkeys(sorted(each.cells), 1.0), x, y, wide, colour)
    for each in there:
        if not each.fittest:
            _dashed(axes, task, each, x, y, wide)
    draw_ends(axes, len(task.widths) - 1, x, y, wide, colour)
    best = max((each.fitness for each in there), default=-math.inf)
    said = f"generation {generation + 1}" + (f" · fitness {_number(best, task)}" if math.isfinite(best) else "")
    axes.text(x + wide / 2, y - 0.12, said, fontsize=8, color=INK, ha="center", va="center")


def _dashed(axes: Axes, task: GridTask, each: Contestant, x: float, y: float, wide: float) -> None:
    for cell in sorted(each.cells):
        middle = cell_place(cell, task.widths, x, y, wide)
        below, above = join_place(cell[0] - 1, x, y, wide), join_place(cell[0], x, y, wide)
        for start, end in ((below, (middle[0], middle[1] - BOX / 2)), ((middle[0], middle[1] + BOX / 2), above)):
            axes.plot(*zip(start, end, strict=True), color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1.5)


def _heat(axes: Axes, task: GridTask, colours: Mapping[str, str]) -> None:
    """Each cell's share of the paths over the generations, and to the right what the champion goes through."""
    together = math.ceil(task.generations / COLUMNS)
    rows = _rows(task)
    bars, alphas = [], []
    for begin in range(0, task.generations, together):
        end = min(begin + together, task.generations)
        there = [each for each in task.contestants if begin <= each.generation < end]
        for cell, share in shares(there).items():
            bars.append(Rectangle((begin, rows[cell] - 0.5), end - begin, 1))
            alphas.append(round(share, 4))
    heat = PatchCollection(bars, facecolor=colours[task.task], edgecolor="none", alpha=alphas, zorder=1)
    axes.add_collection(heat)
    for cell, row in rows.items():
        if cell in task.frozen:
            axes.plot(-0.012, row, "s", color=colours[task.frozen[cell]], markersize=3.4, clip_on=False,
                      transform=axes.get_yaxis_transform())
        if cell in task.path:
            axes.plot(1.014, row, "<", color=colours[task.task], markersize=4, clip_on=False,
                      transform=axes.get_yaxis_transform())
    for layer, width in enumerate(task.widths):
        middle = (rows[layer, 0] + rows[layer, width - 1]) / 2
        axes.text(-0.03, middle, f"layer {layer + 1}", rotation=90, fontsize=7.5, color=MUTED, ha="right",
                  va="center", transform=axes.get_yaxis_transform())
        axes.add_patch(Rectangle((0, rows[layer, 0] - 0.5), task.generations, width, fill=False, edgecolor=FAINT,
                                 linewidth=0.8))
    axes.set(xlim=(0, task.generations), ylim=(-0.8, max(rows.values()) + 0.8), yticks=[])
    axes.set_xlabel("generation", fontsize=8, labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(labelsize=7.5, length=2, color=MUTED)
    axes.spines[:].set_visible(False)


def _rows(task: GridTask) -> dict[tuple[int, int], float]:
    """The row of each cell: layer over layer from below, a gap between two, their cells from left to right upwards."""
    rows: dict[tuple[int, int], float] = {}
    base = 0.0
    for layer, width in enumerate(task.widths):
        rows |= {(layer, index): base + index for index in range(width)}
        base += width + 1.5
    return rows


def _fitness(axes: Axes, task: GridTask, colour: str) -> None:
    """The fitness of each generation's fittest, and of the others."""
    known = [each for each in task.contestants if math.isfinite(each.fitness)]
    others = [(each.generation + 0.5, each.fitness) for each in known if not each.fittest]
    best = [(each.generation + 0.5, each.fitness) for each in known if each.fittest]
    if others:
        axes.plot(*zip(*others, strict=True), ".", color=MUTED, markersize=2.5, alpha=0.6)
    if best:
        axes.plot(*zip(*best, strict=True), color=colour, linewidth=1.3)
    axes.set_title("fitness", fontsize=7.5, color=MUTED, weight="normal", pad=2)
    axes.yaxis.set_major_locator(MaxNLocator(2))
    axes.yaxis.set_major_formatter(lambda value, _: _number(value, task))
    axes.tick_params(labelbottom=False, length=0, labelsize=7, labelcolor=MUTED)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.spines[:].set_visible(False)


def _number(value: float, task: GridTask) -> str:
    return f"{100 * value:.4g} %" if task.metric in PERCENT else f"{value:.3g}"


def _legend(figure: Figure, shown: Sequence[GridTask]) -> None:
    colour = task_colour(shown[-1].place)
    handles = {
        "the fittest of a generation": Line2D([], [], color=colour, linewidth=1.7),
        "the others": Line2D([], [], color=MUTED, linewidth=0.9, linestyle=(0, (3, 2))),
        "darker: more of the generation's paths use the cell":
            Rectangle((0, 0), 1, 1, facecolor=colour, edgecolor=PAPER, alpha=0.5),
        "on the frozen path": Line2D([], [], linestyle="none", marker="<", color=colour, markersize=5),
    }  # fmt: skip
    if any(task.frozen for task in shown):
        owner = Line2D([], [], linestyle="none", marker="s", color=task_colour(0), markersize=4.5)
        handles["frozen by an earlier task, of its colour"] = owner
    figure.legend(
        list(handles.values()), list(handles), loc="lower left", ncols=3, frameon=False, fontsize=7.5,
        handlelength=1.6, columnspacing=1.6, borderaxespad=0.8,
    )


__all__ = ["COLUMNS", "evolution_figure"]
