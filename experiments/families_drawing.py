"""A family as a small picture: what it reads, its layers in the order in which they are called, what it gives."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from pathways.modules import Ids, Image, Port, Signal, Tokens, Vector

_FILL = {Vector: "#4477aa", Image: "#228833", Tokens: "#aa3377", Ids: "#ccbb44", Signal: "#66ccee"}
_MOST = 7  # layers that are named; the others are counted
_STYLE = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif'"


def drawing(
    name: str, reads: Sequence[Port], output: Port | None, layers: Sequence[str], *, host: str = ""
) -> str:
    """The picture as SVG.

    Args:
        name: the family.
        reads: its input ports; of a delta, those of its host.
        output: the port of what it gives.
        layers: lines for its layers; of a delta, for its tensors.
        host: for a delta, the family of the module that it changes.
    """
    shown = list(layers[:_MOST]) + ([f"and {len(layers) - _MOST} more"] if len(layers) > _MOST else [])
    height = max(84, 44 + 15 * len(shown) + (14 if host else 0), 20 + 46 * len(reads))
    middle = height / 2
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='380' height='{height}' viewBox='0 0 380 {height}' {_STYLE} "
        f"role='img' aria-label='{escape(name)}'>",
        f"<rect width='380' height='{height}' rx='6' fill='#ffffff'/>",
    ]
    top = middle - 23 * len(reads)
    for i, port in enumerate(reads):
        at = top + 46 * i + 23
        parts += [_port(port, 44, at), _arrow(84, at, 122, middle)]
    if not reads:
        parts.append(_text(44, middle, "nothing", 10))
    dash = " stroke-dasharray='4 3'" if host else ""
    parts += [
        f"<rect x='124' y='8' width='146' height='{height - 16}' rx='6' fill='#f4f4f6' stroke='#888'{dash}/>",
        _text(197, 25, name, 12, " font-weight='bold'"),
    ]
    if host:
        parts.append(_text(197, height - 14, f"inside {host}, frozen", 9))
    parts += [
        f"<text x='134' y='{43 + 15 * i}' font-size='10' fill='#333'>{escape(_short(line))}</text>"
        for i, line in enumerate(shown)
    ]
    if output is not None:
        parts += [_arrow(272, middle, 300, middle), _port(output, 338, middle)]
    return "\n".join([*parts, "</svg>", ""])


def _short(line: str) -> str:
    return line if len(line) <= 23 else line[:22] + "…"


def _arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2 - 5:g}' y2='{y2:g}' stroke='#666' stroke-width='1.2'/>"
        f"<path d='M{x2 - 6:g} {y2 - 3:g} L{x2:g} {y2:g} L{x2 - 6:g} {y2 + 3:g} Z' fill='#666'/>"
    )


def _port(port: Port, x: float, y: float) -> str:
    """A glyph for the kind of value, with its sizes below."""
    fill = _FILL.get(type(port), "#bbbbbb")
    rect = f"fill='{fill}' fill-opacity='0.75' stroke='#ffffff' stroke-width='0.8'"
    shapes = ""
    if isinstance(port, Image):
        boxes = [(x - 14 + 4 * i, y - 20 + 3 * i, 20, 18) for i in range(3)]
    elif isinstance(port, (Tokens, Ids)):
        boxes = [(x - 20 + 8 * i, y - 18, 7, 18 if isinstance(port, Tokens) else 8) for i in range(5)]
    elif isinstance(port, Signal):
        boxes = []
        wave = " ".join(f"{x - 20 + 8 * i:g},{y - up:g}" for i, up in enumerate((8, 16, 2, 18, 6, 10)))
        shapes += f"<polyline points='{wave}' fill='none' stroke='{fill}' stroke-width='2'/>"
    else:
        boxes = [(x - 4, y - 22, 8, 24)]
    shapes += "".join(f"<rect x='{a:g}' y='{b:g}' width='{w}' height='{h}' {rect}/>" for a, b, w, h in boxes)
    sizes = "×".join("n" if size is None else str(size) for size in port.shape)
    words = f"{type(port).__name__} {sizes}" + (f" of {port.vocabulary}" if isinstance(port, Ids) else "")
    return shapes + _text(x, y + 15, words, 9)


def _text(x: float, y: float, words: str, size: int, style: str = "") -> str:
    return (
        f"<text x='{x:g}' y='{y:g}' font-size='{size}'{style} fill='#444' text-anchor='middle'>{escape(words)}</text>"
    )
