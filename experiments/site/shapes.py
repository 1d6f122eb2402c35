"""Shapes of the pictures of concepts: SVG as text, in the colours of `pathways.palette`, which pages turn dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pathways.palette import INK, MUTED, PAPER, SHARED, TINT, task_colour, tint

FONT = "font-family=\"'DejaVu Sans', Helvetica, Arial, sans-serif\""
LARGE, SMALL = 15, 13
HIGH = 36
"""How high a module is."""


def picture(width: int, height: int, says: str, *parts: str) -> str:
    """A whole SVG file.

    Args:
        width: in pixels.
        height: in pixels.
        says: what it shows, for those who do not see it.
        *parts: its shapes, those below first.
    """
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    paper = f'<rect width="{width}" height="{height}" style="fill: {PAPER}"/>'
    return "\n".join([f'{head} {FONT} role="img" aria-label="{escape(says)}">', paper, *parts, "</svg>", ""])


def words(x: float, y: float, text: str, *, size: int = LARGE, colour: str = INK, anchor: str = "middle",
          bold: bool = False) -> str:  # fmt: skip
    """One line, `y` its base line."""
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}"{weight} '
        f'style="fill: {colour}">{escape(text)}</text>'
    )


def title(x: float, y: float, text: str) -> str:
    """What a part of a picture is."""
    return words(x, y, text, anchor="start", bold=True)


def note(x: float, y: float, text: str, anchor: str = "middle") -> str:
    """A quiet line."""
    return words(x, y, text, size=SMALL, colour=MUTED, anchor=anchor)


def box(x: float, y: float, width: float, height: float, text: str = "", *, fill: str = SHARED, edge: str = MUTED,
        dashed: bool = False, size: int = LARGE, thick: float = 1.5) -> str:  # fmt: skip
    """A box with its name in the middle, `x` and `y` its upper left corner."""
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    shape = (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7"{dash} '
        f'style="fill: {fill}; stroke: {edge}; stroke-width: {thick:g}"/>'
    )
    lines = text.split("\n") if text else []
    first = y + height / 2 + size * 0.35 - (len(lines) - 1) * size * 0.65
    rows = enumerate(lines)
    return shape + "".join(words(x + width / 2, first + i * size * 1.3, each, size=size) for i, each in rows)


def frozen(x: float, y: float, width: float, text: str, task: int | None = None, height: float = HIGH) -> str:
    """A module that nothing trains: grey where it is the root's, else in the tint of the task that trained it."""
    if task is None:
        return box(x, y, width, height, text)
    return box(x, y, width, height, text, fill=tint(task_colour(task), TINT), edge=task_colour(task))


def draft(x: float, y: float, width: float, text: str, task: int, height: float = HIGH) -> str:
    """A module to be trained: an open, dashed box."""
    size = LARGE if height == HIGH else SMALL
    return box(x, y, width, height, text, fill=PAPER, edge=task_colour(task), dashed=True, thick=2, size=size)


def head(x: float, y: float, task: int, text: str = "head") -> str:
    """The head of a task."""
    return box(x, y, 62, HIGH - 6, text, fill=tint(task_colour(task), TINT), edge=task_colour(task), size=SMALL)


def line(points: Sequence[tuple[float, float]], colour: str = MUTED, *, width: float = 1.8, arrow: bool = True,
         dashed: bool = False) -> str:  # fmt: skip
    """A line through points, with an arrow at its end; what stands between two of them bends."""
    (x, y), *rest = points
    text = f"M{x:g} {y:g}"
    for to_x, to_y in rest:
        middle = (x + to_x) / 2
        text += f" C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}" if to_y != y else f" L{to_x:g} {to_y:g}"
        x, y = to_x, to_y
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    drawn = f'<path d="{text}" fill="none"{dash} style="stroke: {colour}; stroke-width: {width:g}"/>'
    return drawn + (_tip(x, y, 1, 0, colour) if arrow else "")


def down(x: float, y: float, to_y: float, colour: str = MUTED) -> str:
    """A straight arrow down, or up."""
    sign = 1 if to_y > y else -1
    text = f"M{x:g} {y:g} L{x:g} {to_y - 4 * sign:g}"
    drawn = f'<path d="{text}" fill="none" style="stroke: {colour}; stroke-width: 1.8"/>'
    return drawn + _tip(x, to_y, 0, sign, colour)


def _tip(x: float, y: float, along: int, downwards: int, colour: str) -> str:
    if along:
        corners = f"M{x - 8:g} {y - 4.5:g} L{x:g} {y:g} L{x - 8:g} {y + 4.5:g} Z"
    else:
        corners = f"M{x - 4.5:g} {y - 8 * downwards:g} L{x:g} {y:g} L{x + 4.5:g} {y - 8 * downwards:g} Z"
    return f'<path d="{corners}" style="fill: {colour}"/>'


__all__ = [
    "HIGH", "LARGE", "SMALL", "box", "down", "draft", "frozen", "head", "line", "note", "picture", "title", "words",
]
