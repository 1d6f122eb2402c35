"""HTML of the reports: pages, sections, figures and tables; every name from outside is escaped."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence

from .style import STYLE


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
    """A whole page that needs nothing from outside; `style` is added to that of all reports."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)} · pathways</title>'
        f"<style>{STYLE}{style}</style></head>\n<body>{body}</body></html>\n"
    )


def section(title: str, body: str, caption: str = "") -> str:
    """A section under its title; body and caption are HTML."""
    return f"<section><h2>{escape(title)}</h2>{f'<p class=caption>{caption}</p>' if caption else ''}{body}</section>"


def figure_section(title: str, pictures: Mapping[str, str], name: str, caption: str) -> str:
    """A section with one of the pictures; nothing where there is no such picture."""
    return section(title, f"<figure>{pictures[name]}</figure>", caption) if name in pictures else ""


def html_table(header: Sequence[str], body: str, words: Collection[str]) -> str:
    """A table of the rows in `body`; the columns that `words` names stand left, numbers right."""
    cells = "".join(f"<th{'' if name in words else ' class=n'}>{escape(name)}</th>" for name in header)
    return f"<div class=scroll><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
