"""Where a path graph's boxes and lines stand: columns by depth, rows by task, lanes as on a metro map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import networkx as nx

from .order import SWEEPS, crossings_between
from .routes import Routes, lanes_of, ordered, routes_of, shared_order
from .settle import GAP, settled

FEW = 16
"""Up to so many tasks each has a line in its own colour and stands in the order learned; more run as ribbons, sorted by
what they share, in boxes and rows that are small enough for a slide."""

Order = Literal["time", "shared"]


@dataclass(frozen=True)
class Scale:
    """How large things are, in inches."""

    row: float = 0.44
    """From task to task."""
    lane: float = 0.085
    """Between the lines of tasks that run side by side."""
    box: tuple[float, float] = (0.98, 0.4)
    """Width and least height of a module."""
    head: tuple[float, float] = (0.32, 0.26)
    glue: float = 0.11
    gap: float = GAP
    """Between boxes of one column."""
    steep: float = 0.2
    """Width of a gap between columns, by how far the lines in it go up or down."""


def scale_for(tasks: int) -> Scale:
    """Rows, lanes and boxes for so many tasks: with more than `FEW`, of fifty each row takes the height of its words.

    >>> scale_for(12) == Scale(), scale_for(50).row
    (True, 0.15)
    """
    if tasks <= FEW:
        return Scale()
    row = max(0.15, min(0.3, 7.5 / tasks))
    return Scale(row, max(0.018, min(0.06, 1.5 / tasks)), (1.12, 0.2), (0.22, 0.8 * row), 0.08, 0.07, 0.22)


@dataclass(frozen=True)
class Box:
    """A node's place in inches: its middle, width and height; y grows downwards from the first task."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Line:
    """One task's line along one edge: points from left to right, to be joined smoothly."""

    task: str
    kind: str
    points: tuple[tuple[float, float], ...]
    edge: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Ribbon:
    """All tasks' lines along one edge as one: its middle, and a width of one lane for each task."""

    edge: tuple[str, str]
    kind: str
    tasks: tuple[str, ...]
    points: tuple[tuple[float, float], ...]
    width: float


@dataclass(frozen=True)
class Layout:
    """All of a drawing: boxes by node, lines, and the height and width they need; tasks from top to bottom."""

    boxes: Mapping[str, Box]
    lines: tuple[Line, ...]
    width: float
    height: float
    ribbons: tuple[Ribbon, ...] = ()
    rows: tuple[str, ...] = ()
    scale: Scale = Scale()


def lay_out(graph: nx.MultiDiGraph, order: Order | None = None, sweeps: int = SWEEPS) -> Layout:
    """The layout of a path graph: inputs at the left, heads at the right, each in its task's row.

    Args:
        graph: made by `pathways.graph.graph_of`.
        order: of the rows: `time`, as learned, or `shared`, so that few lines cross and tasks that share stand
            together. By default `time` up to `FEW` tasks.
        sweeps: how often at most the columns are sorted anew, see `pathways.graph.order.in_order`.
    """
    tasks = graph.graph["tasks"]
    order = order or ("time" if len(tasks) <= FEW else "shared")
    rows = {task: i for i, task in enumerate(tasks)}
    routes = routes_of(graph, rows)
    columns = ordered(routes, order == "time", sweeps)
    if order == "shared":
        others = routes_of(graph, {task: i for i, task in enumerate(shared_order(graph))})
        columns = min(columns, ordered(others, False, sweeps), key=lambda found: _crossed(routes, found))
        heads = [node for node in (columns[-1] if columns else ()) if graph.nodes[node]["kind"] == "head"]
        rows = {task: i for i, task in enumerate(task for head in heads for task in graph.nodes[head]["tasks"])}
        routes = replace(routes, tasks={k: tuple(sorted(v, key=rows.__getitem__)) for k, v in routes.tasks.items()})
    return _placed(graph, replace(routes, columns=columns), rows, scale_for(len(rows)))


def crossings(layout: Layout) -> int:
    """How many times a task's line crosses another task's, between columns."""
    steps: dict[tuple[float, float], list[tuple[float, float]]] = defaultdict(list)
    for line in layout.lines:
        for (x0, y0), (x1, y1) in pairwise(line.points):
            if x1 - x0 > 1e-9:
                steps[round(x0, 4), round(x1, 4)].append((round(y0, 4), round(y1, 4)))
    count = 0
    for lines in steps.values():
        lines.sort()
        for i, (y0, y1) in enumerate(lines):
            count += sum(y0 < z0 and y1 > z1 for z0, z1 in lines[i + 1 :])
    return count


def _crossed(routes: Routes, columns: Sequence[Sequence[str]]) -> int:
    return sum(map(crossings_between, columns, columns[1:], routes.lines()))


