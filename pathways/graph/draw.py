"""Drawing a path graph: each task a coloured line from the input to its head, through its modules."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any
from unicodedata import east_asian_width

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathways.canvas import literal, render, styled
from pathways.errors import ConfigError
from pathways.files import write_atomically
from pathways.palette import INK, MUTED
from pathways.text import short_names

from .build import plain_graph
from .layout import FEW, Box, Layout, Order, lay_out, ribbons_of
from .legend import ROW, draw_legend, entries, rows_of
from .marks import PAST, RIBBON, Look, colours_of, draw_line, draw_node, draw_ribbon
from .node_link import graph_to_json
from .page import graph_page

FORMATS = ("svg", "png", "html", "graphml", "json", "gif")
_LEFT, _TOP, _BOTTOM = 0.3, 0.3, 0.34  # inches around the layout; below it there is room for words, then the legend

MODULES = 400
"""How many modules a picture shows: of more nobody sees anything. `pathways.graph.path_graph` leaves out old tasks."""


def draw_graph(
    graph: nx.MultiDiGraph,
    out: str | FilePath,
    format: str | None = None,
    notes: Mapping[str, str] | None = None,
    *,
    highlight: Collection[str] = (),
    order: Order | None = None,
) -> FilePath:
    """Write a path graph to a file, atomically.

    Args:
        graph: made by `pathways.graph.path_graph`.
        out: the file.
        format: `svg`, `png`, `html` (one self-contained page), `graphml`, `json` (see `graph_to_json`; with places
            where the graph is not too large to be drawn) or `gif` (see `animation`); by default the file's ending.
        notes: by task, a few words to show beside its name, such as its accuracy.
        highlight: the tasks whose paths stand out, all others faint; they are also the tasks whose own modules are
            marked `new`, which are the latest task's when none is given.
        order: of the tasks from top to bottom: `time` or `shared`, see `pathways.graph.layout.lay_out`.

    Returns:
        The file.

    Raises:
        ConfigError: another format, or `highlight` names no task of the graph.
    """
    out = FilePath(out)
    format = format or out.suffix.removeprefix(".")
    if format not in FORMATS:
        raise ConfigError(f"`format` must be one of {list(FORMATS)}, found {format!r}.")
    if format == "graphml":
        data = "\n".join(nx.generate_graphml(plain_graph(graph))).encode()
    elif format == "json":
        layout = lay_out(graph, order) if graph.number_of_nodes() <= 3 * MODULES else None
        data = json.dumps(graph_to_json(graph, layout), indent=1, ensure_ascii=False).encode() + b"\n"
    elif format == "gif":
        from .animation import animation

        data = animation(graph, notes, order)
    elif format == "html":
        data = graph_page(graph, notes).encode()
    else:
        data = render(graph_figure(graph, notes, highlight=highlight, order=order), format, "graph")
    write_atomically(out, data, durable=False)
    return out


def graph_figure(
    graph: nx.MultiDiGraph,
    notes: Mapping[str, str] | None = None,
    *,
    highlight: Collection[str] = (),
    order: Order | None = None,
) -> Figure:
    """The figure that `draw_graph` writes; see there."""
    layout = lay_out(graph, order)
    colours = colours_of(graph)
    unknown = sorted(set(highlight) - set(colours))
    if unknown:
        raise ConfigError(f"`highlight` must name tasks of the graph, found {unknown[0]!r}; it has {list(colours)}.")
    marked = frozenset(highlight) or frozenset(graph.graph["tasks"][-1:])
    return picture(graph, layout, Look(colours, frozenset(highlight), marked), notes)


def picture(
    graph: nx.MultiDiGraph, layout: Layout, look: Look, notes: Mapping[str, str] | None = None, title: str = ""
) -> Figure:
    """A graph in the places of a layout, which may be that of a larger graph, in the colours of a look.

    With a title above it has no legend below, so that all pictures of one layout are of one size.
    """
    words = _words(graph, layout, notes or {})
    width = max(layout.width + _LEFT + words.width, 6.4)
    legend = [] if title else rows_of(entries(graph, layout, look), width - 2 * _LEFT)
    below, above = layout.height + _BOTTOM + ROW * len(legend), _TOP + (0.3 if title else 0.0)
    with styled():
        figure = Figure(figsize=(width, below + above))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(-_LEFT, width - _LEFT), ylim=(below, -above))
        if title:
            axes.text(0, -0.3, literal(title), fontsize=12, weight="bold", va="center")
        _draw_ways(axes, graph, layout, look)
        for node, data in graph.nodes(data=True):
            draw_node(axes, data, layout.boxes[node], look, layout.scale)
            if data["kind"] == "head":
                _label_head(axes, data, layout.boxes[node], words, look)
        draw_legend(axes, legend, 0.0, below - ROW * (len(legend) - 0.35))
    return figure


def _draw_ways(axes: Axes, graph: nx.MultiDiGraph, layout: Layout, look: Look) -> None:
    """Lines of few tasks; of many ribbons, and lines only for those that are to be seen among them."""
    tasks = frozenset(graph.graph["tasks"])
    alone = look.bright or (tasks - look.grey if look.grey else frozenset())
    lines = [line for line in layout.lines if line.task in tasks]
    if len(layout.rows) > FEW:
        for ribbon in ribbons_of([line for line in lines if line.task not in alone], layout.scale.lane):
            data = graph.nodes[ribbon.edge[0]]
            grey = alone or data["kind"] in ("input", "glue")
            strength = PAST if alone or ribbon.kind == "past" else RIBBON
            draw_ribbon(axes, ribbon, MUTED if grey else look.of_node(data)[1], strength)
        lines = [line for line in lines if line.task in alone]
    for line in lines:
        draw_line(axes, line, look.of_line(line.task), 2.0, 1.5 if line.task in alone else 1.0)


@dataclass(frozen=True)
class _Words:
    """What is written beside heads: names, with notes below them, or beside them where rows are low."""

    names: Mapping[tuple[str, ...], str]
    notes: Mapping[str, str]
    low: bool

    @property
    def note_at(self) -> float:
        """Inches from a name's beginning to that of its note, in low rows."""
        return 0.12 + 0.07 * max(map(_letters, self.names.values()), default=0)

    @property
    def width(self) -> float:
        """Inches from the heads' right edge to that of the figure."""
        note = 0.057 * max(map(_letters, self.notes.values()), default=0)
        longest = max(map(_letters, [*self.names.values(), "x" * 8]))
        return 0.2 + (self.note_at + note if self.low else max(0.1 + 0.087 * longest, 0.1 + note))


