"""The picture on the page of a path graph: an SVG whose nodes and lines can be told apart, styled by `page.css`."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import networkx as nx

from pathways.choose_root import ROOT
from pathways.palette import TASKS, on
from pathways.text import short_count

from .layout import Box, Layout
from .page_facts import NodeFacts, TaskFacts

INCH = 120  # units of the picture to an inch of the layout: text in boxes is 15 units high
_LEFT, _TOP, _BOTTOM = 14, 16, 30  # units around the layout; glue has its name below it
_LABEL = 14  # from a head to its label
_WIDE, _NARROW = 0.62, 0.57  # width of a letter to its height, bold and plain


@dataclass(frozen=True)
class _Sheet:
    """What all parts of one picture are drawn with.

    Args:
        layout: with its left upper corner at 0.
        tasks: the facts of the tasks.
    """

    layout: Layout
    tasks: Sequence[TaskFacts]

    @cached_property
    def place(self) -> dict[str, int]:
        """Where each task stands among them, by its name."""
        return {task.name: i for i, task in enumerate(self.tasks)}

    @cached_property
    def low(self) -> bool:
        """Whether notes stand beside names, and boxes have one line."""
        return is_low(self.layout)

    @cached_property
    def names(self) -> float:
        """The width of the longest name."""
        return max((_width(task.short, 13 if self.low else 15) for task in self.tasks), default=0.0)

    @property
    def labels(self) -> float:
        """The width of all that stands beside heads."""
        notes = max((_width(task.note, 13, _NARROW) for task in self.tasks), default=0.0)
        return self.names + _LABEL + notes if self.low else max(self.names, notes)


def is_low(layout: Layout) -> bool:
    """Whether rows and boxes have room for one line of words only."""
    return layout.scale.box[1] < 0.3


def graph_svg(
    graph: nx.MultiDiGraph, layout: Layout, nodes: Sequence[NodeFacts], tasks: Sequence[TaskFacts], label: str
) -> str:
    """The picture: a group `pg-task` for each task's lines, in their order, then a group `pg-node` for each node.

    Args:
        graph: made by `pathways.graph.graph_of`.
        layout: of the graph.
        nodes: the facts of its nodes; places among them are `data-node`.
        tasks: the facts of its tasks; places among them are `data-task`.
        label: what the picture is, for whoever does not see it.
    """
    sheet = _Sheet(_moved(layout), tasks)
    width = round(sheet.layout.width * INCH + _LEFT + _LABEL + sheet.labels + 10)
    height = round(sheet.layout.height * INCH + _TOP + _BOTTOM)
    lane = layout.scale.lane * INCH
    style = f"--pg-width:{width}px;--pg-hit:{_n(max(lane, 4.0))}px;--pg-line:{_n(min(2.6, max(0.55 * lane, 1.2)))}px"
    boxes = sheet.layout.boxes
    drawn = [_node(sheet, i, facts, boxes[node]) for i, (node, facts) in enumerate(zip(graph, nodes, strict=True))]
    return (
        f'<svg class="pg-svg{" pg-low" if sheet.low else ""}" role="img" aria-label="{html.escape(label)}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" style="{style}">'
        f'<g class="pg-lines">{_tasks(sheet)}</g><g class="pg-nodes">{"".join(drawn)}</g></svg>'
    )


def _moved(layout: Layout) -> Layout:
    """The layout with its left upper corner at 0, whatever the middles of its first column and row are."""
    ends = [point for line in layout.lines for point in line.points]
    for box in layout.boxes.values():
        ends += [(box.x + side * box.width / 2, box.y + side * box.height / 2) for side in (-1, 1)]
    dx, dy = (min(axis, default=0.0) for axis in ([x for x, _ in ends], [y for _, y in ends]))
    boxes = {node: replace(box, x=box.x - dx, y=box.y - dy) for node, box in layout.boxes.items()}
    lines = tuple(replace(line, points=tuple((x - dx, y - dy) for x, y in line.points)) for line in layout.lines)
    right, low = max((x - dx for x, _ in ends), default=0.0), max((y - dy for _, y in ends), default=0.0)
    return replace(layout, boxes=boxes, lines=lines, width=right, height=low)


def _tasks(sheet: _Sheet) -> str:
    """The lines of each task: what it reads, what else there is, and all of it as wide as a pointer needs."""
    looks = {"reads": "pg-line", "past": "pg-line pg-past"}
    drawn: dict[str, dict[str, str]] = {task.name: {} for task in sheet.tasks}
    for line in sheet.layout.lines:
        look = looks.get(line.kind, "pg-line pg-side")
        drawn[line.task][look] = drawn[line.task].get(look, "") + _curve(line.points)
    groups = []
    for i, task in enumerate(sheet.tasks):
        ways = drawn[task.name]
        paths = [f'<path class="pg-hit" d="{"".join(ways.values())}"/>'] if ways else []
        paths += [f'<path class="{look}" d="{way}"/>' for look, way in sorted(ways.items())]
        groups.append(f'<g class="pg-task" data-task="{i}" style="--hue:var(--task{task.hue})">{"".join(paths)}</g>')
    return "".join(groups)


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A smooth line through points, level at each of them."""
    at = [(_LEFT + x * INCH, _TOP + y * INCH) for x, y in points]
    parts = [f"M{_n(at[0][0])} {_n(at[0][1])}"]
    for (x0, y0), (x1, y1) in pairwise(at):
        middle = (x0 + x1) / 2
        flat = abs(y0 - y1) < 0.05
        parts.append(f"H{_n(x1)}" if flat else f"C{_n(middle)} {_n(y0)} {_n(middle)} {_n(y1)} {_n(x1)} {_n(y1)}")
    return "".join(parts)


