"""Drawing a path graph: each task a coloured line from the input to its head, through its modules."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

from .canvas import inline, literal, render, styled
from .errors import ConfigError
from .files import write_atomically
from .graph import ROOT, plain_graph
from .graph_layout import Box, Layout, Line, lay_out
from .palette import INK, MUTED, PAPER, SHARED, on, task_colour, tint
from .text import short_count, short_names

FORMATS = ("svg", "png", "html", "graphml")
_LEFT, _TOP, _BOTTOM = 0.6, 0.3, 0.62  # inches around the layout: labels and legend

MODULES = 400
"""How many modules a picture shows: of more nobody sees anything. `pathways.graph.path_graph` leaves out old tasks."""

_DASHES = (0, (2, 1.5))


def draw_graph(
    graph: nx.MultiDiGraph,
    out: str | FilePath,
    format: str | None = None,
    notes: Mapping[str, str] | None = None,
) -> FilePath:
    """Write a path graph to a file, atomically.

    Args:
        graph: made by `pathways.graph.path_graph`.
        out: the file.
        format: `svg`, `png`, `html` (one self-contained page) or `graphml`; by default the file's ending.
        notes: by task, a few words to show beside its name, such as its accuracy.

    Returns:
        The file.

    Raises:
        ConfigError: another format.
    """
    out = FilePath(out)
    format = format or out.suffix.removeprefix(".")
    if format not in FORMATS:
        raise ConfigError(f"`format` must be one of {list(FORMATS)}, found {format!r}.")
    if format == "graphml":
        data = "\n".join(nx.generate_graphml(plain_graph(graph))).encode()
    elif format == "html":
        data = _page(graph, notes).encode()
    else:
        data = render(graph_figure(graph, notes), format, "graph")
    write_atomically(out, data, durable=False)
    return out


def graph_figure(graph: nx.MultiDiGraph, notes: Mapping[str, str] | None = None) -> Figure:
    """The figure that `draw_graph` writes."""
    layout = lay_out(graph)
    tasks = graph.graph["tasks"]
    colours = {task: task_colour(i) for i, task in enumerate(tasks)}
    names = short_names(tasks, longest=24)
    right = 0.55 + 0.078 * max(map(len, [*names.values(), "x" * 12]))  # inches: bold letters at 8 points
    width, height = layout.width + _LEFT + right, layout.height + _TOP + _BOTTOM
    with styled():
        figure = Figure(figsize=(max(width, 6.4), height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(-_LEFT, max(width, 6.4) - _LEFT), ylim=(layout.height + _BOTTOM, -_TOP))
        for line in layout.lines:
            _draw_line(axes, line, colours[line.task])
        for node, box in layout.boxes.items():
            _draw_node(axes, graph.nodes[node], box, colours)
        _label_heads(axes, graph, layout, names, notes or {})
        _legend(axes, graph)
    return figure


def _draw_line(axes: Axes, line: Line, colour: str) -> None:
    vertices, codes = [line.points[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in zip(line.points, line.points[1:], strict=False):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    plain = line.kind == "reads"
    patch = PathPatch(
        Curve(vertices, codes),
        facecolor="none",
        edgecolor=colour,
        linewidth=2.0 if plain else 1.2,
        linestyle="-" if plain else _DASHES,
        capstyle="round" if plain else "butt",
        zorder=1,
    )
    axes.add_patch(patch)


def _draw_node(axes: Axes, data: Mapping[str, Any], box: Box, colours: Mapping[str, str]) -> None:
    face, edge, ink = _node_colours(data, colours)
    kind = data["kind"]
    rounding = min(box.width, box.height) / 2 if kind in ("glue", "head") else 0.07
    axes.add_patch(
        FancyBboxPatch(
            (box.x - box.width / 2, box.y - box.height / 2),
            box.width,
            box.height,
            facecolor=face,
            edgecolor=edge,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            linewidth=1.1,
            zorder=2,
        )
    )

    def write(text: str, y: float, size: float, colour: str = ink, **more: Any) -> None:
        axes.text(box.x, y, literal(text), fontsize=size, color=colour, ha="center", zorder=3, **more)

    if kind == "glue":
        write(data["family"], box.y + box.height / 2 + 0.07, 5.5, va="top")
    elif kind == "head":
        write(data["size"], box.y + 0.005, 6.5, va="center", weight="bold")
    else:
        parameters = "" if kind == "input" else f"{short_count(data['parameters'])} · "
        write(data["family"][:14], box.y - 0.065, 7.5, va="center", weight="bold")
        write(parameters + data["size"], box.y + 0.075, 5.8, va="center")


def _node_colours(data: Mapping[str, Any], colours: Mapping[str, str]) -> tuple[str, str, str]:
    """Face, edge and text of a node: grey where all share it from the start, else the hue of who froze it."""
    if data["kind"] == "input":
        return PAPER, INK, INK
    if data["kind"] == "glue":
        return PAPER, MUTED, MUTED
    if data["frozen_by"] == ROOT:
        return SHARED, MUTED, INK
    if data["frozen_by"] not in colours:
        return PAPER, MUTED, INK
    colour = colours[data["frozen_by"]]
    return (colour, colour, on(colour)) if data["kind"] == "head" else (tint(colour, 0.22), colour, INK)


def _label_heads(
    axes: Axes, graph: nx.MultiDiGraph, layout: Layout, names: Mapping[str, str], notes: Mapping[str, str]
) -> None:
    for node, box in layout.boxes.items():
        data = graph.nodes[node]
        if data["kind"] != "head":
            continue
        task = data["tasks"][0]
        label, note = literal(", ".join(names[t] for t in data["tasks"])), literal(notes.get(task, ""))
        x = box.x + box.width / 2 + 0.09
        axes.text(x, box.y - (0.055 if note else 0), label, fontsize=8, weight="bold", va="center", color=INK)
        if note:
            axes.text(x, box.y + 0.085, note, fontsize=6.2, va="center", color=MUTED)


def _legend(axes: Axes, graph: nx.MultiDiGraph) -> None:
    nodes = [data for _, data in graph.nodes(data=True)]
    tasks = graph.graph["tasks"]
    trained = [d for d in nodes if d["kind"] == "module" and d["frozen_by"] != ROOT]
    own = [d for d in trained if d["frozen_by"] in tasks]
    colour = task_colour(0)
    side = Line2D([], [], color=colour, linewidth=1.2, linestyle=_DASHES)
    entries: list[tuple[Any, str, bool]] = [
        (Line2D([], [], color=colour, linewidth=2), "the path of one task", True),
        (_swatch(SHARED, MUTED), "module of the root", any(d["frozen_by"] == ROOT for d in nodes)),
        (_swatch(tint(colour, 0.22), colour), "module frozen by the task of its colour", bool(own)),
        (_swatch(PAPER, MUTED), "module of a task not drawn", len(own) < len(trained)),
        (_swatch(PAPER, MUTED), "no weights", any(d["kind"] == "glue" for d in nodes)),
        (_swatch(colour, colour), "head, with its outputs", True),
        (side, "changes, weighs", any(d["kind"] != "reads" for _, _, d in graph.edges(data=True))),
    ]
    shown = [(handle, label) for handle, label, there in entries if there]
    left_out = graph.graph.get("left_out", 0)
    title = f"the newest {len(tasks)} of {len(tasks) + left_out:,} tasks; graphml holds all" if left_out else None
    axes.legend(
        [handle for handle, _ in shown],
        [label for _, label in shown],
        loc="lower left",
        ncols=len(shown),
        frameon=False,
        fontsize=6.5,
        handlelength=1.4,
        columnspacing=1.4,
        borderaxespad=0.6,
        title=title,
        title_fontsize=6.5,
        alignment="left",
    )


def _swatch(face: str, edge: str) -> Line2D:
    look: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": edge, "markersize": 7}
    return Line2D([], [], linestyle="none", marker="s", **look)


def _page(graph: nx.MultiDiGraph, notes: Mapping[str, str] | None) -> str:
    picture = inline(render(graph_figure(graph, notes), "svg", "graph"), "graph")
    modules = [data for _, data in graph.nodes(data=True) if data["kind"] not in ("input", "glue")]
    rows = "".join(map(_row, sorted(modules, key=lambda data: (data["depth"], data["id"]))))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Path graph</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: {INK}; max-width: 1200px; margin: 2rem auto }}
svg {{ width: 100%; height: auto }} table {{ border-collapse: collapse; width: 100%; font-size: 13px }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e3e7ec }}
.n {{ text-align: right }}
</style></head><body><h1>Path graph</h1>{_left_out(graph)}{picture}
<h2>Modules</h2><table><thead><tr><th>family</th><th>kind</th><th class=n>parameters</th><th>output</th>
<th>frozen by</th><th>used by</th><th>blob</th></tr></thead><tbody>{rows}</tbody></table></body></html>
"""


def _left_out(graph: nx.MultiDiGraph) -> str:
    missing, drawn = graph.graph.get("left_out", 0), len(graph.graph["tasks"])
    if not missing:
        return ""
    all_of = "<code>pathways graph --format graphml</code> has all"
    return f"<p>The newest {drawn} of {missing + drawn:,} tasks; {all_of}.</p>"


def _row(data: Mapping[str, Any]) -> str:
    words = [data["size"], data["frozen_by"], ", ".join(data["tasks"])]
    cells = "".join(f"<td>{html.escape(word)}</td>" for word in words)
    return (
        f"<tr><td>{html.escape(data['family'])}</td><td>{data['kind']}</td>"
        f"<td class=n>{data['parameters']:,}</td>{cells}<td><code>{data['id'][:12]}</code></td></tr>"
    )
