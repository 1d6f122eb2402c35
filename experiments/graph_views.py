"""What `pathways graph` can draw: its views in one table, each with the formats it comes in.

A view is a function from a system, the command's options and a file to that file, written. To add one, write it here
(it imports what it needs inside, so that `--help` stays quick), give it a line in `VIEWS`, and give what only it takes
an option in `arguments`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathways.errors import ConfigError

Write = Callable[[Any, argparse.Namespace, Path], Path]
"""A `pathways.System`, the options with `format` set, and the file to write."""


@dataclass(frozen=True)
class View:
    """A kind of picture: what it shows, in words for `--help`, how it is written, in which formats, what it needs.

    `takes` are the options that only some views have; one that a view does not take is refused, not passed over.
    """

    shows: str
    write: Write
    formats: tuple[str, ...]
    takes: tuple[str, ...] = ()
    needs: str = ""


def _paths(system: Any, options: argparse.Namespace, out: Path) -> Path:
    from pathways.graph.draw import draw_graph
    from pathways.graph.filters import matching
    from pathways.report import graph_notes
    from pathways.summary import summarise

    graph = _graph(system, options)
    highlight = matching(graph, options.highlight, "--highlight")
    return draw_graph(graph, out, options.format, graph_notes(summarise(system)), highlight=highlight)


def _growth(system: Any, options: argparse.Namespace, out: Path) -> Path:
    from pathways.graph.growth import growth_figure

    if options.format == "gif":  # what moves
        return _paths(system, options, out)
    return _picture(growth_figure(_graph(system, options)), "growth", options, out)


def _graph(system: Any, options: argparse.Namespace) -> Any:
    """The graph of a system, of the tasks and modules that the options ask for."""
    from pathways.graph import path_graph
    from pathways.graph.draw import MODULES
    from pathways.graph.filters import matching, only_tasks, used_by

    whole = options.format in ("graphml", "json") or options.task or options.shared is not None
    graph = path_graph(system, None if whole else MODULES)
    if options.task:
        graph = only_tasks(graph, matching(graph, options.task, "--task"))
    return graph if options.shared is None else used_by(graph, options.shared, "--shared")


def _picture(figure: Any, name: str, options: argparse.Namespace, out: Path) -> Path:
    from pathways.canvas import render

    return _written(render(figure, options.format, name), out)


def _written(data: bytes, out: Path) -> Path:
    from pathways.files import write_atomically

    write_atomically(out, data, durable=False)
    return out


def _grid(system: Any, options: argparse.Namespace, out: Path) -> Path:
    from pathways.graph.grid import grid_figure
    from pathways.graph.grid_record import grid_record

    return _picture(grid_figure(grid_record(system)), "grid", options, out)


def _evolution(system: Any, options: argparse.Namespace, out: Path) -> Path:
    from pathways.graph.grid_evolution import evolution_figure
    from pathways.graph.grid_record import grid_record

    return _picture(evolution_figure(grid_record(system)), "evolution", options, out)


def _lineage(system: Any, options: argparse.Namespace, out: Path) -> Path:
    from pathways.files import json_bytes
    from pathways.graph.lineage import lineage
    from pathways.graph.lineage_figure import lineage_figure

    found = lineage(system, _one_task(system, options.task))
    if options.format == "json":
        return _written(json_bytes(found), out)
    return _picture(lineage_figure(found), "lineage", options, out)


def _one_task(system: Any, patterns: list[str]) -> str:
    """The one task that is asked for.

    Raises:
        ConfigError: none is, or several are.
    """
    import networkx as nx

    from pathways.graph.filters import matching

    found = matching(nx.MultiDiGraph(tasks=tuple(system.briefs)), patterns)
    if len(found) != 1:
        raise ConfigError(
            f"`--task` must name one task with `--view lineage`, found {found or 'none'}: "
            f"`pathways show {system.place}` lists them."
        )
    return found[0]


def _module(system: Any, options: argparse.Namespace, out: Path) -> Path:
    from pathways.files import json_bytes
    from pathways.graph.card import module_card, resolved_id, ways
    from pathways.graph.card_figure import card_figure, card_html
    from pathways.report.markup import html_page

    if not options.module:
        raise ConfigError(
            "`--module` must begin a module's id with `--view module`, found none: the table of `pathways graph "
            f"{system.place} --format html` lists them."
        )
    card = module_card(system, resolved_id(system, options.module))
    if options.leave_out:
        from pathways.leave_out import leave_out

        tasks = _tasks(system, [each["task"] for each in card["tasks"]], options)
        found = [each for how in ways(card) for each in leave_out(system, tasks, card["id"], how)]
        card = module_card(system, card["id"], found)
    if options.format == "json":
        return _written(json_bytes(card), out)
    if options.format == "html":
        title = f"Module {card['id'][:12]}"
        return _written(html_page(title, f"<h1>{title}</h1>{card_html(card)}").encode(), out)
    return _picture(card_figure(card), "card", options, out)


def _tasks(system: Any, names: list[str], options: argparse.Namespace) -> list[Any]:
    """The data of these tasks, loaded again as the run's configuration says."""
    from .config import config_from
    from .runner import load_tasks, stored_config

    file = f"{system.place}/config.yaml"
    config = config_from(stored_config(system.place), file)
    return [task for task in load_tasks(config, file, options.data) if task.name in names]


