"""The interactive path graph: one HTML file, or a part of another page; without JavaScript, a picture and tables."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

import networkx as nx

from pathways.theme import theme

from .layout import lay_out
from .page_facts import NodeFacts, TaskFacts, counted, node_facts, owner, task_facts, users, whole_words
from .page_svg import graph_svg, is_low

_SCRIPTS = ("page_words.js", "page_find.js", "page_move.js", "page.js")  # each uses those before it


def graph_page(graph: nx.MultiDiGraph, notes: Mapping[str, str] | None = None, title: str = "Path graph") -> str:
    """A whole page with the interactive path graph; it asks for nothing from outside.

    Args:
        graph: made by `pathways.graph.path_graph`.
        notes: by task, a few words to show beside its name, such as its accuracy.
        title: of the page.

    Returns:
        HTML; equal graphs and notes give equal pages.

    Example:
        >>> from pathways.graph import graph_of
        >>> graph_page(graph_of({}))[:15]
        '<!doctype html>'
    """
    name = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{name}</title>'
        f"<style>{theme()}</style></head>\n"
        f'<body class="pg-page"><main><h1>{name}</h1>{_widget(graph, notes or {}, "paths", alone=True)}</main>'
        "</body></html>\n"
    )


def graph_widget(graph: nx.MultiDiGraph, notes: Mapping[str, str] | None = None, name: str = "paths") -> str:
    """The interactive path graph as a part of another page: controls, picture, tables, its data, style and script.

    The page must set the variables of `pathways.theme.theme`. Several widgets stand on one page under different names.

    Args:
        graph: made by `pathways.graph.path_graph`.
        notes: by task, a few words to show beside its name.
        name: begins all ids of the widget.

    Returns:
        HTML, without headings.

    Example:
        >>> from pathways.graph import graph_of
        >>> graph_widget(graph_of({}), name="mine")[:26]
        '<div class="pg" id="mine">'
    """
    return _widget(graph, notes or {}, name, alone=False)


def _widget(graph: nx.MultiDiGraph, notes: Mapping[str, str], name: str, alone: bool) -> str:
    name = re.sub(r"[^\w-]", "-", name, flags=re.ASCII)
    nodes, tasks = node_facts(graph), task_facts(graph, notes)
    words = whole_words(graph)
    layout = lay_out(graph)
    picture = graph_svg(graph, layout, nodes, tasks, f"Path graph: {words} The tables below it hold all that it shows.")
    shown = " open" if alone else ""
    return (
        f'<div class="pg" id="{name}"{" data-alone" if alone else ""}><style>{_file("page.css")}</style>'
        f'<p class="pg-words">{html.escape(words)}{_left_out(graph)}</p>'
        f"{_controls(name, tasks, nodes)}"
        f'<div class="pg-stage"><div class="pg-view" role="group" aria-label="Picture of the paths">{picture}</div>'
        '<div class="pg-card" role="note" hidden></div><div class="pg-picked" hidden></div></div>'
        f"{_legend(nodes, tasks, graph)}"
        f"<details{shown}><summary>Tasks as a table</summary>{_task_table(tasks)}</details>"
        f"<details{shown}><summary>Modules as a table</summary>{_module_table(nodes, tasks)}</details>"
        f'<script type="application/json">{_data(nodes, tasks, is_low(layout))}</script>'
        f"<script>{_script()}</script></div>"
    )


def _controls(name: str, tasks: Sequence[TaskFacts], nodes: Sequence[NodeFacts]) -> str:
    """What only works with JavaScript, hidden until it does."""
    most = max((len(node.tasks) for node in nodes if node.weighs and node.kind != "head"), default=1)
    last = len(tasks)
    first = 0 if any(node.since == 0 for node in nodes) else min(1, last)
    find = (
        f'<label for="{name}-find">Tasks</label><input id="{name}-find" type="text" role="combobox" autocomplete="off" '
        f'spellcheck="false" aria-expanded="false" aria-controls="{name}-list" aria-autocomplete="list" '
        f'placeholder="type to find…"><ul id="{name}-list" role="listbox" aria-label="Tasks" '
        f'aria-multiselectable="true" hidden></ul>'
    )
    time = (
        f'<label for="{name}-step">Time</label>{_button("back", "Back")}{_button("play", "Play")}'
        f'{_button("next", "Next")}<input id="{name}-step" type="range" min="{first}" max="{last}" value="{last}">'
        f"{_button('all', 'All')}"
    )
    least = (
        f'<label for="{name}-least">Used by at least</label><input id="{name}-least" type="range" min="1" '
        f'max="{most}" value="1"><output for="{name}-least">1</output>'
    )
    size = (
        f'<span class="pg-what">Size</span>{_button("smaller", "−", "Smaller")}{_button("larger", "+", "Larger")}'
        f"{_button('width', 'Width', 'Width of the page')}{_button('whole', 'Whole', 'Whole picture in the window')}"
    )
    groups = [(find, last > 0), (time, last > 1), (least, most > 1), (size, True)]
    shown = "".join(f'<div class="pg-group"{"" if there else " hidden"}>{group}</div>' for group, there in groups)
    return (
        f'<div class="pg-bar" role="group" aria-label="What the picture shows" hidden>{shown}'
        '<p class="pg-says" role="status"></p></div>'
    )


def _button(do: str, text: str, more: str = "") -> str:
    label = more and f' aria-label="{more}" title="{more}"'
    return f'<button type="button" data-do="{do}"{label}>{text}</button>'


def _left_out(graph: nx.MultiDiGraph) -> str:
    missing, drawn = graph.graph.get("left_out", 0), len(graph.graph["tasks"])
    if not missing:
        return ""
    all_of = "<code>pathways graph --format graphml</code> has all"
    return f" The newest {drawn:,} of {missing + drawn:,} tasks; {all_of}."


def _legend(nodes: Sequence[NodeFacts], tasks: Sequence[TaskFacts], graph: nx.MultiDiGraph) -> str:
    trained = [node for node in nodes if node.weighs and node.kind != "head" and node.frozen_by != "root"]
    own = [node for node in trained if node.since]
    kinds = {kind for *_, kind in graph.edges(data="kind")}
    entries = [
        ("line", "the path of one task", bool(tasks)),
        ("line pg-side", "changes, weighs, or is a part", bool(kinds - {"reads", "past"})),
        ("line pg-past", "past modules not drawn", "past" in kinds),
        ("root", "module of the root", any(node.frozen_by == "root" for node in nodes)),
        ("own", "module in the colour of the task that trained it", bool(own)),
        ("older", "module of a task not drawn", len(own) < len(trained)),
        ("glue", "without weights", any(node.kind == "glue" for node in nodes)),
        ("head", "head, with its outputs", any(node.kind == "head" for node in nodes)),
    ]
    items = "".join(f'<li><i class="pg-key pg-{look}"></i>{words}</li>' for look, words, there in entries if there)
    return f'<ul class="pg-legend" aria-label="Legend">{items}</ul>' if items else ""


def _task_table(tasks: Sequence[TaskFacts]) -> str:
    names = {task.name: task.short for task in tasks}
    rows = []
    for i, task in enumerate(tasks):
        builds = ", ".join(f"{owner(who, names)} ({len(families):,})" for who, families in task.builds_on)
        rows.append(
            f'<tr><td class="pg-n">{i + 1}</td><th scope="row"><bdi>{html.escape(task.name)}</bdi></th>'
            f'<td>{html.escape(task.note)}</td><td class="pg-n">{len(task.nodes):,}</td>'
            f'<td class="pg-n">{task.added:,}</td><td class="pg-n">{task.parameters:,}</td>'
            f"<td>{html.escape(builds) or '–'}</td></tr>"
        )
    header = ["#", "task", "measured", "#modules", "#new", "#new parameters", "builds on (modules)"]
    return _table("Tasks, in the order learned", header, rows)


def _module_table(nodes: Sequence[NodeFacts], tasks: Sequence[TaskFacts]) -> str:
    names = {task.name: task.short for task in tasks}
    rows = []
    for node in nodes:
        if not node.weighs:
            continue
        used = users(node.tasks, [task.name for task in tasks], names)
        words = "".join(
            f"<td><bdi>{html.escape(word)}</bdi></td>" for word in (node.size, owner(node.frozen_by, names), used)
        )
        rows.append(
            f'<tr><th scope="row">{html.escape(node.family)}</th><td>{node.kind}</td>'
            f'<td class="pg-n">{node.parameters:,}</td>{words}<td><code>{html.escape(node.id[:12])}</code></td></tr>'
        )
    header = ["family", "kind", "#parameters", "output", "trained by", "used by", "blob"]
    return _table("Modules", header, rows)


def _table(caption: str, header: Sequence[str], rows: Sequence[str]) -> str:
    """A table under its header, where `#` begins the names of columns of numbers."""
    cells = "".join(
        f'<th scope="col"{" class=pg-n" if name.startswith("#") else ""}>{name.lstrip("#") or "#"}</th>'
        for name in header
    )
    return (
        f'<div class="pg-scroll" role="group" tabindex="0" aria-label="{caption}"><table>'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _data(nodes: Sequence[NodeFacts], tasks: Sequence[TaskFacts], low: bool) -> str:
    """What the script reads, as JSON that cannot end its element."""
    place = {task.name: i for i, task in enumerate(tasks)}
    names = {task.name: task.short for task in tasks}
    plain = {
        "low": low,
        "tasks": [
            {
                "name": task.name, "short": task.short, "note": task.note, "nodes": task.nodes, "words": task.words,
                "hue": task.hue,
                "added": f"{counted(task.added, 'module')}, {task.parameters:,} parameters",
                "builds": [f"{owner(who, names)} ({len(families):,})" for who, families in task.builds_on],
            }
            for task in tasks
        ],
        "nodes": [
            {
                "kind": node.kind, "family": node.family, "parameters": node.parameters, "port": node.port,
                "id": node.id, "tasks": [place[task] for task in node.tasks], "since": node.since,
                "by": owner(node.frozen_by, names), "weighs": node.weighs, "words": node.words,
            }
            for node in nodes
        ],
    }  # fmt: skip
    text = json.dumps(plain, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _script() -> str:
    """All of the script, in one scope of its own: widgets share nothing."""
    return '(() => {\n"use strict";\n' + "\n".join(map(_file, _SCRIPTS)) + "\n})();"


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8").strip()


__all__ = ["graph_page", "graph_widget"]
