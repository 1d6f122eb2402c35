"""Where a path graph's boxes and lines stand: columns by depth, rows by task, lanes as on a metro map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from .graph import ROOT

COLUMN = 0.72  # inches between the boxes of two columns, where lines change rows
ROW = 0.44  # inches from task to task
LANE = 0.085  # inches between the lines of tasks that run side by side
_GAP = 0.14  # inches between the boxes of a column


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


@dataclass(frozen=True)
class Layout:
    """All of a drawing: boxes by node, lines, and the height and width they need."""

    boxes: Mapping[str, Box]
    lines: tuple[Line, ...]
    width: float
    height: float


def lay_out(graph: nx.MultiDiGraph) -> Layout:
    """The layout of a path graph: inputs at the left, heads at the right, each in its task's row."""
    rows = {task: i for i, task in enumerate(graph.graph["tasks"])}
    columns = _columns(graph)
    last = max(columns.values(), default=0)
    centre = ROW * (len(rows) - 1) / 2
    stops = _stops(graph, columns)

    places: dict[str, Box] = {}
    x = 0.0
    for column in range(last + 1):
        here = [node for node in stops if stops[node] == column]
        half = max((_size(graph, node)[0] for node in here), default=0.0) / 2
        x += half + COLUMN if column else 0.0
        wanted = {node: _wanted(graph, node, rows, centre) for node in here}
        here.sort(key=lambda node: (wanted[node], min(rows[t] for t in _tasks(graph, node)), node))
        sizes = [_size(graph, node) for node in here]
        weights = [float(len(_tasks(graph, node))) if node in graph else 0.1 for node in here]
        middles = spread([wanted[node] for node in here], [height for _, height in sizes], weights)
        for node, y, (width, height) in zip(here, middles, sizes, strict=True):
            places[node] = Box(x, y, width, height)
        x += half

    top = min((box.y - box.height / 2 for box in places.values()), default=0.0)
    places = {node: Box(box.x, box.y - top, box.width, box.height) for node, box in places.items()}
    height = max((box.y + box.height / 2 for box in places.values()), default=0.0)
    lines = tuple(_lines(graph, places, columns, rows))
    return Layout({node: places[node] for node in graph}, lines, x, height)


def spread(wanted: Sequence[float], heights: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Middles in the given order, as near to `wanted` as boxes of these heights allow, by least squares.

    With the boxes' own heights taken out this is isotonic regression, solved by pooling neighbours.

    >>> spread([0.0, 0.0], [1.0, 1.0], [1.0, 1.0])
    [-0.57, 0.57]
    """
    below = [0.0]
    for upper, lower in pairwise(heights):
        below.append(below[-1] + (upper + lower) / 2 + _GAP)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for want, base, weight in zip(wanted, below, weights, strict=False):
        pools.append((want - base, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean_b, weight_b, count_b), (mean_a, weight_a, count_a) = pools.pop(), pools.pop()
            weight = weight_a + weight_b
            pools.append(((mean_a * weight_a + mean_b * weight_b) / weight, weight, count_a + count_b))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [round(mean + base, 6) for mean, base in zip(means, below, strict=False)]


def _columns(graph: nx.MultiDiGraph) -> dict[str, int]:
    """The column of each node: its depth, but all heads stand in the last one."""
    columns = {node: data["depth"] for node, data in graph.nodes(data=True)}
    last = max(columns.values(), default=0)
    return {node: last if graph.nodes[node]["kind"] == "head" else column for node, column in columns.items()}


def _waypoint(source: str, target: str, column: int) -> str:
    return f"{source}\x00{target}\x00{column}"


def _stops(graph: nx.MultiDiGraph, columns: Mapping[str, int]) -> dict[str, int]:
    """The column of each node, and of the waypoints where an edge passes a column without stopping."""
    stops = dict(columns)
    for source, target in graph.edges():
        for column in range(columns[source] + 1, columns[target]):
            stops[_waypoint(source, target, column)] = column
    return stops


def _tasks(graph: nx.MultiDiGraph, node: str) -> tuple[str, ...]:
    if node in graph:
        return graph.nodes[node]["tasks"]
    source, target, _ = node.split("\x00")
    return tuple(data["task"] for data in graph.get_edge_data(source, target).values())


def _wanted(graph: nx.MultiDiGraph, node: str, rows: Mapping[str, int], centre: float) -> float:
    if node in graph and (graph.nodes[node]["frozen_by"] == ROOT or graph.nodes[node]["kind"] == "input"):
        return centre
    tasks = _tasks(graph, node)
    return ROW * sum(rows[task] for task in tasks) / len(tasks)


def _size(graph: nx.MultiDiGraph, node: str) -> tuple[float, float]:
    lanes = LANE * (len(_tasks(graph, node)) + 1)
    if node not in graph:
        return 0.0, lanes - LANE
    kind = graph.nodes[node]["kind"]
    if kind == "glue":
        return 0.11, max(0.11, lanes)
    if kind == "head":
        return 0.3, 0.25
    return (0.78 if kind == "input" else 0.86), max(0.34, lanes)


def _lines(
    graph: nx.MultiDiGraph, places: Mapping[str, Box], columns: Mapping[str, int], rows: Mapping[str, int]
) -> list[Line]:
    """Lines of different tasks run side by side, in the order of the tasks, wherever they share a box."""
    lanes = {node: _lanes(_tasks(graph, node), rows) for node in places}
    lines = []
    for source, target, data in graph.edges(data=True):
        task = data["task"]
        stops = [_waypoint(source, target, column) for column in range(columns[source] + 1, columns[target])]
        begin, end = places[source], places[target]
        if columns[source] >= columns[target]:  # beside its host: a short line from above or below
            points = [(begin.x, begin.y), (end.x, end.y)]
        else:
            points = [(begin.x + begin.width / 2, begin.y + lanes[source][task])]
            points += [(places[stop].x, places[stop].y + lanes[stop][task]) for stop in stops]
            points += [(end.x - end.width / 2, end.y + lanes[target][task])]
        lines.append(Line(task, data["kind"], tuple(points)))
    return sorted(lines, key=lambda line: rows[line.task])


def _lanes(tasks: Sequence[str], rows: Mapping[str, int]) -> dict[str, float]:
    ordered = sorted(set(tasks), key=lambda task: rows[task])
    return {task: LANE * (i - (len(ordered) - 1) / 2) for i, task in enumerate(ordered)}
