"""Less of a path graph: some tasks, modules that several use, some depths, or what there was after a task.

Each is a function from a graph to a new one of some of its nodes, in which tasks keep their places and colours. Where
a path passes modules that were taken out, an edge of kind `past` goes from the last module before them to the next.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase

import networkx as nx

from pathways.errors import ConfigError

_ENDS = ("input", "head")


def matching(graph: nx.MultiDiGraph, patterns: Iterable[str], argument: str = "tasks") -> list[str]:
    """The tasks that any pattern fits, in the order of the graph.

    Args:
        graph: made by `pathways.graph.path_graph`.
        patterns: names, or parts of them with `*`, `?` and `[...]`; a task's name may be given without what comes
            before its last `/`.
        argument: what the error calls the patterns.

    Raises:
        ConfigError: a pattern fits no task.

    Example:
        >>> matching(nx.MultiDiGraph(tasks=("omniglot/Greek", "digits/0-1", "digits/2-3")), ["Greek", "digits/2*"])
        ['omniglot/Greek', 'digits/2-3']
    """
    tasks: tuple[str, ...] = graph.graph["tasks"]
    found: set[str] = set()
    for pattern in patterns:
        fits = [task for task in tasks if any(fnmatchcase(name, pattern) for name in (task, task.rpartition("/")[2]))]
        if not fits:
            raise ConfigError(
                f"`{argument}` must fit a task of the graph, found {pattern!r}; its {len(tasks)} tasks are "
                f"{', '.join(tasks[:3])}{', …' if len(tasks) > 3 else ''}: give a name, or a pattern such as '*'."
            )
        found.update(fits)
    return [task for task in tasks if task in found]


def only_tasks(graph: nx.MultiDiGraph, tasks: Collection[str]) -> nx.MultiDiGraph:
    """The paths of these tasks alone."""
    places = graph.graph.get("places", range(len(graph.graph["tasks"])))
    kept = {task: place for task, place in zip(graph.graph["tasks"], places, strict=True) if task in tasks}
    some = nx.MultiDiGraph(**{**graph.graph, "tasks": tuple(kept), "places": tuple(kept.values())})
    for node, data in graph.nodes(data=True):
        mine = tuple(task for task in data["tasks"] if task in kept)
        if mine:
            some.add_node(node, **{**data, "tasks": mine})
    for a, b, key, data in graph.edges(keys=True, data=True):
        if data["task"] in kept:
            some.add_edge(a, b, key, **data)
    return some


def until(graph: nx.MultiDiGraph, count: int) -> nx.MultiDiGraph:
    """The graph as it was after so many of its tasks."""
    return only_tasks(graph, graph.graph["tasks"][:count])


def used_by(graph: nx.MultiDiGraph, least: int, argument: str = "least") -> nx.MultiDiGraph:
    """Modules that at least so many tasks use, between inputs and heads.

    Args:
        graph: made by `pathways.graph.path_graph`.
        least: how many tasks.
        argument: what the error calls `least`.

    Raises:
        ConfigError: `least` is below 1.
    """
    if least < 1:
        raise ConfigError(f"`{argument}` must be at least 1, found {least}: give how many tasks must use a module.")
    nodes = graph.nodes(data=True)
    return _of_nodes(graph, {n for n, data in nodes if data["kind"] in _ENDS or len(data["tasks"]) >= least})


def at_depths(graph: nx.MultiDiGraph, first: int, last: int) -> nx.MultiDiGraph:
    """Modules of these depths, both included, between inputs and heads; inputs have depth 0."""
    nodes = graph.nodes(data=True)
    return _of_nodes(graph, {n for n, data in nodes if data["kind"] in _ENDS or first <= data["depth"] <= last})


def _of_nodes(graph: nx.MultiDiGraph, kept: Collection[str]) -> nx.MultiDiGraph:
    some = nx.MultiDiGraph(**graph.graph)
    some.add_nodes_from((node, dict(data)) for node, data in graph.nodes(data=True) if node in kept)
    reads: dict[tuple[str, str], list[str]] = {}
    for a, b, key, data in graph.edges(keys=True, data=True):
        if a in kept and b in kept:
            some.add_edge(a, b, key, **data)
        if data["kind"] in ("reads", "past"):
            reads.setdefault((a, data["task"]), []).append(b)
    for (start, task), ends in reads.items():
        if start in kept:
            for end in _next_kept(reads, task, [end for end in ends if end not in kept], kept):
                if not any(data["task"] == task for data in (some.get_edge_data(start, end) or {}).values()):
                    some.add_edge(start, end, f"{task} past", task=task, kind="past")
    return some


def _next_kept(
    reads: dict[tuple[str, str], list[str]], task: str, gone: Sequence[str], kept: Collection[str]
) -> list[str]:
    """Where a task's path comes out behind nodes that were taken out."""
    todo, seen = list(gone), set(gone)
    found: list[str] = []
    while todo:
        for end in reads.get((todo.pop(), task), []):
            if end not in seen:
                seen.add(end)
                (found if end in kept else todo).append(end)
    return found
