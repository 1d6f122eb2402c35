"""The legend below a picture of a path graph: only what is in the picture, in rows as wide as it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import networkx as nx
from matplotlib.axes import Axes

from pathways.canvas import literal
from pathways.choose_root import ROOT
from pathways.palette import INK, MUTED, PAPER, SHARED, TINT, on, tint

from .layout import FEW, Box, Layout, Line, Ribbon
from .marks import PAST, RIBBON, Look, draw_box, draw_line, draw_ribbon

ROW = 0.19
"""Inches from row to row."""

_KEY, _LETTER, _SPACE = 0.33, 0.0525, 0.22  # inches: what stands before the words, a letter at 6.8 points, what follows

Draw = Callable[[Axes, float, float], None]


@dataclass(frozen=True)
class Entry:
    """One entry: its words, and what draws its key around a point."""

    words: str
    draw: Draw | None

    @property
    def width(self) -> float:
        """Inches to the next entry."""
        return (_KEY if self.draw else 0.0) + _LETTER * len(self.words) + _SPACE


_TASKS = {
    "path": "the path of one task", "root": "module of the root", "own": "module frozen by the task of its colour",
    "head": "head, with its outputs",
}  # fmt: skip
_ALONE = {"path": "the path", "root": "frozen module", "own": "draft, to be trained", "head": "its outputs"}
"""The same of the path that is no task's."""


def entries(graph: nx.MultiDiGraph, layout: Layout, look: Look) -> list[Entry]:
    """What a picture of this graph needs to have explained."""
    nodes = [data for _, data in graph.nodes(data=True)]
    kinds = {kind for _, _, kind in graph.edges(data="kind")}
    tasks = graph.graph["tasks"]
    trained = [d for d in nodes if d["kind"] in ("module", "delta", "router", "part") and d["frozen_by"] != ROOT]
    own = [d for d in trained if d["frozen_by"] in tasks]
    new = sorted(look.new, key=list(look.colours).index)
    colour = next((look.colours[task] for task in new), next(iter(look.colours.values()), INK))
    left_out, alone = graph.graph.get("left_out", 0), graph.graph.get("alone", False)
    words = _ALONE if alone else _TASKS
    many = len(layout.rows) > FEW
    ribbons = many and "reads" in kinds
    found = [
        (
            ribbons and not look.bright,
            Entry("as many tasks as it is wide, coloured as what they leave", _ribbon(colour)),
        ),
        (ribbons and bool(look.bright), Entry("as many other tasks as it is wide", _ribbon(MUTED))),
        ((not ribbons or bool(look.bright)) and bool(tasks), Entry(words["path"], _line(colour, "reads"))),
        (any(d["frozen_by"] == ROOT for d in nodes), Entry(words["root"], _square(SHARED, MUTED))),
        (bool(own), Entry(words["own"], _square(tint(colour, TINT), colour))),
        (len(own) < len(trained), Entry("module of a task not drawn", _square(PAPER, MUTED))),
        (any(d["kind"] == "glue" for d in nodes), Entry("no weights", _pill("", PAPER, MUTED))),
        (any(d["kind"] == "head" for d in nodes), Entry(words["head"], _pill("", colour, colour))),
        (any(len(d["tasks"]) > 1 for d in nodes), Entry("how many tasks use it", _pill("×2", PAPER, MUTED))),
        (
            any(d["frozen_by"] in new for d in trained) and not alone,
            Entry(f"trained for {_names(new)}", _pill("new", colour, colour)),
        ),
        (bool(kinds & {"changes", "weighs", "part"}), Entry("changes, weighs, is part of", _line(colour, "part"))),
        (
            "past" in kinds,
            Entry("past modules not drawn", _ribbon(colour, PAST) if many else _line(colour, "past")),
        ),
        (bool(left_out), Entry(f"the newest {len(tasks)} of {len(tasks) + left_out:,} tasks; graphml holds all", None)),
    ]
    return [entry for there, entry in found if there]


def rows_of(found: Sequence[Entry], width: float) -> list[list[Entry]]:
    """The entries in rows of at most this width."""
    rows: list[list[Entry]] = []
    left = 0.0
    for entry in found:
        if not rows or entry.width > left:
            rows.append([])
            left = width + _SPACE
        rows[-1].append(entry)
        left -= entry.width
    return rows


def draw_legend(axes: Axes, rows: Sequence[Sequence[Entry]], x: float, y: float) -> None:
    """Draw rows of entries, their first at this place."""
    for i, row in enumerate(rows):
        at = x
        for entry in row:
            if entry.draw:
                entry.draw(axes, at + 0.12, y + i * ROW)
            words = at + (_KEY if entry.draw else 0.0)
            axes.text(words, y + i * ROW, literal(entry.words), fontsize=6.8, color=INK, va="center_baseline")
            at += entry.width


def _names(tasks: Sequence[str]) -> str:
    last = [task.rpartition("/")[2] for task in tasks]
    words = ", ".join(name if len(name) < 25 else name[:23] + "…" for name in last[:2])
    return words if len(last) < 3 else f"{words} and {len(last) - 2} more"


def _line(colour: str, kind: str) -> Draw:
    return lambda axes, x, y: draw_line(axes, Line("", kind, ((x - 0.12, y), (x + 0.14, y))), colour)


def _ribbon(colour: str, strength: float = RIBBON) -> Draw:
    points = (-0.12, 0.14)
    return lambda axes, x, y: draw_ribbon(
        axes, Ribbon(("", ""), "reads", (), tuple((x + dx, y) for dx in points), 0.1), colour, strength
    )


def _square(face: str, edge: str) -> Draw:
    return lambda axes, x, y: draw_box(axes, Box(x + 0.03, y, 0.2, 0.12), face, edge, 0.03)


def _pill(word: str, face: str, edge: str) -> Draw:
    def draw(axes: Axes, x: float, y: float) -> None:
        draw_box(axes, Box(x + 0.01, y, 0.1 + 0.05 * len(word), 0.13), face, edge, 0.05 if not word else 0.065)
        axes.text(
            x + 0.01, y + 0.004, word, fontsize=6.5, weight="bold", ha="center", va="center",
            color=on(face) if face != PAPER else INK, zorder=4,
        )  # fmt: skip

    return draw