_TASKS = ("--task", "--shared")

VIEWS: dict[str, View] = {
    "paths": View(
        "all modules, and each task's path through them; gif shows how they grew",
        _paths,
        ("svg", "png", "html", "graphml", "json", "gif"),
        (*_TASKS, "--highlight"),
    ),
    "growth": View("a small picture after each task; gif moves", _growth, ("svg", "png", "gif"), _TASKS),
    "grid": View("PathNet's grid, task after task", _grid, ("svg", "png"), needs="a run of PathNet"),
    "evolution": View("how PathNet's population changed", _evolution, ("svg", "png"), needs="a run of PathNet"),
    "lineage": View("what a champion descends from", _lineage, ("svg", "png", "json"), ("--task",), "--task"),
    "module": View(
        "a module's card", _module, ("svg", "png", "html", "json"), ("--module", "--leave-out", "--data"), "--module"
    ),
}
"""By name; the first is drawn when no other is asked for."""


def arguments(graph: argparse.ArgumentParser) -> None:
    """Take what the views take."""
    formats = list(dict.fromkeys(format for view in VIEWS.values() for format in view.formats))
    views = "; ".join(f"{name}: {v.shows}" + (f" (needs {v.needs})" if v.needs else "") for name, v in VIEWS.items())
    graph.add_argument("--view", choices=tuple(VIEWS), default=next(iter(VIEWS)), help=views)
    graph.add_argument("--format", choices=formats, help="that of FILE's ending, or svg, when not given")
    graph.add_argument(
        "--out", type=Path, metavar="FILE",
        help="figures/graph.FORMAT in the run directory, or figures/VIEW.FORMAT, when not given",
    )  # fmt: skip
    graph.add_argument(
        "--task", action="append", default=[], metavar="PATTERN",
        help="only tasks of this name or pattern, such as 'Greek' or 'omniglot/*'; may be repeated",
    )  # fmt: skip
    graph.add_argument("--shared", type=int, metavar="N", help="only modules that at least N tasks use")
    graph.add_argument(
        "--highlight", action="append", default=[], metavar="TASK",
        help="show the path of this task, or of those of a pattern, among the others made faint; may be repeated",
    )  # fmt: skip
    graph.add_argument("--module", metavar="ID", help="with --view module: the beginning of its id")
    graph.add_argument(
        "--leave-out", action="store_true",
        help="with --view module: measure what leaving it out costs the tasks that use it, on validation data",
    )  # fmt: skip
    graph.add_argument(
        "--data", type=Path, metavar="DIR",
        help="with --leave-out: the folder of external data sets; else PATHWAYS_DATA",
    )  # fmt: skip


def write_view(system: Any, options: argparse.Namespace) -> Path:
    """Write the picture that the options of `pathways graph` ask for.

    Returns:
        The file.

    Raises:
        ConfigError: the view does not come in that format, or an option of it is wrong.
    """
    view = VIEWS[options.view]
    _check_taken(view, options)
    if options.format is None:
        ending = options.out.suffix.removeprefix(".") if options.out else ""
        options.format = ending if any(ending in each.formats for each in VIEWS.values()) else "svg"
    if options.format not in view.formats:
        raise ConfigError(
            f"`--format` must be one of {list(view.formats)} with `--view {options.view}`, found {options.format!r}."
        )
    name = "graph" if options.view == next(iter(VIEWS)) else options.view
    out = options.out or system.directory / "figures" / f"{name}.{options.format}"
    return view.write(system, options, out)


def _check_taken(view: View, options: argparse.Namespace) -> None:
    """Refuse what was asked of a view that has no use for it."""
    for option in dict.fromkeys(option for each in VIEWS.values() for option in each.takes):
        given = getattr(options, option.removeprefix("--").replace("-", "_"))
        asked = given is not None and given is not False and given != []
        if asked and option not in view.takes:
            which = [name for name, each in VIEWS.items() if option in each.takes]
            raise ConfigError(
                f"`{option}` must be with one of the views {which}, found {options.view!r}: leave it out, or choose "
                "another `--view`."
            )
