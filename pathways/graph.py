"""The path graph: every module that champions use, and which task's path reads what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx

from pathways.modules import BUILT_IN, Families, Frozen, Image, ModuleRef, Port, Signal, Tokens

from .path import Path

ROOT = "root"


def path_graph(system: Any) -> nx.MultiDiGraph:
    """The graph of a system's champions; see `graph_of` for what nodes and edges carry."""
    paths = {task: champion.path for task, champion in system.champions.items()}
    return graph_of(paths, system.root, system.families)


def graph_of(paths: Mapping[str, Path], root: Path | None = None, families: Families = BUILT_IN) -> nx.MultiDiGraph:
    """The graph of several tasks' paths, in which a module that tasks share is one node.

    Nodes carry `kind` (`input`, `module`, `head`, `glue` without weights, `router`, `delta`, `part`), `id`
    (of the blob), `family`, `parameters`, `port` (of the output), `size` (the same, short), `depth` (longest
    way from an input), `tasks` (those that use it, in the order given) and `frozen_by` (`root`, or the first
    of them). Edges carry `task` and `kind`: `reads`, `weighs` (a router), `changes` (a delta) or `part`.

    Args:
        paths: by task name, in the order in which they were learned.
        root: the path the system began with; its frozen modules are said to be frozen by `root`.
        families: the module families that specs may name.

    Raises:
        PathError: a path whose ports do not fit.

    Example:
        >>> from pathways import Path, Step
        >>> from pathways.modules import Frozen, ModuleSpec, Vector
        >>> head = Frozen("0" * 64, ModuleSpec("classifier", {"classes": 3}))
        >>> graph = graph_of({"wine": Path({"x": Vector(4)}, {"head": Step((head,), ("x",))}, "head")})
        >>> [(data["kind"], data["tasks"]) for _, data in graph.nodes(data=True)]
        [('input', ('wine',)), ('head', ('wine',))]
    """
    graph = nx.MultiDiGraph(tasks=tuple(paths))
    of_root = frozenset(root.frozen()) if root is not None else frozenset()
    for task, path in paths.items():
        _add_path(graph, task, path, of_root, families)
    _set_depths(graph)
    return graph


def _set_depths(graph: nx.MultiDiGraph) -> None:
    """Put every node behind all that it reads in any task's path: one task's adapter moves what all read behind it."""
    reads = nx.DiGraph((u, v) for u, v, kind in graph.edges(data="kind") if kind == "reads")
    if not nx.is_directed_acyclic_graph(reads):
        return  # tasks that use shared modules in opposite orders: each node keeps its place on its own path
    for node in nx.topological_sort(reads):
        behind = (graph.nodes[read]["depth"] + 1 for read in reads.predecessors(node))
        graph.nodes[node]["depth"] = max(behind, default=graph.nodes[node]["depth"])
    for node, target, kind in graph.edges(data="kind"):
        if kind != "reads":
            graph.nodes[node]["depth"] = graph.nodes[target]["depth"]


def _add_path(graph: nx.MultiDiGraph, task: str, path: Path, of_root: frozenset[str], families: Families) -> None:
    ports = path.ports(families)
    sizes = path.costs(families).sizes
    outputs: dict[str, list[str]] = {}
    depths: dict[str, int] = {}
    for name, port in path.inputs.items():
        node = f"input {name} {port}"
        facts = {"kind": "input", "id": "", "family": name, "parameters": 0}
        _add_node(graph, node, task, facts, 0, port, of_root)
        outputs[name], depths[name] = [node], 0
    for name in path.canonical_order:
        step = path.steps[name]
        sources = [node for read in step.reads for node in outputs[read]]
        depths[name] = 1 + max((depths[read] for read in step.reads), default=-1)
        nodes = []

        def add(ref: ModuleRef, kind: str, reads: list[str], *, at: int, port: Port) -> str:
            parameters = sizes[_key(ref)]
            own = "" if parameters or kind == "head" else " after " + " ".join(sorted(reads))
            node = (ref.id if isinstance(ref, Frozen) else f"{task} {ref.name}") + own
            facts = {
                "kind": kind if parameters or kind != "module" else "glue",
                "id": _key(ref),
                "family": ref.spec.family,
                "parameters": parameters,
            }
            _add_node(graph, node, task, facts, at, port, of_root)
            for read in reads:
                graph.add_edge(read, node, key=f"{task} reads", task=task, kind="reads")
            for part in ref.spec.parts.values():
                inside = add(part, "part", [], at=at, port=port)
                graph.add_edge(inside, node, key=f"{task} part", task=task, kind="part")
            return node

        kind = "head" if name == path.output else "module"
        for module in step.modules:
            nodes.append(add(module, kind, sources, at=depths[name], port=ports[name]))
        for delta in step.deltas:
            node = add(delta.module, "delta", [], at=depths[name], port=ports[name])
            graph.add_edge(node, nodes[delta.host], key=f"{task} changes", task=task, kind="changes")
        if not isinstance(step.combine, str):
            router = add(step.combine, "router", sources, at=depths[name], port=ports[name])
            for node in nodes:
                graph.add_edge(router, node, key=f"{task} weighs", task=task, kind="weighs")
        outputs[name] = nodes


def _key(ref: ModuleRef) -> str:
    return ref.id if isinstance(ref, Frozen) else ref.name


def _add_node(
    graph: nx.MultiDiGraph,
    node: str,
    task: str,
    facts: Mapping[str, Any],
    depth: int,
    port: Port,
    of_root: frozenset[str],
) -> None:
    if node not in graph:
        frozen_by = ROOT if facts["id"] in of_root else task
        more = {"depth": depth, "port": str(port), "size": _size(port), "tasks": (), "frozen_by": frozen_by}
        graph.add_node(node, **facts, **more)
    data = graph.nodes[node]
    data["depth"] = max(data["depth"], depth)
    if task not in data["tasks"]:
        data["tasks"] = (*data["tasks"], task)


def _size(port: Port) -> str:
    """A port's shape in few characters, channels first."""
    shape = ["n" if size is None else str(size) for size in port.shape]
    return "×".join(shape) if isinstance(port, (Image, Signal, Tokens)) else shape[0]


def plain_graph(graph: nx.MultiDiGraph) -> nx.MultiDiGraph:
    """A copy whose attributes are words and numbers only, for GraphML; lists of tasks are joined by `, `."""

    def words(data: Mapping[str, Any]) -> dict[str, Any]:
        return {key: ", ".join(value) if isinstance(value, tuple) else value for key, value in data.items()}

    copy = nx.MultiDiGraph(**words(graph.graph))
    copy.add_nodes_from((node, words(data)) for node, data in graph.nodes(data=True))
    copy.add_edges_from((a, b, key, words(data)) for a, b, key, data in graph.edges(keys=True, data=True))
    return copy
