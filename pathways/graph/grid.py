"""PathNet's grid, task after task: what evolution tried, which path it froze, and what later tasks find there.

After the figures of Fernando et al. 2017, "PathNet: Evolution Channels Gradient Descent in Super Neural Networks",
arXiv 1701.08734: layers of modules from the input at the bottom to the head on top.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

from pathways.canvas import literal, styled
from pathways.palette import FAINT, INK, MUTED, PAPER, SHARED, TINT, on, task_colour, tint
from pathways.text import measure_text, short_names

from .grid_record import Cell, GridTask, shares

PITCH, RISE, BOX, INNER = 0.26, 0.56, 0.2, 0.13  # inches: of cells, of layers; of a cell, and of a full share in it
TASKS = 6
"""How many tasks a picture shows: the newest."""

_LEFT, _TOP, _BOTTOM, _GAP, _ROW = 2.1, 0.62, 0.72, 0.34, 0.4  # inches: row names, headings, legend, between panels
_LEAST = 9.4  # inches that the legend needs
_STATES = ("as drawn", "middle third", "last third", "frozen")


def grid_figure(record: Sequence[GridTask], most: int = TASKS) -> Figure:
    """Small multiples: a row for each task, and in it the population as drawn, two moments of its search, and after it.

    A square in a cell says by its area which share of the paths goes through the cell, as do the lines by their width.

    Args:
        record: made by `pathways.graph.grid_record.grid_record`.
        most: how many tasks are shown, the newest.

    Returns:
        The figure, as wide as a slide.
    """
    shown, names, colours, numbers, wide, tall = task_rows(record, most, longest=20)
    width = max(_LEFT + len(_STATES) * (wide + _GAP) + 0.1, _LEAST)
    height = _TOP + len(shown) * (tall + _ROW) + _BOTTOM
    with styled():
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(0, height))
        for column, state in enumerate(_STATES):
            x = _LEFT + column * (wide + _GAP)
            axes.text(x, height - 0.36, state, fontsize=9.5, weight="bold", color=INK)
        for row, task in enumerate(shown):
            bottom = height - _TOP - (row + 1) * (tall + _ROW) + _ROW
            _row_name(axes, task, names, numbers[task.task], colours[task.task], bottom + tall)
            name_layers(axes, task, _LEFT, bottom, wide)
            for column, state in enumerate(_STATES):
                x = _LEFT + column * (wide + _GAP)
                _panel(axes, task, state, x, bottom, wide, colours, numbers)
        _legend(figure, shown, record)
    return figure


class TaskRows(NamedTuple):
    """What a picture has a row for.

    Args:
        shown: the newest tasks.
        names, colours, numbers: of all tasks, by task.
        wide, tall: inches of the largest of their grids.
    """

    shown: list[GridTask]
    names: dict[str, str]
    colours: dict[str, str]
    numbers: dict[str, int]
    wide: float
    tall: float


def task_rows(record: Sequence[GridTask], most: int, longest: int) -> TaskRows:
    """The rows of a picture of the newest tasks, with names of at most so many letters."""
    shown = list(record)[-most:]
    return TaskRows(
        shown,
        short_names([each.task for each in record], longest=longest),
        {each.task: task_colour(each.place) for each in record},
        {each.task: i + 1 for i, each in enumerate(record)},
        PITCH * max(max(each.widths) for each in shown),
        RISE * max(len(each.widths) for each in shown) + 0.42,
    )


def name_task(axes: Axes, number: int, name: str, colour: str, y: float) -> None:
    """A task's number on its colour, and its name, at the left edge."""
    axes.add_patch(Rectangle((0.2, y - 0.1), 0.2, 0.2, color=colour, linewidth=0))
    axes.text(0.3, y - 0.006, str(number), fontsize=8, weight="bold", ha="center", va="center", color=on(colour))
    axes.text(0.48, y, literal(name), fontsize=9.5, weight="bold", va="center", color=INK)


def cell_place(cell: Cell, widths: Sequence[int], x: float, y: float, wide: float) -> tuple[float, float]:
    """The middle of a cell of a grid whose lower left corner is at (x, y), in inches."""
    layer, index = cell
    return x + wide / 2 + PITCH * (index - (widths[layer] - 1) / 2), y + 0.2 + RISE * (layer + 0.45)


