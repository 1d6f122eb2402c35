"""A path graph as JSON: nodes and links with all they carry, and where a picture would put them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx

from .layout import Layout


def graph_to_json(graph: nx.MultiDiGraph, layout: Layout | None = None) -> dict[str, Any]:
    """Plain data that `graph_from_json` makes the graph of again.

    `tasks` holds each task's `name` and `place` in the order of learning, `left_out` how many tasks are not in the
    graph. `nodes` hold `node`, the name that edges use, and what `pathways.graph.graph_of` says of nodes; `edges` hold
    `source`, `target`, `key`, `task` and `kind`. With a layout, `layout` holds `width` and `height` in inches, `boxes`
    by node (`x` and `y` of the middle, y growing downwards, `width`, `height`), and `lines` (`source`, `target`,
    `task`, `kind`, `points` from left to right).

    Args:
        graph: made by `pathways.graph.path_graph`.
        layout: made by `pathways.graph.layout.lay_out`; without one there are no positions.

    Example:
        >>> graph_to_json(nx.MultiDiGraph(tasks=("wine",), places=(0,)))
        {'tasks': [{'name': 'wine', 'place': 0}], 'left_out': 0, 'nodes': [], 'edges': []}
    """
    tasks = graph.graph["tasks"]
    places = graph.graph.get("places", range(len(tasks)))
    data: dict[str, Any] = {
        "tasks": [{"name": task, "place": place} for task, place in zip(tasks, places, strict=True)],
        "left_out": graph.graph.get("left_out", 0),
        "nodes": [{"node": node, **_plain(facts)} for node, facts in graph.nodes(data=True)],
        "edges": [
            {"source": a, "target": b, "key": key, **_plain(facts)}
            for a, b, key, facts in graph.edges(keys=True, data=True)
        ],
    }
    if layout is not None:
        data["layout"] = {
            "width": round(layout.width, 6),
            "height": round(layout.height, 6),
            "boxes": {
                node: {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
                for node, box in layout.boxes.items()
            },
            "lines": [
                {
                    "source": line.edge[0],
                    "target": line.edge[1],
                    "task": line.task,
                    "kind": line.kind,
                    "points": [list(point) for point in line.points],
                }
                for line in layout.lines
            ],
        }
    return data


def graph_from_json(data: Mapping[str, Any]) -> nx.MultiDiGraph:
    """The graph that `graph_to_json` was given.

    >>> graph = nx.MultiDiGraph(tasks=("wine",), places=(0,))
    >>> nx.utils.graphs_equal(graph_from_json(graph_to_json(graph)), graph)
    True
    """
    left_out = {"left_out": data["left_out"]} if data["left_out"] else {}
    tasks = data["tasks"]
    graph = nx.MultiDiGraph(
        tasks=tuple(task["name"] for task in tasks), places=tuple(task["place"] for task in tasks), **left_out
    )
    for facts in data["nodes"]:
        more = {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}
        graph.add_node(more.pop("node"), **more)
    for facts in data["edges"]:
        more = dict(facts)
        graph.add_edge(more.pop("source"), more.pop("target"), more.pop("key"), **more)
    return graph


def _plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}