def _letters(text: str) -> float:
    """How wide a text is, in letters of usual width."""
    return sum(1.55 if letter in "WMmw@%" or east_asian_width(letter) in "WF" else 1.0 for letter in text)


def _words(graph: nx.MultiDiGraph, layout: Layout, notes: Mapping[str, str]) -> _Words:
    """By the tasks of a head, its name; those of the whole layout, so that part of it is drawn as wide."""
    short = short_names(layout.rows, longest=24)
    heads = [data["tasks"] for _, data in graph.nodes(data=True) if data["kind"] == "head"]
    names: dict[tuple[str, ...], str] = {(task,): name for task, name in short.items()}
    for tasks in heads:
        joined = ", ".join(short[task] for task in tasks)
        names[tasks] = joined if len(joined) <= 36 else f"{joined[:35]}…"
    return _Words(names, {task: notes[task] for task in layout.rows if task in notes}, layout.scale.row < 0.4)


def _label_head(axes: Axes, data: Mapping[str, Any], box: Box, words: _Words, look: Look) -> None:
    label, x = literal(words.names[data["tasks"]]), box.x + box.width / 2 + 0.09
    note = literal(words.notes.get(data["tasks"][0], ""))
    ink = MUTED if look.bright and not look.bright & set(data["tasks"]) else INK
    bold: dict[str, Any] = {"weight": "bold", "color": ink}
    if words.low:
        axes.text(x, box.y, label, fontsize=6.5, va="center", **bold)
        axes.text(x + words.note_at, box.y, note, fontsize=6.5, va="center", color=MUTED)
    else:
        axes.text(x, box.y - (0.07 if note else 0), label, fontsize=8.5, va="center", **bold)
        axes.text(x, box.y + 0.085, note, fontsize=6.8, va="center", color=MUTED)
