"""Hyperparameters over a run: what candidates were given, in the order tried, and what champions have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pathways.canvas import literal, styled
from pathways.palette import CHAMPION, FAINT, MUTED, PAPER, SHARED

from .drawing import dots, few_ticks, small_multiples
from .numbers import Table
from .tried import Tried

PANELS = 12
_LEVELS = 12  # distinct values that are still drawn as levels, each with its name
_MANY = 1000


@dataclass(frozen=True)
class Trace:
    """One hyperparameter.

    Args:
        name: its dotted name.
        values: of each candidate, in the order tried.
        champions: whether each candidate became a champion.
        bounds: after how many candidates each task's search ends.
    """

    name: str
    values: tuple[Any, ...]
    champions: tuple[bool, ...]
    bounds: tuple[int, ...]


def traces(found: Mapping[str, Sequence[Tried]]) -> tuple[Trace, ...]:
    """The hyperparameters that differ between candidates, those that take most values first.

    Args:
        found: by task in the order learned, what was tried for it.
    """
    every = [one for ones in found.values() for one in ones]
    bounds: list[int] = []
    for ones in found.values():
        bounds.append((bounds[-1] if bounds else 0) + len(ones))
    names = dict.fromkeys(name for one in every for name in one.settings)
    made = []
    for name in names:
        values = tuple(one.settings.get(name) for one in every)
        if len(set(map(repr, values))) > 1:
            made.append(Trace(name, values, tuple(one.champion for one in every), tuple(bounds)))
    return tuple(sorted(made, key=lambda trace: -len(set(map(repr, trace.values)))))


def traces_chart(found: Sequence[Trace]) -> Figure:
    """A panel for each hyperparameter: dots are candidates, diamonds champions."""
    shown = found[:PANELS]
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    with styled():
        figure, panels = small_multiples(rows, columns, 1.9)
        for axes, trace in zip(panels, shown, strict=False):
            _trace(axes, trace)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        words = "candidates, in the order tried; bands are tasks"
        figure.supxlabel(words, fontsize=9, y=0.1 / figure.get_figheight())
        dot = Line2D([], [], marker="o", color=MUTED, markersize=4, linestyle="", label="candidate")
        won = Line2D([], [], marker="D", color=CHAMPION, markersize=6, linestyle="", label="champion")
        figure.legend(handles=[dot, won], loc="upper left", ncols=2, frameon=False, fontsize=8)
    return figure


def _trace(axes: Axes, trace: Trace) -> None:
    heights = _heights(axes, trace.values)
    ends = (0, *trace.bounds)
    for i in range(0, len(trace.bounds), 2):
        axes.axvspan(ends[i] + 0.5, ends[i + 1] + 0.5, color=SHARED, alpha=0.55, linewidth=0, zorder=0)
    known = [(i + 1, y, won) for i, (y, won) in enumerate(zip(heights, trace.champions, strict=True)) if y is not None]
    dots(axes, [(x, y) for x, y, won in known if not won], MUTED, 2.0 if len(known) > _MANY else 3.2)
    winners = [(x, y) for x, y, won in known if won]
    axes.plot([x for x, _ in winners], [y for _, y in winners], "D", color=CHAMPION,
              markersize=5.5 if len(winners) < 20 else 3.8, markeredgecolor=PAPER, markeredgewidth=0.6)  # fmt: skip
    axes.set_title(literal(trace.name), fontsize=9)
    axes.set_xlim(0.5, trace.bounds[-1] + 0.5)
    axes.xaxis.set_major_locator(few_ticks())
    axes.tick_params(length=0, labelsize=8)
    axes.grid(axis="y", color=FAINT, linewidth=0.5)


def _heights(axes: Axes, values: Sequence[Any]) -> list[float | None]:
    """Where values stand: few distinct ones on levels of their own, evenly spaced; many numbers on a scale."""
    distinct = sorted({repr(value): value for value in values if value is not None}.values(), key=_order)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct)
    if len(distinct) > _LEVELS and numbers:
        if distinct[0] > 0 and distinct[-1] >= 10 * distinct[0]:
            axes.set_yscale("log")
            axes.set_ylim(distinct[0] / 1.6, distinct[-1] * 1.6)
        else:
            room = 0.08 * (distinct[-1] - distinct[0])
            axes.set_ylim(distinct[0] - room, distinct[-1] + room)
        return [None if value is None else float(value) for value in values]
    shown = distinct[:_LEVELS]
    level = {repr(value): float(i) for i, value in enumerate(shown)}
    axes.set_yticks(range(len(shown)), [literal(_word(value)) for value in shown])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    return [level.get(repr(value)) for value in values]


def _order(value: Any) -> tuple[int, float, str]:
    number = isinstance(value, int | float)
    return (0 if number else 1, float(value) if number else 0.0, str(value))


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:20]


def settings_table(found: Mapping[str, Sequence[Tried]], names: Sequence[str]) -> Table:
    """A row for each candidate: the hyperparameters that differ."""
    rows = tuple(
        (one.task, one.place, one.champion, *(_plain(one.settings.get(name)) for name in names))
        for ones in found.values() for one in ones
    )  # fmt: skip
    return Table("hyperparameters", ("task", "place", "champion", *names), rows)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


__all__ = ["PANELS", "Trace", "settings_table", "traces", "traces_chart"]
