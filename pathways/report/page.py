"""The report: one self-contained HTML page, and its figures as files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pathways.canvas import inline, render
from pathways.files import write_atomically
from pathways.graph import path_graph
from pathways.graph_draw import MODULES, graph_figure
from pathways.summary import CHAMPIONS, plain_number, run_config, summarise
from pathways.summary_table import guard_lines, racing_lines, stack_lines, without_parents
from pathways.text import measure_text, points_text, seconds_text, short_count, short_names
from pathways.trace_read import Recorded

from .figures import cost_chart, matrix_chart, search_chart, task_chart
from .markup import escape, figure_section, html_page, html_table, section
from .timeline import timeline, timeline_chart
from .where import recorded, where_section


def write_report(system: Any) -> Path:
    """Write `report.html` into the run directory, and its figures as SVG and PNG into `figures/`.

    Args:
        system: a `pathways.System`.

    Returns:
        The page.
    """
    summary = summarise(system)
    figures, record = _figures(system, summary), recorded(system)
    if record is not None:
        figures["timeline"] = timeline_chart(timeline(record))
    pictures = {}
    for name, figure in figures.items():
        svg = render(figure, "svg", name)
        pictures[name] = inline(svg, name)
        write_atomically(system.directory / "figures" / f"{name}.svg", svg, durable=False)
        write_atomically(system.directory / "figures" / f"{name}.png", render(figure, "png", name), durable=False)
    out: Path = system.directory / "report.html"
    write_atomically(out, page(summary, pictures, run_config(system.directory), record).encode(), durable=False)
    return out


def graph_notes(summary: Mapping[str, Any]) -> dict[str, str]:
    """A few words beside each task of the path graph: its test measure and what it added."""
    return {
        task["name"]: f"{measure_text(task['test'], task['metric'])} · {short_count(task['new_parameters'])} new"
        for task in summary["tasks"]
    }


def page(
    summary: Mapping[str, Any], pictures: Mapping[str, str], config: Mapping[str, Any], record: Recorded | None = None
) -> str:
    """The HTML page; every name from outside is escaped."""
    name = str(config.get("name") or Path(summary["run"]).name)
    run = shlex.quote(summary["run"])
    sections = [
        f"<header><p class=kicker>pathways report</p><h1>{escape(name)}</h1>{_facts(summary, config)}</header>",
        section(
            "Results", _table(summary) + _sides(summary), "Test measures, read once, after all choices were made."
        ),
        figure_section(
            "Paths",
            pictures,
            "graph",
            "Every line is one task's path from its input to its head. Tasks that run "
            "through one box share its weights; a box in a task's colour was trained for that task and is frozen.",
        ),
        figure_section(
            "Champion and controls",
            pictures,
            "tasks",
            "Each task's test measure; the controls were trained on the same data by the same trainer.",
        ),
        figure_section(
            "Is anything forgotten?",
            pictures,
            "matrix",
            "Row i, column j: the test measure of task j after learning "
            "task i. A column that stays the same from its diagonal down was not forgotten.",
        ),
        figure_section(
            "What it cost",
            pictures,
            "costs",
            "Processor time of all candidates tried, and distinct parameters."
            + "".join(
                f" {escape(line[0].upper() + line[1:])}."
                for line in [*guard_lines(summary), *racing_lines(summary), *stack_lines(summary)]
            ),
        ),
        figure_section(
            "Search", pictures, "search", "The best validation measure so far, against the candidates tried."
        ),
        where_section(record, pictures),
        section(
            "Do it again",
            f"<pre>pathways run {run}/config.yaml --out again\npathways verify {run}</pre>"
            f"<p>Equal systems have equal fingerprints. This one: <code>{escape(summary['fingerprint'])}</code>.</p>",
        ),
    ]
    return html_page(name, "".join(sections))


def _figures(system: Any, summary: Mapping[str, Any]) -> dict[str, Figure]:
    if not summary["tasks"]:
        return {}
    figures = {
        "graph": graph_figure(path_graph(system, MODULES), graph_notes(summary)),
        "tasks": task_chart(summary),
        "matrix": matrix_chart(summary),
        "costs": cost_chart(summary),
    }
    curves = {}
    for task in summary["tasks"]:
        rows = system.ledger.rows(task=task["name"], strategy=task["strategy"])
        values = [m.quality for row in rows if row.result.ok
                  for name, m in row.result.measures.items() if name == task["name"]]
        values = [value for value in values if plain_number(value) is not None]
        if values:
            curves[task["name"]] = values
    metrics = {task["metric"] for task in summary["tasks"]}
    if curves and max(map(len, curves.values())) > 1:
        figures["search"] = search_chart(curves, metrics.pop() if len(metrics) == 1 else "quality")
    return figures


def _facts(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    metric = summary["tasks"][0]["metric"] if summary["tasks"] else "accuracy"
    alone = summary["independent_parameters"]
    facts = [
        (str(len(summary["tasks"])), "tasks learned"),
        (measure_text(summary["ACC"], metric), f"mean test {metric}" + (", %" if metric == "accuracy" else "")),
        (points_text(summary["forgetting"], metric), "forgetting"),
        (points_text(summary["transfer"], metric), "against independent models"),
        (
            short_count(summary["parameters"]),
            "parameters, root included"
            + (f"; {100 * summary['parameters'] / alone:.0f} % of independent models" if alone else ""),
        ),
        (seconds_text(summary["cpu_seconds"]), "of CPU for the champions' search"),
    ]
    cards = "".join(f"<div><b>{escape(value)}</b><span>{escape(label)}</span></div>" for value, label in facts)
    strategy = ", ".join(dict.fromkeys(task["strategy"] for task in summary["tasks"])) or "–"
    line = (
        f"strategy {strategy} · seed {config.get('seed', 0)} · engine {summary['engine'] or 'local'} · {summary['run']}"
    )
    return f"<div class=facts>{cards}</div><p class=run>{escape(line)}</p>"


def _table(summary: Mapping[str, Any]) -> str:
    sides = [side for side in summary["sides"] if side != CHAMPIONS]
    metrics = {task["metric"] for task in summary["tasks"]}
    header = ["task", "metric", "champion", *sides, "validation", "new", "shared", "parents", "candidates", "CPU"]
    if len(metrics) == 1:
        header[:2] = [f"task ({metrics.pop()})"]
    names = short_names([task["name"] for task in summary["tasks"]]) | {"root": "root"}
    body = ""
    for task in summary["tasks"]:
        measured = [task["test"], *(task["controls"].get(side) for side in sides)]
        metric = f"<td>{escape(task['metric'])}</td>" if "metric" in header else ""
        known = [value for value in measured if value is not None]
        best = (max if task["higher_is_better"] else min)(known) if known else None
        parents = ", ".join(names.get(parent, parent) for parent in task["parents"])
        cells = [_cell(value, task["metric"], value is not None and value == best) for value in measured]
        body += (
            f"<tr><th scope=row title='{escape(task['name'])}'>{escape(names[task['name']])}</th>"
            f"{metric}{''.join(cells)}"
            f"{_cell(task['validation'], task['metric'])}<td class=n>{task['new_parameters']:,}</td>"
            f"<td class=n>{task['shared_parameters']:,}</td><td>{escape(parents or without_parents(task))}</td>"
            f"<td class=n>{task['candidates']}</td><td class=n>{seconds_text(task['cpu_seconds'])}</td></tr>"
        )
    return html_table(header, body, words=(header[0], "metric", "parents"))


def _sides(summary: Mapping[str, Any]) -> str:
    metric = summary["tasks"][0]["metric"] if summary["tasks"] else "accuracy"
    body = "".join(
        f"<tr><th scope=row>{escape(side)}</th><td class=n>{measure_text(data['ACC'], metric)}</td>"
        f"<td class=n>{points_text(data['BWT'], metric)}</td><td class=n>{points_text(data['forgetting'], metric)}</td>"
        f"<td class=n>{'–' if data['parameters'] is None else format(data['parameters'], ',')}</td>"
        f"<td class=n>{data['candidates']}</td><td class=n>{seconds_text(data['seconds'])}</td>"
        f"<td class=n>{seconds_text(data['cpu_seconds'])}</td></tr>"
        for side, data in summary["sides"].items()
    )
    header = ["side", "ACC", "BWT", "forgetting", "parameters", "candidates", "training time", "CPU"]
    return html_table(header, body, words=("side",))


def _cell(value: float | None, metric: str, best: bool = False) -> str:
    return f"<td class='n{' best' if best else ''}'>{measure_text(value, metric)}</td>"
