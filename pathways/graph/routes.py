"""Which way the lines of a path graph go: columns, the waypoints of lines that pass columns, and lanes side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import networkx as nx

from .order import in_order

Edge = tuple[str, str]


@dataclass(frozen=True)
class Routes:
    """The columns' items (nodes and waypoints), where each edge stops, and who passes.

    All lines that leave a node and pass a column do so at one waypoint, side by side, and part just before where they
    go: so that what goes one way is seen as one.
    """

    columns: tuple[tuple[str, ...], ...]
    stops: Mapping[Edge, tuple[str, ...]]
    tasks: Mapping[str, tuple[str, ...]]
    hosts: Mapping[str, str]
    edge_tasks: Mapping[Edge, frozenset[str]]

    def lines(self) -> list[dict[str, dict[str, int]]]:
        """Of each gap between two columns, how many tasks run from item to item."""
        column = {item: c for c, items in enumerate(self.columns) for item in items}
        tasks: dict[Edge, set[str]] = defaultdict(set)
        for edge, stops in self.stops.items():
            for a, b in pairwise(stops):
                tasks[a, b].update(self.edge_tasks[edge])
        gaps: list[dict[str, dict[str, int]]] = [{} for _ in self.columns[1:]]
        for (a, b), found in tasks.items():
            gaps[column[a]].setdefault(a, {})[b] = len(found)
        return gaps


def routes_of(graph: nx.MultiDiGraph, rows: Mapping[str, int]) -> Routes:
    """The routes of a graph, each column sorted by the mean row of the tasks that pass there.

    Args:
        graph: made by `pathways.graph.graph_of`.
        rows: by task, its place from top to bottom.
    """
    columns = columns_of(graph)
    tasks: dict[str, set[str]] = {node: set(data["tasks"]) for node, data in graph.nodes(data=True)}
    edge_tasks: dict[Edge, set[str]] = defaultdict(set)
    for source, target, task in graph.edges(data="task"):
        edge_tasks[source, target].add(task)
    where = dict(columns)
    stops: dict[Edge, tuple[str, ...]] = {}
    for (source, target), passing in edge_tasks.items():
        if columns[source] >= columns[target]:
            continue
        between = {f"\x00{source}\x00{column}": column for column in range(columns[source] + 1, columns[target])}
        where |= between
        for waypoint in between:
            tasks.setdefault(waypoint, set()).update(passing)
        stops[source, target] = (source, *between, target)

    def wanted(item: str) -> tuple[float, int, str]:
        mine = [rows[task] for task in tasks[item]]
        return sum(mine) / len(mine), min(mine), item

    lists: list[list[str]] = [[] for _ in range(max(where.values(), default=-1) + 1)]
    for item in sorted(where, key=wanted):
        lists[where[item]].append(item)
    return Routes(
        tuple(map(tuple, lists)),
        stops,
        {item: tuple(sorted(mine, key=rows.__getitem__)) for item, mine in tasks.items()},
        _hosts(graph, columns),
        {edge: frozenset(passing) for edge, passing in edge_tasks.items()},
    )


def columns_of(graph: nx.MultiDiGraph) -> dict[str, int]:
    """The column of each node: its depth, without depths where nothing stands; all heads stand in the last one."""
    depths = {data["depth"] for _, data in graph.nodes(data=True)}
    ranks = {depth: i for i, depth in enumerate(sorted(depths))}
    columns = {node: ranks[data["depth"]] for node, data in graph.nodes(data=True)}
    last = max(columns.values(), default=0)
    return {node: last if graph.nodes[node]["kind"] == "head" else column for node, column in columns.items()}


def _hosts(graph: nx.MultiDiGraph, columns: Mapping[str, int]) -> dict[str, str]:
    """Of what stands beside another node of its column (a delta, a router, a part), that node."""
    hosts: dict[str, str] = {}
    for source, target in sorted(set(graph.edges())):
        end = target
        while end in hosts:
            end = hosts[end]
        if columns[source] == columns[target] and source not in hosts and end != source:
            hosts[source] = target
    return hosts


def ordered(routes: Routes, fixed: bool, sweeps: int) -> tuple[tuple[str, ...], ...]:
    """The columns with few crossings; what stands beside a host goes with it, just above. `fixed`: heads stay."""

    def host(item: str) -> str:
        while item in routes.hosts:
            item = routes.hosts[item]
        return item

    beside: dict[str, list[str]] = defaultdict(list)
    for items in routes.columns:
        for item in items:
            beside[host(item)].append(item)
    links: list[dict[str, dict[str, int]]] = []
    for gap in routes.lines():
        merged: dict[str, dict[str, int]] = {}
        for a, ends in gap.items():
            for b, count in ends.items():
                inner = merged.setdefault(host(a), {})
                inner[host(b)] = inner.get(host(b), 0) + count
        links.append(merged)
    units = [[item for item in items if item not in routes.hosts] for items in routes.columns]
    order = in_order(units, links, fixed, sweeps)
    return tuple(
        tuple(item for unit in units for item in [*(i for i in beside[unit] if i != unit), unit]) for units in order
    )


def lanes_of(routes: Routes, rows: Mapping[str, int]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The tasks of each item from top to bottom where they come in, and where they leave.

    They come in the order of where they come from and leave in that of where they go, so that none cross just there;
    those that go the same way stand in the order of rows at both ends. At a waypoint both are the same.
    """
    place = {item: i for items in routes.columns for i, item in enumerate(items)}
    behind: dict[tuple[str, str], list[tuple[int, ...]]] = defaultdict(list)
    before: dict[tuple[str, str], list[int]] = defaultdict(list)
    for edge, stops in routes.stops.items():
        for task in routes.edge_tasks[edge]:
            for i, stop in enumerate(stops[:-1]):
                behind[stop, task].append(tuple(place[later] for later in stops[i + 1 :]))
            before[stops[-1], task].append(place[stops[-2]])

    def leaves(item: str, task: str) -> tuple[float, tuple[int, ...], int]:
        ways = behind.get((item, task), [(place[item],)])
        return sum(way[0] for way in ways) / len(ways), min(ways)[1:], rows[task]

    def comes(item: str, task: str) -> tuple[float, int]:
        ways = before.get((item, task), [place[item]])
        return sum(ways) / len(ways), rows[task]

    out = {item: sorted(tasks, key=lambda task: leaves(item, task)) for item, tasks in routes.tasks.items()}
    into = {
        item: out[item] if item.startswith("\x00") else sorted(tasks, key=lambda task: comes(item, task))
        for item, tasks in routes.tasks.items()
    }
    return into, out


def shared_order(graph: nx.MultiDiGraph) -> Sequence[str]:
    """The tasks sorted so that those whose paths begin alike stand together: a walk through the tree of their paths."""
    nodes = sorted(graph.nodes(data="depth"), key=lambda pair: pair[1])
    first = {node: i for i, (node, _) in enumerate(nodes)}
    ways: dict[str, list[int]] = {task: [] for task in graph.graph["tasks"]}
    for node, _ in nodes:
        for task in graph.nodes[node]["tasks"]:
            ways[task].append(first[node])
    return sorted(ways, key=lambda task: (ways[task], graph.graph["tasks"].index(task)))
