"""Colours of figures: legible for colour-blind readers, one hue a task, grey for what all share."""

from __future__ import annotations

from collections.abc import Sequence

# CARTO's "Safe" qualitative palette (after Tol 2012), its grey replaced by Okabe and Ito's orange,
# ordered so that neighbours differ in lightness too.
TASKS = (
    "#332288",
    "#E69F00",
    "#117733",
    "#CC6677",
    "#6699CC",
    "#661100",
    "#44AA99",
    "#AA4499",
    "#999933",
    "#882255",
    "#88CCEE",
    "#B8A63A",
)
INK = "#1f2933"
MUTED = "#697586"
FAINT = "#d5dae1"
SHARED = "#e9ecf0"
PAPER = "#ffffff"
TINT = 0.22
"""How strong a task's colour is in the boxes of its modules."""

# What is written on a colour: the same in dark mode, so a shade beside INK and PAPER, which change (`theme.py`).
ON_LIGHT = "#1f2934"
ON_DARK = "#fffffe"

# Sides of a comparison, the same colour in every chart.
CHAMPION = "#0b6e99"
CONTROLS = ("#d98a1f", "#8a8f98", "#7a5195", "#5a9367", "#b5526b")
_USUAL = {"head-only": CONTROLS[0], "fine-tune-all": CONTROLS[1], "independent": CONTROLS[2]}


def task_colour(index: int) -> str:
    """The colour of the task at that place in the order of learning; colours repeat after twelve.

    >>> task_colour(0) == task_colour(12)
    True
    """
    return TASKS[index % len(TASKS)]


def control_colours(controls: Sequence[str]) -> dict[str, str]:
    """A colour for each control: the usual ones always have theirs, others take what is left; they repeat after five.

    >>> control_colours(["independent", "joint"]) == {"independent": CONTROLS[2], "joint": CONTROLS[0]}
    True
    """
    taken = {name: _USUAL[name] for name in controls if name in _USUAL}
    free = [colour for colour in CONTROLS if colour not in taken.values()] or list(CONTROLS)
    others = [name for name in controls if name not in taken]
    return {**taken, **{name: free[i % len(free)] for i, name in enumerate(others)}}


def tint(colour: str, strength: float) -> str:
    """`colour` mixed into white: 0 is white, 1 is the colour.

    >>> tint("#000000", 0.5)
    '#808080'
    """
    channels = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - strength * (255 - channel)):02x}" for channel in channels)


def on(colour: str) -> str:
    """The colour of text that is legible on `colour`, in dark mode too: dark on light ones, light on dark ones.

    >>> on("#332288") == ON_DARK, on("#88CCEE") == ON_LIGHT
    (True, True)
    """
    level = luminance(colour) + 0.05
    return ON_LIGHT if level / (luminance(ON_LIGHT) + 0.05) > 1.05 / level else ON_DARK


def luminance(colour: str) -> float:
    """The relative luminance of a colour, 0 to 1 (WCAG 2.2, "relative luminance").

    >>> luminance("#ffffff"), luminance("#000000")
    (1.0, 0.0)
    """
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return round(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2], 12)
