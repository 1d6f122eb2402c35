"""HTML of the reports: pages, sections, figures and tables; every name from outside is escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files

from pathways.theme import theme

from .numbers import Cell, Table

ROWS = 600
"""So many rows of a table stand on a page; its file has all."""
COLUMNS = 110
"""A table with more columns is only in its file."""
PRINTED = 14
"""A table with more columns is not printed: paper is too narrow."""
PRINTED_ROWS = 100
"""A table with more rows is not printed: its file has them, and nobody turns that many pages."""


def escape(text: object) -> str:
    """Text as HTML shows it unchanged.

    >>> escape("a < b")
    'a &lt; b'
    """
    return html.escape(str(text))


def prose(text: object) -> str:
    """Text as HTML, with what stands in backticks as code.

    >>> prose("rule `tag`: a < b")
    'rule <code>tag</code>: a &lt; b'
    """
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def html_page(title: str, body: str, style: str = "") -> str:
    """A whole page that needs nothing from outside: its contents, `body`, a switch between light and dark.

    Args:
        title: of the window.
        body: a `<header>` with the only `<h1>`, then sections as `section` makes them, which the contents list.
        style: CSS, added to that of all reports.
    """
    found = re.findall(r'<section id="([^"]+)"[^>]*><h2[^>]*>(.*?)</h2>', body)
    links = "".join(f'<li><a href="#{key}">{words}</a></li>' for key, words in found)
    contents = (
        f'<nav class="contents" aria-labelledby="contents"><p id="contents">Contents</p><ul>{links}</ul>'
        f'<button type="button" class="switch">Theme</button></nav>'
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)} · pathways</title>'
        f"<style>{theme()}{_file('report.css')}{style}</style></head>\n"
        f'<body><a class="skip" href="#main">Skip to the report</a><div class="sides">{contents}'
        f'<main id="main" tabindex="-1">{body}</main></div><script>{_file("report.js")}</script></body></html>\n'
    )


@cache
def _file(name: str) -> str:
    """The text of a file beside this one."""
    return (files("pathways.report") / name).read_text(encoding="utf-8")


def anchor(title: str) -> str:
    """What links name a section by.

    >>> anchor("Is anything forgotten?")
    'is-anything-forgotten'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def section(title: str, body: str, caption: str = "") -> str:
    """A section under its title; body and caption are HTML, titles are told apart by their words."""
    key, said = anchor(title), f'<p class="caption">{caption}</p>' if caption else ""
    head = f'<h2 id="{key}-title">{escape(title)}</h2>'
    return f'<section id="{key}" aria-labelledby="{key}-title">{head}{said}{body}</section>'


def figure_section(title: str, pictures: Mapping[str, str], name: str, caption: str, below: str = "") -> str:
    """A section with one of the pictures and what stands below it; nothing where there is no such picture."""
    return section(title, picture(pictures[name], title) + below, caption) if name in pictures else ""


def picture(svg: str, label: str) -> str:
    """A picture that is read out as `label`; its numbers are to stand beside it as a table.

    >>> picture("<svg><text>1</text></svg>", "Costs")
    '<figure><div class="scroll"><svg role="img" aria-label="Costs"><text>1</text></svg></div></figure>'
    """
    named = svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
    return f'<figure><div class="scroll">{named}</div></figure>'


def html_table(
    header: Sequence[str], body: str, words: Collection[str], *, caption: str = "", label: str = "", foot: str = "",
    shape: str = "", sortable: bool = True,
) -> str:
    """A table that can be sorted, of the rows in `body`.

    Args:
        header: the names of its columns; those that `words` names stand left, numbers right.
        body: its rows as HTML, each with a `<th scope="row">` first.
        words: see `header`.
        caption: what it is, shown above it.
        label: the same for those who hear it, where that is shown elsewhere.
        foot: a row as HTML that stays below when the rest is sorted.
        shape: a class of its frame: `tall` or `long` scroll when they are.
        sortable: whether its headers are buttons that sort it, where scripts run.
    """
    cells = "".join(
        f'<th scope="col"{"" if name in words else _NUMBER}>{escape(name)}</th>' for name in header
    )
    said = f' aria-label="{escape(label)}"' if label else ""
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    kind = ' class="sortable"' if sortable else ""
    ending = f"<tfoot>{foot}</tfoot>" if foot else ""
    return (
        f'<div class="scroll{" " * bool(shape)}{shape}"><table{kind}{said}>{above}<thead><tr>{cells}</tr></thead>'
        f"<tbody>{body}</tbody>{ending}</table></div>"
    )


_NUMBER = ' class="n"'


def numbers(
    table: Table, label: str, texts: Mapping[str, Callable[[Cell], str]] | None = None,
    names: Mapping[str, str] | None = None, folder: str = "figures",
) -> str:  # fmt: skip
    """A table as it stands folded below its picture; nothing where it is empty.

    Args:
        table: whose file is `NAME.csv` in `folder`.
        label: what its numbers are.
        texts: by column, how a cell is written.
        names: how words are shortened.
        folder: where its file is.
    """
    if not table.rows:
        return ""
    file = f"<code>{folder}/{escape(table.name)}.csv</code>"
    if len(table.columns) > COLUMNS:
        size = f"{len(table.rows):,} rows of {len(table.columns):,} columns"
        return f'<p class="more">{escape(label)}: {file}, {size}.</p>'
    texts, names = texts or {}, names or {}
    words = {
        column for i, column in enumerate(table.columns)
        if not i or any(isinstance(row[i], str) and row[i] for row in table.rows)
    }  # fmt: skip
    body = "".join(_row(table.columns, row, words, texts, names) for row in table.rows[:ROWS])
    screen = len(table.columns) > PRINTED or len(table.rows) > PRINTED_ROWS
    cut = f" The first {ROWS:,} of {len(table.rows):,} rows." if len(table.rows) > ROWS else ""
    return (
        f'<details class="data{" unprinted" * screen}"><summary>{escape(label)} as a table</summary>'
        f'<p class="more">{file} has these numbers unrounded.{cut}</p>'
        f"{html_table(table.columns, body, words, label=label, shape='long')}</details>"
    )


def _row(
    columns: Sequence[str], row: Sequence[Cell], words: Collection[str], texts: Mapping[str, Callable[[Cell], str]],
    names: Mapping[str, str],
) -> str:  # fmt: skip
    cells = []
    for i, (column, cell) in enumerate(zip(columns, row, strict=True)):
        text = texts.get(column, cell_text)(cell)
        text = names.get(text, text)
        if not i:
            cells.append(f'<th scope="row">{escape(text)}</th>')
        elif column in words:
            cells.append(f"<td{' class=wrap' if len(text) > 40 else ''}>{escape(text)}</td>")
        else:
            cells.append(f"<td class=n{_sorted_by(cell, text)}>{escape(text)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _sorted_by(cell: Cell, text: str) -> str:
    """The number a cell is sorted by, where its text is not that number."""
    if isinstance(cell, bool) or not isinstance(cell, int | float) or cell != cell:
        return ""
    try:
        float(text.replace(",", "").replace("%", "").replace("−", "-"))
    except ValueError:
        return f' data-v="{cell:.6g}"'
    return ""


def cell_text(cell: Cell) -> str:
    """A cell as people read it.

    >>> [cell_text(cell) for cell in (None, True, 12345, 0.123456, "a")]
    ['–', 'yes', '12,345', '0.1235', 'a']
    """
    if cell is None or cell != cell:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


__all__ = [
    "anchor", "cell_text", "escape", "figure_section", "html_page", "html_table", "numbers", "picture", "prose",
    "section",
]
