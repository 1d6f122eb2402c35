"""How each search went: every candidate in the order tried, its parent, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pathways.canvas import literal, styled
from pathways.palette import CHAMPION, FAINT, INK, MUTED, PAPER
from pathways.text import short_names

from .drawing import dots, few_ticks, scale_of, small_multiples
from .tried import FAILED, STOPPED, Tried

PANELS = 12
"""Searches that are drawn; of more, so many evenly spaced in the order learned."""
_COLUMNS, _HEIGHT = 4, 1.7
_MANY = 120  # candidates of one search, beyond which their dots are small


def searches(every: Sequence[Tried], sides: Mapping[str, str]) -> dict[str, tuple[Tried, ...]]:
    """By task, what the strategy that found its champion tried; tasks for which nothing is recorded are left out.

    Args:
        every: as `pathways.report.tried.tried` gives them.
        sides: by task, that strategy.
    """
    found: dict[str, list[Tried]] = {task: [] for task in sides}
    for one in every:
        if sides.get(one.task) == one.side:
            found[one.task].append(one)
    return {task: tuple(ones) for task, ones in found.items() if ones}


def chosen(tasks: Sequence[str], most: int = PANELS) -> list[str]:
    """At most so many tasks, evenly spaced, the first and the last among them.

    >>> chosen(["a", "b", "c", "d", "e"], 3)
    ['a', 'c', 'e']
    """
    if len(tasks) <= most:
        return list(tasks)
    return [tasks[round(i * (len(tasks) - 1) / (most - 1))] for i in range(most)]


def search_chart(found: Mapping[str, Sequence[Tried]], metric: str) -> Figure:
    """A panel for each search: candidates from left to right as they were tried, quality upwards.

    Args:
        found: as `searches` gives it, of the tasks to draw.
        metric: what quality is, for the axis.
    """
    names = short_names(list(found), longest=26)
    scale, unit = scale_of(metric)
    columns = min(_COLUMNS, len(found))
    rows = -(-len(found) // columns)
    with styled():
        figure, panels = small_multiples(rows, columns, _HEIGHT * (1.5 if columns < 3 else 1))
        for axes, (task, ones) in zip(panels, found.items(), strict=False):
            _search(axes, ones, scale)
            axes.set_title(literal(names[task]), fontsize=8.5)
        for axes in panels[len(found) :]:
            axes.set_visible(False)
        figure.supxlabel("candidates, in the order tried", fontsize=9, y=0.1 / figure.get_figheight())
        figure.supylabel(f"validation {metric.replace('_', ' ')}{unit}", fontsize=9, x=0.01)
        _legend(figure, found)
    return figure


def _search(axes: Axes, ones: Sequence[Tried], scale: float) -> None:
    """One search."""
    height = {one.place: one.quality * scale for one in ones if one.quality is not None}
    axes.add_collection(LineCollection(
        [[(one.parent, height[one.parent]), (one.place, height[one.place])] for one in ones
         if one.parent in height and one.place in height],
        colors=FAINT, linewidths=0.9, zorder=1,
    ))  # fmt: skip
    on_the_way = [(one.place, [rung * scale for rung in one.rungs], height[one.place]) for one in ones
                  if one.rungs and one.place in height]  # fmt: skip
    ways = [[(x, min(*rungs, end)), (x, max(*rungs, end))] for x, rungs, end in on_the_way]
    axes.add_collection(LineCollection(ways, colors=MUTED, linewidths=0.6, alpha=0.55, zorder=1.5))
    rungs = [(x, y) for x, heights, _ in on_the_way for y in heights]
    axes.plot([x for x, _ in rungs], [y for _, y in rungs], "_", color=MUTED, markersize=4, markeredgewidth=0.8,
              zorder=2)  # fmt: skip
    finished = [one for one in ones if one.finished]
    if finished:
        best = list(accumulate((height[one.place] for one in finished), max))
        axes.step([one.place for one in finished], best, where="post", color=CHAMPION, linewidth=1.1, alpha=0.6)
        size = 3.6 if len(finished) < _MANY else 2.0
        dots(axes, [(one.place, height[one.place]) for one in finished], MUTED, size)
    stopped = [one for one in ones if one.outcome == STOPPED and one.place in height]
    axes.plot([one.place for one in stopped], [height[one.place] for one in stopped], "x", color=INK, markersize=4.5,
              markeredgewidth=1.1, zorder=3)  # fmt: skip
    winners = [one for one in ones if one.champion and one.place in height]
    axes.plot([one.place for one in winners], [height[one.place] for one in winners], "D", color=CHAMPION,
              markersize=6.5, markeredgecolor=PAPER, markeredgewidth=0.9, zorder=4)  # fmt: skip
    values = [*height.values(), *(y for _, y in rungs)] or [0.0, 1.0]
    room = 0.12 * (max(values) - min(values)) or abs(max(values)) * 0.05 or 1.0
    low, high = min(values) - room, max(values) + room
    failed = [one.place for one in ones if one.outcome == FAILED]
    axes.plot(failed, [low] * len(failed), "|", color=INK, markersize=7, clip_on=False, zorder=3)
    axes.set(xlim=(0.4, len(ones) + 0.6), ylim=(low, high))
    axes.xaxis.set_major_locator(few_ticks())
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(length=0, labelsize=8)
    axes.grid(axis="y", color=FAINT, linewidth=0.5)


def _legend(figure: Figure, found: Mapping[str, Sequence[Tried]]) -> None:
    every = [one for ones in found.values() for one in ones]
    marks = [
        (True, "candidate", {"marker": "o", "color": MUTED, "markersize": 4, "linestyle": ""}),
        (True, "champion", {"marker": "D", "color": CHAMPION, "markersize": 6, "linestyle": ""}),
        (any(one.parent for one in every), "child of", {"color": FAINT, "linewidth": 1.5}),
        (True, "best so far", {"color": CHAMPION, "linewidth": 1.2, "alpha": 0.6}),
        (any(one.rungs for one in every), "its rungs",
         {"marker": "_", "color": MUTED, "markersize": 6, "linestyle": ""}),
        (any(one.outcome == STOPPED for one in every), "stopped by a race",
         {"marker": "x", "color": INK, "markersize": 5, "linestyle": ""}),
        (any(one.outcome == FAILED for one in every), "failed",
         {"marker": "|", "color": INK, "markersize": 7, "linestyle": ""}),
    ]  # fmt: skip
    lines = [Line2D([], [], label=label, **style) for there, label, style in marks if there]  # type: ignore[arg-type]
    figure.legend(handles=lines, loc="upper left", ncols=len(lines), frameon=False, fontsize=8)


__all__ = ["PANELS", "chosen", "search_chart", "searches"]