def join_place(layer: int, x: float, y: float, wide: float) -> tuple[float, float]:
    """Where the outputs of a layer are joined; of layer -1 it is where the input stands."""
    return x + wide / 2, y + (0.02 if layer < 0 else 0.2 + RISE * (layer + 0.95))


def draw_cells(
    axes: Axes, task: GridTask, x: float, y: float, wide: float, colours: Mapping[str, str], *, after: bool = False
) -> None:
    """The cells of a grid as boxes that say what they are: frozen and by whom, begun anew, trained, at their start."""
    frozen = {**task.frozen, **(dict.fromkeys(task.path - set(task.frozen), task.task) if after else {})}
    for layer, width in enumerate(task.widths):
        for cell in ((layer, index) for index in range(width)):
            look: dict[str, Any] = {"facecolor": PAPER, "edgecolor": FAINT, "linewidth": 0.8}
            if cell in frozen:
                colour = colours.get(frozen[cell], MUTED)
                look = {"facecolor": tint(colour, TINT), "edgecolor": colour, "linewidth": 1.5}
            elif after and cell in task.trained:
                look = {"facecolor": SHARED, "edgecolor": SHARED, "linewidth": 0.8}
            elif not after and cell in task.begun_anew:
                look = {"facecolor": PAPER, "edgecolor": MUTED, "linewidth": 0.8, "linestyle": (0, (2, 1.4))}
            middle = cell_place(cell, task.widths, x, y, wide)
            corner = (middle[0] - BOX / 2, middle[1] - BOX / 2)
            box = FancyBboxPatch(corner, BOX, BOX, boxstyle="round,pad=0,rounding_size=0.035", zorder=2, **look)
            axes.add_patch(box)


def draw_flow(
    axes: Axes, task: GridTask, used: Mapping[Cell, float], x: float, y: float, wide: float, colour: str
) -> None:
    """Lines from the input through the cells to the head, as wide as the share of the paths that goes there."""
    last = len(task.widths) - 1
    for cell, share in used.items():
        middle = cell_place(cell, task.widths, x, y, wide)
        below, above = join_place(cell[0] - 1, x, y, wide), join_place(cell[0], x, y, wide)
        for start, end in ((below, (middle[0], middle[1] - BOX / 2)), ((middle[0], middle[1] + BOX / 2), above)):
            axes.plot(*zip(start, end, strict=True), color=colour, linewidth=1.7 * share, zorder=1,
                      solid_capstyle="round")
        side = INNER * share**0.5
        axes.add_patch(
            Rectangle((middle[0] - side / 2, middle[1] - side / 2), side, side, color=colour, linewidth=0, zorder=3)
        )
    for layer in range(last):
        axes.add_patch(Circle(join_place(layer, x, y, wide), 0.028, color=colour, linewidth=0, zorder=3))
    draw_ends(axes, last, x, y, wide, colour)


def draw_ends(axes: Axes, last: int, x: float, y: float, wide: float, colour: str) -> None:
    """The input below a grid, and the head above it."""
    for place, face, edge in (
        (join_place(-1, x, y, wide), PAPER, INK), (join_place(last, x, y, wide), colour, colour),
    ):
        box = FancyBboxPatch((place[0] - 0.17, place[1] - 0.05), 0.34, 0.1, facecolor=face, edgecolor=edge,
                             boxstyle="round,pad=0,rounding_size=0.05", linewidth=1.1, zorder=3)
        axes.add_patch(box)


def name_layers(axes: Axes, task: GridTask, x: float, y: float, wide: float) -> None:
    """What the rows of a grid are, to its left."""
    last = len(task.widths) - 1
    rows = {"input": join_place(-1, x, y, wide)[1], "head": join_place(last, x, y, wide)[1]}
    rows |= {f"layer {i + 1}": cell_place((i, 0), task.widths, x, y, wide)[1] for i in range(last + 1)}
    for name, height in rows.items():
        axes.text(x - 0.08, height, name, fontsize=7.5, color=MUTED, ha="right", va="center")


