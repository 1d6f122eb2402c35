"""The path graph: every module that champions use, and which task's path reads what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx

from pathways.choose_root import ROOT
from pathways.modules import BUILT_IN, Families, Frozen, Image, ModuleRef, Port, Signal, Tokens
from pathways.path import Path


def path_graph(system: Any, most: int | None = None) -> nx.MultiDiGraph:
    """The graph of a system's champions; see `graph_of` for what nodes and edges carry.

    Args:
        system: a `pathways.System`.
        most: about how many modules it may hold: then it is of the newest tasks with at most so many in all, of one
            task at least, and its attribute `left_out` says how many tasks are missing. All when not given.
    """
    briefs = system.briefs
    names = list(briefs) if most is None else newest(briefs, most)
    missing = list(briefs)[: len(briefs) - len(names)]
    freezers: dict[str, str] = {}
    for name in missing:
        for blob in briefs[name].sizes:
            freezers.setdefault(blob, name)
    paths = {name: system.champions[name].path for name in names}
    graph = graph_of(paths, system.roots.values(), system.families, freezers)
    if missing:
        graph.graph.update(left_out=len(missing), places=tuple(range(len(missing), len(briefs))))
    return graph


def newest(briefs: Mapping[str, Any], most: int) -> list[str]:
    """The newest tasks whose paths hold at most `most` modules in all, in the order learned; one at least.

    >>> from types import SimpleNamespace as Brief
    >>> newest({"a": Brief(sizes={"x", "a"}), "b": Brief(sizes={"x", "b"}), "c": Brief(sizes={"x", "c"})}, 3)
    ['b', 'c']
    """
    names: list[str] = []
    modules: set[str] = set()
    for name in reversed(list(briefs)):
        modules |= set(briefs[name].sizes)
        if names and len(modules) > most:
            break
        names.append(name)
    return names[::-1]


def graph_of(
    paths: Mapping[str, Path],
    roots: Iterable[Path] = (),
    families: Families = BUILT_IN,
    freezers: Mapping[str, str] | None = None,
) -> nx.MultiDiGraph:
    """The graph of several tasks' paths, in which a module that tasks share is one node.

    Nodes carry `kind` (`input`, `module`, `head`, `glue` without weights, `router`, `delta`, `part`), `id`
    (of the blob), `family`, `parameters`, `port` (of the output), `size` (the same, short), `depth` (longest
    way from an input), `tasks` (those that use it, in the order given) and `frozen_by` (`root`, or the first
    of them). Edges carry `task` and `kind`: `reads`, `weighs` (a router), `changes` (a delta) or `part`. The graph
    carries `tasks`, in the order given, and `places`, the place of each in the order of learning, from 0.

    Args:
        paths: by task name, in the order in which they were learned.
        roots: the paths the system began with; their frozen modules are said to be frozen by `root`.
        families: the module families that specs may name.
        freezers: by blob, the task that froze a module, where that is none of those given.

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
    graph = nx.MultiDiGraph(tasks=tuple(paths), places=tuple(range(len(paths))))
    frozen_by = {**(freezers or {}), **{blob: ROOT for root in roots for blob in root.frozen()}}
    for task, path in paths.items():
        _add_path(graph, task, path, frozen_by, families)
    _set_depths(graph)
    return graph


ALONE = "output"
"""What stands at the end of a path that is no task's."""


def graph_of_path(path: Path, families: Families = BUILT_IN) -> nx.MultiDiGraph:
    """The graph of a path that is no task's: what it has frozen, its drafts, and an end where a task's head would be.

    Frozen modules are said to be frozen by `root`, drafts by what stands at the end; the graph's `alone` is true.

    Args:
        path: with or without a head.
        families: the module families that specs may name.

    Raises:
        PathError: its ports do not fit.

    Example:
        >>> from pathways import Path, Step
        >>> from pathways.modules import Draft, Init, ModuleSpec, Vector
        >>> draft = Draft("a", ModuleSpec("linear", {"dim": 3}), Init(0))
        >>> graph = graph_of_path(Path({"x": Vector(4)}, {"a": Step((draft,), ("x",))}, "a"))
        >>> [(data["kind"], data["size"]) for _, data in graph.nodes(data=True)]
        [('input', '4'), ('module', '3'), ('head', '3')]
    """
    graph = graph_of({ALONE: path}, families=families, freezers=dict.fromkeys(path.frozen(), ROOT))
    last = [node for node, kind in graph.nodes(data="kind") if kind == "head"]
    for node in last:
        graph.nodes[node]["kind"] = "module" if graph.nodes[node]["parameters"] else "glue"
    depth = 1 + max(graph.nodes[node]["depth"] for node in last)
    end = {"kind": "head", "id": "", "family": ALONE, "parameters": 0}
    _add_node(graph, ALONE, ALONE, end, depth, path.ports(families)[path.output], {})
    graph.add_edges_from((node, ALONE, f"{ALONE} reads", {"task": ALONE, "kind": "reads"}) for node in last)
    graph.graph["alone"] = True
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


def _add_path(graph: nx.MultiDiGraph, task: str, path: Path, frozen_by: Mapping[str, str], families: Families) -> None:
    ports = path.ports(families)
    sizes = path.costs(families).sizes
    outputs: dict[str, list[str]] = {}
    depths: dict[str, int] = {}
    reads_key = f"{task} reads"
    for name, port in path.inputs.items():
        node = f"input {name} {port}"
        facts = {"kind": "input", "id": "", "family": name, "parameters": 0}
        _add_node(graph, node, task, facts, 0, port, frozen_by)
        outputs[name], depths[name] = [node], 0
    for name in path.canonical_order:
        step = path.steps[name]
        sources = [node for read in step.reads for node in outputs[read]]
        depths[name] = 1 + max((depths[read] for read in step.all_reads()), default=-1)
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
            _add_node(graph, node, task, facts, at, port, frozen_by)
            for read in reads:
                graph.add_edge(read, node, key=reads_key, task=task, kind="reads")
            for part in ref.spec.parts.values():
                inside = add(part, "part", [], at=at, port=port)
                graph.add_edge(inside, node, key=f"{task} part", task=task, kind="part")
            return node

        kind = "head" if name == path.output else "module"
        for module in step.modules:
            nodes.append(add(module, kind, sources, at=depths[name], port=ports[name]))
        for delta in step.deltas:
            conditions = [node for read in delta.reads for node in outputs[read]]
            node = add(delta.module, "delta", conditions, at=depths[name], port=ports[name])
            graph.add_edge(node, nodes[delta.host], key=f"{task} changes", task=task, kind="changes")
        if not isinstance(step.combine, str):
            gate = [node for read in step.gated_by for node in outputs[read]]
            router = add(step.combine, "router", gate, at=depths[name], port=ports[name])
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
    frozen_by: Mapping[str, str],
) -> None:
    if node not in graph:
        freezer = frozen_by.get(facts["id"], task)
        more = {"depth": depth, "port": str(port), "size": _size(port), "tasks": (), "frozen_by": freezer}
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
        return {key: ", ".join(map(str, value)) if isinstance(value, tuple) else value for key, value in data.items()}

    copy = nx.MultiDiGraph(**words(graph.graph))
    copy.add_nodes_from((node, words(data)) for node, data in graph.nodes(data=True))
    copy.add_edges_from((a, b, key, words(data)) for a, b, key, data in graph.edges(keys=True, data=True))
    return copy
