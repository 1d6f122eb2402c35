"""What the page of a path graph says in words and numbers: of each task, of each node, of the whole."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from pathways.choose_root import ROOT
from pathways.palette import TASKS
from pathways.text import short_count, short_names

LONGEST = 24  # characters of a task's name beside its head
_OWNERS = 4  # how many others a sentence names that a task builds on
_BEFORE = 0  # the step before the first task


@dataclass(frozen=True)
class TaskFacts:
    """One task on the page.

    Args:
        name, short, note: its name, the same as it stands beside its head, and the words given for it.
        nodes: places of its path's modules with weights, in the order of `NodeFacts`.
        added: of these, the modules that it trained itself. `parameters`: what those hold.
        builds_on: by whom the others were trained (`root`, or a task) and their families, in the order trained.
        words: what was added with it, as one sentence.
        hue: the number of its colour, by its place in the order of learning whichever tasks are drawn beside it.
    """

    name: str
    short: str
    note: str
    nodes: tuple[int, ...]
    added: int
    parameters: int
    builds_on: tuple[tuple[str, tuple[str, ...]], ...]
    words: str
    hue: int


@dataclass(frozen=True)
class NodeFacts:
    """One node on the page.

    Args:
        kind, family, parameters, port, size, id, tasks, frozen_by: as in the graph.
        since: 0 where it was there before the first task drawn, else the place (from 1) of the task that brought it.
        words: all of it as one line, for whoever hears the picture.
    """

    kind: str
    family: str
    parameters: int
    port: str
    size: str
    id: str
    tasks: tuple[str, ...]
    frozen_by: str
    since: int
    words: str

    @property
    def weighs(self) -> bool:
        """Whether it is a module with weights of its own, and not an input or glue."""
        return self.kind not in ("input", "glue")


def task_facts(graph: nx.MultiDiGraph, notes: Mapping[str, str] | None = None) -> list[TaskFacts]:
    """The facts of each task, in the order learned.

    Args:
        graph: made by `pathways.graph.graph_of`.
        notes: by task, a few words such as its accuracy.
    """
    tasks = graph.graph["tasks"]
    names = short_names(tasks, LONGEST)
    order = {ROOT: -1, **{task: i for i, task in enumerate(tasks)}}
    of_task: dict[str, list[tuple[int, NodeFacts]]] = {task: [] for task in tasks}
    for i, node in enumerate(node_facts(graph)):
        for task in node.tasks if node.weighs else ():
            of_task[task].append((i, node))
    facts = []
    learned = graph.graph.get("places", range(len(tasks)))
    for task, at in zip(tasks, learned, strict=True):
        own = [node for _, node in of_task[task] if node.frozen_by == task]
        owners = {node.frozen_by for _, node in of_task[task]} - {task}
        builds_on = tuple(
            (owner, tuple(node.family for _, node in of_task[task] if node.frozen_by == owner))
            for owner in sorted(owners, key=lambda owner: (order.get(owner, -1), owner))
        )
        words = f"After {isolated(names[task])}: {_added(own)}{_reads(builds_on, names)}."
        parameters = sum(node.parameters for node in own)
        places = tuple(i for i, _ in of_task[task])
        note = (notes or {}).get(task, "")
        added = (len(own), parameters, builds_on, words)
        facts.append(TaskFacts(task, names[task], note, places, *added, hue=at % len(TASKS)))
    return facts


def node_facts(graph: nx.MultiDiGraph) -> list[NodeFacts]:
    """The facts of each node, in the order of the graph."""
    tasks = graph.graph["tasks"]
    names = short_names(tasks, LONGEST)
    place = {task: i + 1 for i, task in enumerate(tasks)}
    facts = []
    for _, data in graph.nodes(data=True):
        weighs = data["kind"] not in ("input", "glue")
        since = place.get(data["frozen_by"], _BEFORE) if weighs else min(place[task] for task in data["tasks"])
        words = [data["family"] if data["kind"] == "module" else f"{data['kind']} {data['family']}"]
        if weighs:
            words += [counted(data["parameters"], "parameter"), f"output {data['size']}"]
            words.append(f"trained by {isolated(owner(data['frozen_by'], names))}")
        else:
            words.append(f"output {data['size']}")
        words.append(f"used by {users(data['tasks'], tasks, names, most=3)}")
        keys = ("kind", "family", "parameters", "port", "size", "id", "tasks", "frozen_by")
        facts.append(NodeFacts(**{key: data[key] for key in keys}, since=since, words=", ".join(words)))
    return facts


def whole_words(graph: nx.MultiDiGraph) -> str:
    """The whole graph in one sentence: tasks, modules, how many of them are shared, parameters."""
    nodes = [node for node in node_facts(graph) if node.weighs]
    shared = sum(len(node.tasks) > 1 for node in nodes)
    total = sum(node.parameters for node in nodes)
    tasks = counted(len(graph.graph["tasks"]), "task")
    modules = f"{counted(len(nodes), 'module')}, {shared:,} of them shared"
    return f"{tasks}, {modules}, {short_count(total)} parameters."


def users(of: Sequence[str], tasks: Sequence[str], names: Mapping[str, str], most: int | None = None) -> str:
    """Tasks by their short names, `most` of them; all of several tasks are not named one by one.

    >>> users(["a", "b"], ["a", "b"], {}), users(["a", "b", "c"], "abcd", {c: c for c in "abcd"}, most=2)
    ('all 2 tasks', '3 tasks: a, b, …')
    """
    if len(of) == len(tasks) > 1:
        return f"all {len(of):,} tasks"
    shown = [isolated(names[task]) for task in of[:most]] + (["…"] if most and len(of) > most else [])
    return ", ".join(shown) if len(of) == 1 else f"{len(of):,} tasks: {', '.join(shown)}"


def owner(name: str, names: Mapping[str, str]) -> str:
    """Who trained a module, as readers know it.

    >>> owner("root", {}), owner("s/one", {"s/one": "one"})
    ('the root', 'one')
    """
    return "the root" if name == ROOT else names.get(name, name)


def counted(count: int, word: str) -> str:
    """A count with its word.

    >>> counted(1, "module"), counted(12_000, "parameter")
    ('1 module', '12k parameters')
    """
    return f"{short_count(count)} {word}{'' if count == 1 else 's'}"


def isolated(name: str) -> str:
    """A name that may stand in a sentence: one written from right to left is kept apart (Unicode's FSI and PDI).

    >>> isolated("Greek"), isolated("עברית")[1:-1]
    ('Greek', 'עברית')
    """
    turned = any(unicodedata.bidirectional(letter) in ("R", "AL", "AN", "RLE", "RLO", "RLI") for letter in name)
    return f"\u2068{name}\u2069" if turned else name


def _added(own: Sequence[NodeFacts]) -> str:
    if not own:
        return "nothing new"
    parameters = counted(sum(node.parameters for node in own), "parameter")
    if len(own) == 1:
        return f"only a new {own[0].kind if own[0].kind == 'head' else own[0].family}, {parameters}"
    return f"{counted(len(own), 'new module')}, {parameters}"


def _reads(builds_on: Sequence[tuple[str, tuple[str, ...]]], names: Mapping[str, str]) -> str:
    if not builds_on:
        return ""
    parts = []
    for who, families in builds_on[:_OWNERS]:
        if who == ROOT:
            parts.append(f"{counted(len(families), 'module')} of the root")
        else:
            what = families[0] if len(families) == 1 else counted(len(families), "module")
            parts.append(f"{isolated(names.get(who, who))}’s {what}")
    if len(builds_on) > _OWNERS:
        parts.append(f"modules of {len(builds_on) - _OWNERS:,} more")
    return "; builds on " + (" and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}")


__all__ = [
    "NodeFacts", "TaskFacts", "counted", "isolated", "node_facts", "owner", "task_facts", "users", "whole_words",
]  # fmt: skip