def _panel(
    axes: Axes, task: GridTask, state: str, x: float, y: float, wide: float, colours: Mapping[str, str],
    numbers: Mapping[str, int],
) -> None:
    after = state == "frozen"
    draw_cells(axes, task, x, y, wide, colours, after=after)
    parts = {"as drawn": task.drawn(), "middle third": task.between(1 / 3, 2 / 3), "last third": task.between(2 / 3, 1)}
    used = dict.fromkeys(sorted(task.path), 1.0) if after else shares(parts[state])
    draw_flow(axes, task, used, x, y, wide, colours[task.task])
    if not after:
        _caption(axes, f"{len(parts[state])} paths" if parts[state] else "not recorded", x, y, wide)
        return
    _numbers(axes, task, x, y, wide, colours, numbers)
    new = len(task.path - set(task.frozen))
    old = f", {len(task.path) - new} frozen before" if task.frozen else ""
    _caption(axes, f"{new} new{old}", x, y, wide)


def _caption(axes: Axes, said: str, x: float, y: float, wide: float) -> None:
    axes.text(x + wide / 2, y - 0.12, said, fontsize=7.5, color=MUTED, ha="center", va="center")


def _numbers(
    axes: Axes, task: GridTask, x: float, y: float, wide: float, colours: Mapping[str, str], numbers: Mapping[str, int]
) -> None:
    """In each frozen cell the number of the task that froze it: colour is not all that tells."""
    for cell, owner in {**dict.fromkeys(task.path, task.task), **task.frozen}.items():
        active = cell in task.path
        place = cell_place(cell, task.widths, x, y, wide)
        axes.text(place[0], place[1] - 0.006, str(numbers.get(owner, "")), fontsize=7, weight="bold", zorder=4,
                  ha="center", va="center", color=on(colours[task.task]) if active else INK)


def _row_name(axes: Axes, task: GridTask, names: Mapping[str, str], number: int, colour: str, top: float) -> None:
    name_task(axes, number, names[task.task], colour, top - 0.1)
    lines = [
        f"{measure_text(task.validation, task.metric)} validation",
        f"{task.generations} generations",
        "threshold reached" if task.reached else "threshold not reached",
        *(f"layer {layer + 1} grew by {more}" for layer, more in task.grew.items()),
    ]
    for i, line in enumerate(lines):
        axes.text(0.2, top - 0.38 - 0.17 * i, line, fontsize=7.5, va="center", color=MUTED)


def _legend(figure: Figure, shown: Sequence[GridTask], record: Sequence[GridTask]) -> None:
    colour = task_colour(shown[-1].place)
    joined = sorted({how for task in shown for how in task.combine})
    entries: list[tuple[Any, str, bool]] = [
        (_mark(PAPER, FAINT), "at its start", True),
        (_mark(PAPER, MUTED, "dashed"), "begun anew: trained before, not frozen", any(t.begun_anew for t in shown)),
        (_mark(SHARED, SHARED), "trained, not frozen", True),
        (_mark(tint(colour, TINT), colour), "frozen by the task of its colour and number", True),
        (Line2D([], [], linestyle="none", marker="s", color=colour, markersize=5),
         "area and lines: share of the paths that go through it", True),
        (Line2D([], [], linestyle="none", marker="o", color=colour, markersize=4), _joins(joined), True),
    ]
    kept = [(handle, label) for handle, label, there in entries if there]
    title = f"the newest {len(shown)} of {len(record)} tasks" if len(shown) < len(record) else None
    figure.legend(
        [handle for handle, _ in kept], [label for _, label in kept], loc="lower left", ncols=3, frameon=False,
        fontsize=7.5, handlelength=1.2, columnspacing=1.8, borderaxespad=0.8, title=title, title_fontsize=7.5,
        alignment="left",
    )  # fmt: skip


def _joins(how: Iterable[str]) -> str:
    words = {"sum": "added up", "mean": "averaged"}
    return f"outputs are {' or '.join(words.get(each, each) for each in how)}; all cells of the next layer read them"


def _mark(face: str, edge: str, style: str = "solid") -> FancyBboxPatch:
    return FancyBboxPatch((0, 0), 1, 1, facecolor=face, edgecolor=edge, linestyle=style, linewidth=1.0)


__all__ = ["TASKS", "grid_figure"]