def _node(sheet: _Sheet, i: int, facts: NodeFacts, box: Box) -> str:
    at = Box(_LEFT + box.x * INCH, _TOP + box.y * INCH, box.width * INCH, box.height * INCH)
    radius = min(at.width, at.height) / 2 if facts.kind in ("glue", "head") else min(8, at.height / 4)
    shape = (
        f'<rect class="pg-box" x="{_n(at.x - at.width / 2)}" y="{_n(at.y - at.height / 2)}" width="{_n(at.width)}" '
        f'height="{_n(at.height)}" rx="{_n(radius)}"/>'
    )
    trainer = sheet.place.get(facts.frozen_by)
    style, look = "", facts.kind
    if facts.weighs and facts.frozen_by == ROOT:
        look += " pg-root"
    elif facts.weighs and trainer is not None:
        hue = sheet.tasks[trainer].hue
        style = f' style="--hue:var(--task{hue});--tint:var(--tint{hue});--on:{on(TASKS[hue])}"'
        look += " pg-own"
    return (
        f'<g class="pg-node pg-{look}" data-node="{i}"{style}><title>{html.escape(facts.words)}</title>'
        f"{shape}{_texts(sheet, facts, at)}</g>"
    )


def _texts(sheet: _Sheet, facts: NodeFacts, at: Box) -> str:
    if facts.kind == "glue":
        return _text("pg-small pg-quiet", at.x, at.y + at.height / 2 + 14, facts.family)
    if facts.kind == "head":
        return _head(sheet, facts, at)
    if sheet.low and facts.kind != "input":
        return _one_line(facts, at)
    below = facts.size if facts.kind == "input" else f"{short_count(facts.parameters)} · {facts.size}"
    return _fitted("pg-name", at.x, at.y - 3, facts.family, at.width, 14, _WIDE) + _fitted(
        "pg-small", at.x, at.y + 13, below, at.width, 12, _NARROW
    )


def _one_line(facts: NodeFacts, at: Box) -> str:
    """The family, how many use it, and its parameters where there is room."""
    left, right, y = at.x - at.width / 2 + 7, at.x + at.width / 2 - 7, at.y + 4.5
    used = f"×{len(facts.tasks)}" if len(facts.tasks) > 1 else ""
    room = at.width - 20 - _width(used, 12)
    family = _fitted("pg-name pg-left", left, y, facts.family, room + 12, 13, _WIDE)
    count, taken = short_count(facts.parameters), _width(facts.family, 13) + 6
    if taken + _width(count, 12, _NARROW) <= room:
        family += _text("pg-small pg-left", left + taken, y, count)
    return family + (_text("pg-small pg-uses", right, y, used) if used else "")


def _head(sheet: _Sheet, facts: NodeFacts, at: Box) -> str:
    """The outputs in a head; beside it its task and the note."""
    own = [sheet.tasks[sheet.place[task]] for task in facts.tasks]
    name, note, beside = ", ".join(task.short for task in own), own[0].note, at.x + at.width / 2 + _LABEL
    if sheet.low:
        words = _text("pg-label", beside, at.y + 4.5, name)
        words += _text("pg-note pg-quiet", beside + sheet.names + _LABEL, at.y + 4.5, note) if note else ""
        return _fitted("pg-outputs", at.x, at.y + 4.5, facts.size, at.width + 8, 12, _WIDE) + words
    words = _text("pg-label", beside, at.y - 3 if note else at.y + 5, name)
    words += _text("pg-note pg-quiet", beside, at.y + 14, note) if note else ""
    return _fitted("pg-outputs", at.x, at.y + 5, facts.size, at.width, 13, _WIDE) + words


def _fitted(look: str, x: float, y: float, text: str, width: float, size: int, letter: float) -> str:
    """Text at most as wide as its box: smaller to a point, then cut; the card has all of it."""
    room = width - 12
    fits = room / max(_width(text, 1, letter), 1e-9)
    if fits >= size:
        return _text(look, x, y, text)
    least = 10.0
    while fits < least and len(text) > 2:
        text = text.rstrip("…")[:-1] + "…"
        fits = room / _width(text, 1, letter)
    return _text(look, x, y, text, f' style="font-size:{_n(min(max(fits, least), size))}px"')


def _text(look: str, x: float, y: float, text: str, more: str = "") -> str:
    return f' <text class="{look}" x="{_n(x)}" y="{_n(y)}"{more}>{html.escape(text)}</text>'


def _width(text: str, size: float, letter: float = _WIDE) -> float:
    """About how wide a text is drawn: letters of East Asian scripts are as wide as high."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return size * (letter * (len(text) - wide) + wide)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


__all__ = ["INCH", "graph_svg", "is_low"]
