"""Light and dark: the colours of `palette.py` as variables of a page, so that dark mode reaches into its figures."""

from __future__ import annotations

import re

from . import palette
from .palette import CHAMPION, CONTROLS, INK, TASKS, luminance, tint

_PAPER, _INK = "#12171e", "#e6ebf1"  # of dark mode
_CONTRAST = 4.5  # with the page, of words: WCAG 2.2, 1.4.3; lines need 3


def _on_dark(colour: str) -> str:
    """`colour`, made lighter until it stands out from a dark page; what could be read on it still can."""
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    mixed, strength = colour, 0
    while (luminance(mixed) + 0.05) / (luminance(_PAPER) + 0.05) < _CONTRAST:
        strength += 1
        mixed = "#" + "".join(f"{round(c + (255 - c) * strength / 100):02x}" for c in channels)
    return mixed


def _mixed(colour: str, paper: str, strength: float) -> str:
    pairs = [(int(colour[i : i + 2], 16), int(paper[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(b + strength * (a - b)):02x}" for a, b in pairs)


LIGHT: dict[str, str] = {
    "ink": INK, "muted": palette.MUTED, "faint": palette.FAINT, "shared": palette.SHARED, "paper": palette.PAPER,
    "champion": CHAMPION,
    **{f"control{i}": colour for i, colour in enumerate(CONTROLS)},
    **{f"task{i}": colour for i, colour in enumerate(TASKS)},
    **{f"tint{i}": tint(colour, palette.TINT) for i, colour in enumerate(TASKS)},
}  # fmt: skip
"""By name of the variable, its colour on a light page."""

DARK: dict[str, str] = {
    "ink": _INK, "muted": "#9aa6b4", "faint": "#333d49", "shared": "#2a323c", "paper": _PAPER,
    **{name: _on_dark(colour) for name, colour in LIGHT.items() if name.startswith(("champion", "control", "task"))},
    **{f"tint{i}": _mixed(_on_dark(colour), _PAPER, 0.3) for i, colour in enumerate(TASKS)},
}  # fmt: skip
"""The same on a dark page."""

_VARIABLES = {colour.lower(): name for name, colour in reversed(list(LIGHT.items()))}


def theme() -> str:
    """CSS that sets all variables: light, dark where the reader's system is or `data-theme` says so, light in print.

    >>> theme().startswith(":root{color-scheme:light;--ink:#1f2933;")
    True
    """

    def block(names: dict[str, str], scheme: str) -> str:
        return f"color-scheme:{scheme};" + ";".join(f"--{name}:{colour}" for name, colour in names.items())

    light, dark = block(LIGHT, "light"), block(DARK, "dark")
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
    )


def themed(svg: str) -> str:
    """An SVG whose colours of the palette are variables with themselves as fallback; any other colour stays.

    What is written on a colour (`palette.on`) stays too.

    >>> themed('<path style="fill: #1f2933; stroke: #abcdef"/>')
    '<path style="fill: var(--ink,#1f2933); stroke: #abcdef"/>'
    """

    def variable(match: re.Match[str]) -> str:
        colour = match.group(2).lower()
        return match.group(1) + (f"var(--{_VARIABLES[colour]},{colour})" if colour in _VARIABLES else match.group(2))

    return re.sub(r"((?:fill|stroke|stop-color): ?)(#[0-9a-fA-F]{6})\b", variable, svg)


__all__ = ["DARK", "LIGHT", "theme", "themed"]
