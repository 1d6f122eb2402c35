"""Colours and marks of the affinity report: one colour a way to split, the same in every figure."""

from __future__ import annotations

from matplotlib.colors import LinearSegmentedColormap, ListedColormap

from pathways.palette import CHAMPION, CONTROLS

WAYS = {
    "chosen": CHAMPION, "exact": CHAMPION, "all-in-one": CONTROLS[0], "separate": CONTROLS[2], "random": "#8a8f98",
    "greedy": CONTROLS[3], "hoa": CONTROLS[4],
}  # fmt: skip
"""`exact` is how `chosen` is chosen, so the two share a colour."""

MARKS = {"chosen": "o", "exact": "o", "all-in-one": "s", "separate": "D", "random": "|", "greedy": "^", "hoa": "v"}
"""A mark for each, since colours alone do not tell all readers apart."""

DIVERGING = LinearSegmentedColormap.from_list("diverging", ["#8c4a06", "#dd9a45", "#f7f5f1", "#7fb3cc", "#0a4f70"])
SEQUENTIAL = LinearSegmentedColormap.from_list("sequential", ["#f7f8f9", "#9fc4d8", "#2f7fa3", "#0a3d56"])
BLANK = ListedColormap(["#b7b9bc"])
"""The diagonal: a task and itself."""


def way_colour(name: str) -> str:
    """The colour of a way to split; random groupings share one.

    >>> way_colour("random 3") == way_colour("random")
    True
    """
    return WAYS.get(name, WAYS["random"])


__all__ = ["BLANK", "DIVERGING", "MARKS", "SEQUENTIAL", "WAYS", "way_colour"]
