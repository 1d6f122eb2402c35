"""How a network grew: one small picture after each task, all in the places of the last."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathways.canvas import literal, styled
from pathways.palette import FAINT, INK, MUTED
from pathways.text import short_count, short_names

from .filters import until
from .layout import FEW, Layout, Order, lay_out, ribbons_of
from .marks import Look, colours_of, draw_box, draw_line, draw_ribbon

PANELS = 12
"""How many small pictures one figure holds at most."""

_WIDTH, _HEIGHT = 13.33, 7.0  # inches that the panels may take: a slide, without its last lines
_TITLE, _SPACE, _FOOT = 0.48, 0.3, 0.36  # inches above each panel, between panels, and below all


def growth_figure(
    graph: nx.MultiDiGraph, order: Order | None = None, panels: int = PANELS, layout: Layout | None = None
) -> Figure:
    """Small multiples: the graph after each task, with what that task added in its colour and the rest grey.

    Args:
        graph: made by `pathways.graph.path_graph`.
        order: of the tasks from top to bottom, see `pathways.graph.layout.lay_out`.
        panels: at most so many; of more tasks some are chosen, at even distances, with the first and the last.
        layout: of the graph, where there is one already.
    """
    layout = layout or lay_out(graph, order)
    counts = stages(len(graph.graph["tasks"]), panels)
    columns, scale = _grid(len(counts), layout)
    rows = ceil(len(counts) / columns)
    wide, high = layout.width * scale, layout.height * scale
    width = max(columns * (wide + _SPACE) + _SPACE, 6.4)
    height = rows * (high + _TITLE + _SPACE) + _FOOT
    with styled():
        figure = Figure(figsize=(width, height))
        for i, count in enumerate(counts):
            left = _SPACE + (i % columns) * (wide + _SPACE)
            top = (i // columns) * (high + _TITLE + _SPACE) + _TITLE
            axes = figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))
            axes.set_axis_off()
            axes.set(xlim=(0, layout.width), ylim=(layout.height, 0))
            _panel(axes, graph, layout, counts[i - 1] if i else 0, count, scale)
        words = "Filled: a task's path and the modules trained for it. Framed: modules it reuses. Grey: the rest."
        figure.text(_SPACE / width, 0.12 / height, words, fontsize=8, color=MUTED)
    return figure


def stages(tasks: int, most: int) -> list[int]:
    """After how many tasks there is a picture: after each, or at even distances, with the first and the last.

    >>> stages(3, 12), stages(50, 6)
    ([1, 2, 3], [1, 11, 21, 30, 40, 50])
    """
    if tasks <= most:
        return list(range(1, tasks + 1))
    return [1 + round(i * (tasks - 1) / (most - 1)) for i in range(most)] if most > 1 else [tasks]


def added(graph: nx.MultiDiGraph, tasks: Sequence[str]) -> tuple[int, int, int]:
    """How many modules, heads apart, were frozen by these tasks, their parameters, and how many others they use."""
    kinds = ("module", "router", "delta", "part")
    nodes = [data for _, data in graph.nodes(data=True) if data["kind"] in kinds and set(tasks) & set(data["tasks"])]
    new = [data for data in nodes if data["frozen_by"] in tasks]
    return len(new), sum(data["parameters"] for data in new), len(nodes) - len(new)


def _grid(panels: int, layout: Layout) -> tuple[int, float]:
    """How many panels stand side by side, and how large they are: as large as a slide allows."""
    best = (1, 0.0)
    for columns in range(1, max(panels, 1) + 1):
        rows = ceil(panels / columns) or 1
        wide = ((_WIDTH - _SPACE) / columns - _SPACE) / max(layout.width, 1e-9)
        high = (_HEIGHT / rows - _TITLE - _SPACE) / max(layout.height, 1e-9)
        if min(wide, high, 1.0) > best[1]:
            best = (columns, min(wide, high, 1.0))
    return best if best[1] > 0.02 else (4, 0.1)


def _panel(axes: Axes, graph: nx.MultiDiGraph, layout: Layout, before: int, count: int, scale: float) -> None:
    tasks = graph.graph["tasks"]
    part, new, colours = until(graph, count), tasks[before:count], colours_of(graph)
    look = Look(colours, grey=frozenset(tasks[:before]))
    old = [line for line in layout.lines if line.task in tasks[:before]]
    if len(tasks) > FEW:
        for ribbon in ribbons_of(old, layout.scale.lane):
            draw_ribbon(axes, ribbon, MUTED, 0.22)
    else:
        for line in old:
            draw_line(axes, line, FAINT, 0.8, 1.0)
    for line in layout.lines:
        if line.task in new:
            draw_line(axes, line, colours[line.task], 1.5 if len(new) < 4 else 0.9, 1.5)
    for node, data in part.nodes(data=True):
        face, edge, _ = look.of_node(data)
        on_path = [task for task in new if task in data["tasks"]]
        if data["frozen_by"] in new and data["kind"] not in ("input", "glue"):
            face = edge = colours[data["frozen_by"]]
        elif on_path:
            edge = colours[on_path[0]]
        draw_box(axes, layout.boxes[node], face, edge, 0.05, line=1.1 if on_path else 0.6)
    _title(axes, graph, new, before, count, layout.width * scale)


def _title(axes: Axes, graph: nx.MultiDiGraph, new: Sequence[str], before: int, count: int, width: float) -> None:
    modules, parameters, reused = added(graph, new)
    names = short_names(graph.graph["tasks"], longest=max(int((width - 0.3) / 0.085), 6))
    which = f"{count}  {names[new[0]]}" if len(new) == 1 else f"{before + 1}–{count}"
    added_words = (
        f"{modules} new module{'' if modules == 1 else 's'}, {short_count(parameters)}" if modules else "none new"
    )
    words = f"{added_words}; {reused} reused"
    if 0.058 * len(words) > width:
        words = f"+{modules}; {reused} reused"
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(literal(which), (0, 1), (0, 17), fontsize=9, weight="bold", color=INK, **above)
    axes.annotate(words, (0, 1), (0, 6), fontsize=7, color=MUTED, **above)
