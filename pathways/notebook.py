"""What notebooks show where the last line of a cell is a system, a path, an affinity or a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from .canvas import inline, render, styled
from .errors import PathwaysError
from .text import measure_text, short_count, short_names

if TYPE_CHECKING:
    from .affinity import Affinity
    from .comparison import Comparison
    from .path import Path
    from .system import System

ROWS = 12
"""So many tasks have a row, the newest: a notebook is no report."""

_TABLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CELL = "text-align:{};padding:.2rem .7rem"


def system_html(system: System) -> str:
    """A system: what it has learned, beside its controls, and its path graph.

    Args:
        system: what is shown.
    """
    from .graph.build import path_graph
    from .graph.draw import MODULES, graph_figure

    summary = system.summary()
    tasks = summary["tasks"]
    if not tasks:
        return f"<p><b>{escape(system.place)}</b>: no task is learned yet</p>"
    facts = [f"{len(tasks)} task{'s' * (len(tasks) > 1)}", f"{short_count(summary['parameters'])} parameters"]
    if summary["ACC"] is not None:
        facts.insert(1, f"mean test {tasks[0]['metric']} {measure_text(summary['ACC'], tasks[0]['metric'])}")
    graph = path_graph(system, MODULES)
    svg = inline(render(graph_figure(graph), "svg", "notebook"), f"s{system.fingerprint[:8]}")
    return f"<p><b>{escape(system.place)}</b>: {escape(', '.join(facts))}</p>{_tasks(summary)}{_scaled(svg)}"


def _tasks(summary: Mapping[str, Any]) -> str:
    tasks = summary["tasks"][-ROWS:]
    names = short_names([task["name"] for task in summary["tasks"]])
    controls = [side for side in summary["sides"] if any(side in task["controls"] for task in tasks)]
    rows = [
        (
            names[task["name"]], measure_text(task["test"], task["metric"]),
            *(measure_text(task["controls"].get(side), task["metric"]) for side in controls),
            short_count(task["new_parameters"]), ", ".join(names.get(p, p) for p in task["parents"]),
        )
        for task in tasks
    ]  # fmt: skip
    left_out = len(summary["tasks"]) - len(tasks)
    note = f"<p>the newest {len(tasks)} of {left_out + len(tasks)} tasks</p>" if left_out else ""
    return _table(("task", "champion", *controls, "new", "parents"), rows, left=("task", "parents")) + note


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]], left: tuple[str, ...]) -> str:
    def cell(tag: str, name: str, text: str) -> str:
        return f'<{tag} style="{_CELL.format("left" if name in left else "right")}">{escape(text)}</{tag}>'

    head = "".join(cell("th", name, name) for name in header)
    body = "".join(
        f"<tr>{''.join(cell('td', name, text) for name, text in zip(header, row, strict=True))}</tr>" for row in rows
    )
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _scaled(svg: str) -> str:
    """A picture that is never wider than the page."""
    return f'<div style="max-width:100%">{svg.replace("<svg", "<svg style=max-width:100%;height:auto", 1)}</div>'


def path_svg(path: Path) -> str | None:
    """A path's steps from its inputs to its end; nothing where its families are not built in or its ports do not fit.

    Args:
        path: what is shown.
    """
    from .graph.build import graph_of_path
    from .graph.draw import graph_figure

    try:
        graph = graph_of_path(path)
    except PathwaysError:
        return None
    return render(graph_figure(graph), "svg", path.hash[:8]).decode()


def affinity_html(affinity: Affinity) -> str:
    """An affinity: its matrix, affected tasks as rows, coloured by where a value stands in its row.

    Args:
        affinity: what is shown.
    """
    from .affinity.report.grid import grid_figure
    from .affinity.report.heatmap import LONGEST, PLACE, of_others, row_places, times, value_texts
    from .affinity.report.structure import first_only

    part = first_only(affinity, LONGEST)
    with styled():
        texts = value_texts(of_others(part))
        figure = grid_figure(row_places(part), list(part.affected), list(part.sources), PLACE, texts)
    unit = " ".join(word for word in (times(of_others(part)), affinity.unit) if word)
    said = (
        f"<p><b>{escape(affinity.kind)}</b> by <code>{escape(affinity.estimator)}</code> ({escape(unit)}), mean of "
        f"{affinity.repeats} repeat{'s' * (affinity.repeats > 1)}: rows are helped by columns; "
        f"{'larger' if affinity.higher_is_better else 'smaller'} is more help. Colours compare within a row.</p>"
    )
    return said + _scaled(inline(render(figure, "svg", "affinity"), "affinity"))


def comparison_html(found: Comparison) -> str:
    """A comparison: its verdicts, and each task's difference.

    Args:
        found: what is shown.
    """
    from .comparison.figures import differences_chart
    from .comparison.words import verdict

    said = "".join(f"<p>{escape(verdict(found, difference))}</p>" for difference in found.differences)
    return said + _scaled(inline(render(differences_chart(found), "svg", "differences"), "differences"))


__all__ = ["affinity_html", "comparison_html", "path_svg", "system_html"]
