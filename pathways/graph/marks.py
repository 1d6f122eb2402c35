"""What a picture of a path graph is made of: lines and ribbons, boxes with their words, and marks at their corners.

They are added as artists, not as patches: limits are given, and asking every curve for its own takes most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve

from pathways.canvas import literal
from pathways.choose_root import ROOT
from pathways.palette import FAINT, INK, MUTED, PAPER, SHARED, TINT, on, task_colour, tint
from pathways.text import short_count

from .layout import Box, Line, Ribbon, Scale

_DASHES: dict[str, Any] = {"reads": "-", "past": (0, (0.6, 1.6))}
_SIDE: Any = (0, (2, 1.5))
RIBBON, PAST = 0.42, 0.18
"""How strong a ribbon's colour is, through which others are seen; and one past modules that are not drawn."""


@dataclass(frozen=True)
class Look:
    """How a graph is coloured.

    Args:
        colours: of each task.
        bright: the tasks whose paths are shown in full, others faint; none: all are.
        new: the tasks whose own modules carry a mark.
        grey: the tasks whose lines and boxes are grey, as before the one that is learned.
    """

    colours: Mapping[str, str]
    bright: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()
    grey: frozenset[str] = frozenset()

    def of_line(self, task: str) -> str:
        """The colour of a task's line."""
        faint = self.bright and task not in self.bright
        return FAINT if faint or task in self.grey else self.colours[task]

    def of_node(self, data: Mapping[str, Any]) -> tuple[str, str, str]:
        """Face, edge and text of a node: grey where all share it from the start, else the hue of who froze it."""
        freezer, kind = data["frozen_by"], data["kind"]
        if self.bright and not self.bright & set(data["tasks"]):
            return PAPER, FAINT, MUTED
        if kind in ("input", "glue"):
            return PAPER, INK if kind == "input" else MUTED, INK
        if freezer == ROOT or freezer in self.grey:
            return SHARED, MUTED, INK
        if freezer not in self.colours:
            return PAPER, MUTED, INK
        colour = self.colours[freezer]
        return (colour, colour, on(colour)) if kind == "head" else (tint(colour, TINT), colour, INK)


def colours_of(graph: nx.MultiDiGraph) -> dict[str, str]:
    """Each task's colour: that of its place in the order of learning, whichever tasks are drawn beside it."""
    tasks = graph.graph["tasks"]
    return {task: task_colour(i) for task, i in zip(tasks, graph.graph.get("places", range(len(tasks))), strict=True)}


