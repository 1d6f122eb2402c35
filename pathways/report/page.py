"""The report: one self-contained HTML page, its figures and its numbers as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathways.canvas import inline, render
from pathways.files import write_atomically

from . import sections
from .found import Found, figures, graph_notes, read, tables
from .markup import escape, html_page
from .numbers import Table, table_csv


def write_report(system: Any) -> Path:
    """Write `report.html` into the run directory; its figures as SVG and PNG, its numbers as CSV into `figures/`.

    Args:
        system: a `pathways.System`.

    Returns:
        The page.
    """
    found = read(system)
    pictures = {}
    for name, figure in figures(found).items():
        svg = render(figure, "svg", name)
        pictures[name] = inline(svg, name)
        write_atomically(system.directory / "figures" / f"{name}.svg", svg, durable=False)
        write_atomically(system.directory / "figures" / f"{name}.png", render(figure, "png", name), durable=False)
    made = tables(found)
    for table in made.values():
        file = system.directory / "figures" / f"{table.name}.csv"
        write_atomically(file, table_csv(table).encode(), durable=False)
    out: Path = system.directory / "report.html"
    write_atomically(out, page(found, made, pictures).encode(), durable=False)
    return out


def page(found: Found, made: Mapping[str, Table], pictures: Mapping[str, str]) -> str:
    """The HTML page; every name from outside is escaped.

    Args:
        found: what is shown.
        made: its tables, by name.
        pictures: its figures as SVG, by name.
    """
    name = str(found.config.get("name") or Path(found.summary["run"]).name)
    head = f'<header><p class="kicker">pathways report</p><h1>{escape(name)}</h1></header>'
    return html_page(name, head + "".join(make(found, made, pictures) for make in sections.ALL))


__all__ = ["graph_notes", "page", "write_report"]