def _placed(graph: nx.MultiDiGraph, routes: Routes, rows: Mapping[str, int], scale: Scale) -> Layout:
    sizes = {item: _size(graph, item, len(tasks), scale) for item, tasks in routes.tasks.items()}
    into, out = lanes_of(routes, rows)
    entry = {item: _lanes(tasks, scale.lane) for item, tasks in into.items()}
    leave = {item: _lanes(tasks, scale.lane) for item, tasks in out.items()}
    pinned = {
        item: scale.row * sum(rows[task] for task in tasks) / len(tasks)
        for item, tasks in routes.tasks.items()
        if item in graph and graph.nodes[item]["kind"] == "head"
    }
    heights = {item: height for item, (_, height) in sizes.items()}
    middles = settled(graph, routes, pinned, heights, (entry, leave), scale.gap)
    top = min((middles[item] - sizes[item][1] / 2 for item in middles), default=0.0)
    middles = {item: round(y - top, 6) for item, y in middles.items()}
    height = max((middles[item] + sizes[item][1] / 2 for item in middles), default=0.0)

    passes = {
        (edge, task): [(middles[stop] + entry[stop][task], middles[stop] + leave[stop][task]) for stop in stops]
        for edge, stops in routes.stops.items()
        for task in routes.edge_tasks[edge]
    }
    spans = _spans(graph, routes, sizes, passes, scale)
    column = {item: c for c, items in enumerate(routes.columns) for item in items}
    boxes = {node: Box(round(sum(spans[column[node]]) / 2, 6), middles[node], *sizes[node]) for node in graph.nodes}
    lines = []
    for source, target, data in graph.edges(data=True):
        begin, end, edge = boxes[source], boxes[target], (source, target)
        if edge not in routes.stops:  # beside its host: a short line from above or below
            points = [(begin.x, begin.y), (end.x, end.y)]
        else:
            points = _points(begin, end, passes[edge, data["task"]], spans[column[source] : column[target] + 1])
        lines.append(Line(data["task"], data["kind"], _apart(points), edge))
    lines.sort(key=lambda line: rows[line.task])
    width = spans[-1][1] if spans else 0.0
    return Layout(boxes, tuple(lines), width, height, ribbons_of(lines, scale.lane), tuple(rows), scale)


Passes = Mapping[tuple[tuple[str, str], str], Sequence[tuple[float, float]]]
"""By edge and task, how high the task's line comes to each stop, and leaves it."""


def _spans(
    graph: nx.MultiDiGraph, routes: Routes, sizes: Mapping[str, tuple[float, float]], passes: Passes, scale: Scale
) -> list[tuple[float, float]]:
    """Where each column begins and ends: as far from the last one as the lines between them go up or down."""
    rises = [0.0] * len(routes.columns)
    column = {item: c for c, items in enumerate(routes.columns) for item in items}
    for (edge, _), ends in passes.items():
        for c, ((_, y0), (y1, _)) in enumerate(pairwise(ends), column[edge[0]] + 1):
            rises[c] = max(rises[c], abs(y1 - y0))
    x, spans = 0.0, []
    for c, items in enumerate(routes.columns):
        x += min(max(0.26 + scale.steep * rises[c], 0.34), 1.25) if c else 0.0
        width = 2 * max((_reach(graph, item, sizes) for item in items), default=0.0)
        spans.append((x, x + width))
        x += width
    return spans


def _points(
    begin: Box, end: Box, ends: Sequence[tuple[float, float]], spans: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """A line from box to box: level within columns, up or down only between them."""
    out, into = begin.x + begin.width / 2, end.x - end.width / 2
    points = [(out, ends[0][1])]
    for i, ((low, high), (left, right)) in enumerate(zip(ends, spans, strict=True)):
        # Boxes stand on rounded places: one as wide as its column may reach past it by the last digit.
        points += [(min(left, into), low)] if i else []
        points += [(max(right, out), high)] if i < len(spans) - 1 else []
    return [*points, (into, ends[-1][0])]


def _size(graph: nx.MultiDiGraph, item: str, tasks: int, scale: Scale) -> tuple[float, float]:
    lanes = scale.lane * (tasks + 1)
    if item not in graph:
        return 0.0, lanes - scale.lane
    kind = graph.nodes[item]["kind"]
    if kind == "glue":
        return scale.glue, max(scale.glue, lanes)
    if kind == "head":
        return scale.head
    return scale.box[0] * (0.85 if kind == "input" else 1.0), max(scale.box[1], lanes)


def _reach(graph: nx.MultiDiGraph, item: str, sizes: Mapping[str, tuple[float, float]]) -> float:
    """Half the width that an item takes of its column: words below what has no weights are wider than that."""
    if item in graph and graph.nodes[item]["kind"] == "glue":
        return 0.034 * len(graph.nodes[item]["family"])
    return sizes[item][0] / 2


def _lanes(tasks: Sequence[str], lane: float) -> dict[str, float]:
    return {task: round(lane * (i - (len(tasks) - 1) / 2), 6) for i, task in enumerate(tasks)}


def _apart(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    rounded = [(round(x, 6), round(y, 6)) for x, y in points]
    return tuple(at for i, at in enumerate(rounded) if not i or at != rounded[i - 1])


def ribbons_of(lines: Sequence[Line], lane: float) -> tuple[Ribbon, ...]:
    """The lines of each edge as one, a lane wide for each; of some of a layout's lines as of all."""
    together: dict[tuple[tuple[str, str], str], list[Line]] = defaultdict(list)
    for line in lines:
        together[line.edge, line.kind].append(line)
    ribbons = []
    for (edge, kind), members in together.items():
        points = tuple(
            (at[0][0], round(sum(y for _, y in at) / len(at), 6))
            for at in zip(*(line.points for line in members), strict=True)
        )
        tasks = tuple(line.task for line in members)
        ribbons.append(Ribbon(edge, kind, tasks, points, round(lane * len(tasks), 6)))
    return tuple(ribbons)