def draw_line(axes: Axes, line: Line, colour: str, width: float = 2.0, layer: float = 1.0) -> None:
    """A line, smooth from point to point; dashed where nothing is read."""
    vertices, codes = [line.points[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(line.points):
        more, how = _curve(x0, y0, x1, y1)
        vertices += more
        codes += how
    plain, kept = line.kind == "reads", line.kind in ("reads", "past")
    axes.add_artist(
        PathPatch(
            Curve(vertices, codes),
            facecolor="none",
            edgecolor=colour,
            linewidth=width if kept else 0.6 * width,
            linestyle=_DASHES.get(line.kind, _SIDE),
            capstyle="round" if plain else "butt",
            zorder=layer,
        )
    )


def draw_ribbon(axes: Axes, ribbon: Ribbon, colour: str, strength: float = RIBBON) -> None:
    """A ribbon as a face between its two edges, so that it is as wide going up as it is going level."""
    half = 0.5 * ribbon.width
    upper = [(x, y - half) for x, y in ribbon.points]
    lower = [(x, y + half) for x, y in reversed(ribbon.points)]
    vertices, codes = [upper[0]], [Curve.MOVETO]
    for points in (upper, lower):
        if points is lower:
            vertices.append(lower[0])
            codes.append(Curve.LINETO)
        for (x0, y0), (x1, y1) in pairwise(points):
            more, how = _curve(x0, y0, x1, y1)
            vertices += more
            codes += how
    vertices.append(upper[0])
    codes.append(Curve.CLOSEPOLY)
    axes.add_artist(
        PathPatch(Curve(vertices, codes), facecolor=colour, alpha=strength, edgecolor="none", linewidth=0, zorder=0.5)
    )


def _curve(x0: float, y0: float, x1: float, y1: float) -> tuple[list[tuple[float, float]], list[Any]]:
    if y0 == y1:
        return [(x1, y1)], [Curve.LINETO]
    middle = (x0 + x1) / 2
    return [(middle, y0), (middle, y1), (x1, y1)], [Curve.CURVE4] * 3


def draw_node(axes: Axes, data: Mapping[str, Any], box: Box, look: Look, scale: Scale) -> None:
    """A node's box, its words, how many use it, and whether it is new."""
    face, edge, ink = look.of_node(data)
    draw_box(axes, box, face, edge, min(box.width, box.height) / 2 if data["kind"] in ("glue", "head") else 0.07)
    small = scale.box[1] < 0.3
    marked = not small and box.height < 0.5 and (len(data["tasks"]) > 1 or data["frozen_by"] in look.new)
    _words(axes, data, box, scale, ink, lower=0.03 if marked else 0.0)
    faint = look.bright and not look.bright & set(data["tasks"])
    if data["kind"] in ("input", "glue", "head"):
        return
    if len(data["tasks"]) > 1 and not small:
        _mark(axes, box, f"×{len(data['tasks'])}", PAPER, edge, MUTED if faint else INK, right=True)
    if data["frozen_by"] in look.new:
        colour = look.colours[data["frozen_by"]]
        _mark(axes, box, "new", colour, colour, on(colour), right=False, small=small)


def _words(axes: Axes, data: Mapping[str, Any], box: Box, scale: Scale, ink: str, lower: float) -> None:
    def write(text: str, x: float, y: float, size: float, **more: Any) -> None:
        axes.text(x, y, literal(text), fontsize=size, color=more.pop("color", ink), zorder=4, **more)

    kind, family, middle = data["kind"], data["family"], {"ha": "center", "va": "center"}
    if kind == "glue":
        write(family, box.x, box.y + box.height / 2 + 0.04, 6.5, ha="center", va="top")
    elif kind == "head":
        write(data["size"], box.x, box.y + 0.004, 7 if scale.row > 0.2 else 6.5, weight="bold", **middle)
    elif scale.box[1] < 0.3 and kind != "input":
        used = f"×{len(data['tasks'])}" if len(data["tasks"]) > 1 else ""
        count = short_count(data["parameters"])
        left, right = box.x - box.width / 2 + 0.05, box.x + box.width / 2 - 0.05
        write(family[: 15 - len(used)], left, box.y, 6.5, weight="bold", ha="left", va="center_baseline")
        write(used, right, box.y, 6.5, weight="bold", ha="right", va="center_baseline")
        if len(family + count + used) <= 14:
            x = left + 0.064 * len(family) + 0.05
            write(count, x, box.y, 6.5, color=MUTED, ha="left", va="center_baseline")
    else:
        parameters = "" if kind == "input" else f"{short_count(data['parameters'])} · "
        write(family[:14], box.x, box.y - 0.075 + lower, 8, weight="bold", **middle)
        write(parameters + data["size"], box.x, box.y + 0.075 + lower, 6.5, **middle)


def _mark(axes: Axes, box: Box, word: str, face: str, edge: str, ink: str, *, right: bool, small: bool = False) -> None:
    """A word on the upper edge of a box, at its right or left end; on the left edge of a small box."""
    width, height = 0.062 * len(word) + 0.07, 0.135
    x = box.x + (1 if right else -1) * (box.width / 2 - width / 2 - 0.03)
    y = box.y - box.height / 2
    if small:
        x, y = box.x - box.width / 2 - width / 2 + 0.02, box.y
    draw_box(axes, Box(x, y, width, height), face, edge, height / 2, layer=3.0, line=0.8)
    axes.text(
        x, y + 0.004, word, fontsize=6.5, weight="bold", color=ink, ha="center", va="center", zorder=4
    )  # fmt: skip


def draw_box(
    axes: Axes, box: Box, face: str, edge: str, rounding: float, layer: float = 2.0, line: float = 1.1
) -> None:
    """A box with round corners."""
    axes.add_artist(
        FancyBboxPatch(
            (box.x - box.width / 2, box.y - box.height / 2),
            box.width,
            box.height,
            facecolor=face,
            edgecolor=edge,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            linewidth=line,
            clip_on=False,
            zorder=layer,
        )
    )
