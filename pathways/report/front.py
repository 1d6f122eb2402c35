"""Quality against what it costs: which sides, and which candidates, nothing beats in both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathways.canvas import literal, styled
from pathways.interval import Estimate
from pathways.palette import CHAMPION, FAINT, INK, MUTED, PAPER
from pathways.summary import CHAMPIONS
from pathways.text import PERCENT, short_count

from .against import mean_test
from .drawing import WIDTH, dots, scale_of
from .numbers import Table
from .tried import Tried

COSTS = ("parameters", "FLOPs", "CPU-seconds")
SIDE_COSTS = ("parameters", "CPU-seconds")


@dataclass(frozen=True)
class SidePoint:
    """One side of the comparison.

    Args:
        side: its name.
        test: its mean test measure with its interval over tasks.
        costs: in all, by `SIDE_COSTS`; `None` where not known.
        front: by cost, whether no other side is as good for less.
    """

    side: str
    test: Estimate
    costs: Mapping[str, float | None]
    front: Mapping[str, bool]


@dataclass(frozen=True)
class Placed:
    """A candidate beside its task's champion.

    Args:
        one: the candidate.
        gain: its quality less the champion's.
        ratios: by `COSTS`, its cost as a multiple of the champion's; `None` where one of the two is 0.
        front: by cost, whether no candidate of its task is as good for less.
    """

    one: Tried
    gain: float
    ratios: Mapping[str, float | None]
    front: Mapping[str, bool]


def on_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Of (cost, quality), which no other is better than in one and as good in the other.

    >>> on_front([(1, 0.5), (2, 0.9), (3, 0.8), (2, 0.9)])
    [True, True, False, True]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    found, best, last = [False] * len(points), -math.inf, (math.nan, math.nan)
    for i in order:
        if points[i][1] > best or points[i] == last:
            found[i], best, last = True, points[i][1], points[i]
    return found


def side_points(summary: Mapping[str, Any]) -> tuple[SidePoint, ...]:
    """The sides that have a mean test measure; none where tasks have different metrics."""
    known = [(side, test) for side in summary["sides"] if (test := mean_test(summary, side)) is not None]
    turn = 1.0 if all(task["higher_is_better"] for task in summary["tasks"]) else -1.0
    costs = {
        side: {"parameters": data["parameters"], "CPU-seconds": data["cpu_seconds"] if data["candidates"] else None}
        for side, data in summary["sides"].items()
    }
    fronts: dict[str, dict[str, bool]] = {side: {} for side, _ in known}
    for cost in SIDE_COSTS:
        there = [(side, test) for side, test in known if costs[side][cost] is not None]
        for (side, _), front in zip(
            there, on_front([(costs[side][cost], turn * test.value) for side, test in there]), strict=True
        ):
            fronts[side][cost] = front
    return tuple(SidePoint(side, test, costs[side], fronts[side]) for side, test in known)


def placed(found: Mapping[str, Sequence[Tried]]) -> tuple[Placed, ...]:
    """Candidates that finished, beside their task's champion; tasks whose champion is not in the record have none."""
    made: list[Placed] = []
    for ones in found.values():
        finished = [one for one in ones if one.finished]
        champion = next((one for one in finished if one.champion), None)
        if champion is None:
            continue
        base = _costs(champion)
        fronts = {
            cost: on_front([(_costs(one)[cost], one.quality or 0.0) for one in finished]) for cost in COSTS
        }
        for i, one in enumerate(finished):
            own = _costs(one)
            ratios = {cost: own[cost] / base[cost] if own[cost] and base[cost] else None for cost in COSTS}
            gain = (one.quality or 0.0) - (champion.quality or 0.0)
            made.append(Placed(one, gain, ratios, {cost: fronts[cost][i] for cost in COSTS}))
    return tuple(made)


def _costs(one: Tried) -> dict[str, float]:
    return {"parameters": one.parameters, "FLOPs": one.flops, "CPU-seconds": one.cpu_seconds}


def sides_chart(points: Sequence[SidePoint], metric: str, colours: Mapping[str, str]) -> Figure:
    """Mean test measure against parameters and processor time, champions and controls; the front is a line."""
    scale, unit = scale_of(metric)
    with styled():
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, cost in zip(panels, SIDE_COSTS, strict=True):
            known = [(cost_of, point) for point in points if (cost_of := point.costs[cost])]
            line = sorted((x, point.test.value * scale) for x, point in known if point.front.get(cost))
            axes.plot([x for x, _ in line], [y for _, y in line], color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
            for x, point in known:
                _side(axes, x, point, scale, colours[point.side])
            _cost_axis(axes, [x for x, _ in known], cost + " in all")
            _name_sides(axes, [(x, point.test.value * scale, point.side) for x, point in known])
        panels[0].set_ylabel(f"mean test {metric.replace('_', ' ')}{unit}")
    return figure


def _side(axes: Axes, x: Any, point: SidePoint, scale: float, colour: str) -> None:
    y, champion = point.test.value * scale, point.side == CHAMPIONS
    if point.test.sure:
        axes.plot([x, x], [point.test.low * scale, point.test.high * scale], color=colour, linewidth=1.6, alpha=0.75)
    axes.plot([x], [y], "D" if champion else "o", color=colour, markersize=9 if champion else 7.5,
              markeredgecolor=PAPER, markeredgewidth=0.9, zorder=3)  # fmt: skip


def _name_sides(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Names right of the points; of points that are close together they stand one above the other."""
    low, high = axes.get_ylim()
    left, right = (axes.transScale.transform((x, low))[0] for x in axes.get_xlim())
    gap, taken = 0.065 * (high - low), []  # type: float, list[tuple[float, float]]
    for x, y, side in sorted(points, key=lambda point: point[1]):
        across = (axes.transScale.transform((x, y))[0] - left) / (right - left)
        while any(abs(at - y) < gap and abs(across - beside) < 0.35 for beside, at in taken):
            y += gap / 4
        taken.append((across, y))
        axes.annotate(
            literal(side), (x, y), xytext=(9, 0), textcoords="offset points", fontsize=8.5, va="center", zorder=5,
            fontweight="bold" if side == CHAMPIONS else "normal",
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
        )  # fmt: skip


def placed_chart(points: Sequence[Placed], metric: str) -> Figure:
    """Candidates beside their champion, which stands in the middle; what is above and left of it would be better."""
    scale = 100.0 if metric in PERCENT else 1.0
    tasks = list(dict.fromkeys(point.one.task for point in points))
    gains = [point.gain * scale for point in points]
    room = 0.06 * (max(gains) - min(gains)) or 1.0
    with styled():
        figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
        panels = figure.subplots(1, len(COSTS), sharey=True)
        for axes, cost in zip(panels, COSTS, strict=True):
            known = [(ratio, point.gain * scale, point) for point in points if (ratio := point.ratios[cost])]
            for task in tasks if len(tasks) <= 60 else []:
                front = sorted((x, y) for x, y, point in known if point.front[cost] and point.one.task == task)
                axes.plot([x for x, _ in front], [y for _, y in front], color=FAINT, linewidth=1, zorder=1,
                          drawstyle="steps-post")  # fmt: skip
            axes.axhline(0, color=FAINT, linewidth=0.8, zorder=0)
            axes.axvline(1, color=FAINT, linewidth=0.8, zorder=0)
            _cost_axis(axes, [x for x, _, _ in known], f"{cost}, champion = 1", times=True)
            rest, best = ([(x, y) for x, y, point in known if point.front[cost] == there and not point.one.champion]
                          for there in (False, True))  # fmt: skip
            dots(axes, rest, MUTED, 3.6)
            dots(axes, rest, PAPER, 2.2)  # rings
            dots(axes, best, INK, 3.8)
            axes.plot([1], [0], "D", color=CHAMPION, markersize=8, markeredgecolor=PAPER, zorder=3)
        panels[0].set_ylim(min(gains) - room, max(gains) + room)
        points_ = " (points)" if metric in PERCENT else ""
        panels[0].set_ylabel(f"quality, champion = 0{points_}")
    return figure


def _cost_axis(axes: Axes, values: Sequence[float], label: str, times: bool = False) -> None:
    """Logarithmic where costs differ much; few ticks, written short."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

    low, high = min(values, default=1.0), max(values, default=1.0)
    if low > 0 and high >= 4 * low:
        axes.set_xscale("log")
        axes.set_xlim(low / 1.25, high * (1.25 if times else 2.2))
        steps = [m * 10.0**e for e in range(-9, 13) for m in (1, 2, 5)]
        inside = [step for step in steps if low / 1.2 <= step <= high * 1.2]
        axes.xaxis.set_major_locator(FixedLocator(inside[:: -(-len(inside) // 5)]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_xlim(low - room, high + (1 if times else 4) * room)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}" if times or x < 1000 else short_count(x))
    axes.set_xlabel(label)
    axes.tick_params(length=0, labelsize=8)
    axes.grid(color=FAINT, linewidth=0.5)


def front_words(points: Sequence[Placed]) -> str:
    """How often the champion is on its task's front, by cost.

    >>> front_words([])
    ''
    """
    winners = [point for point in points if point.one.champion]
    if not winners:
        return ""
    parts = [f"{sum(w.front[cost] for w in winners)} for {cost}" for cost in COSTS]
    return f"Of {len(winners)} champions, on their search's front: {', '.join(parts)}."


def sides_table(points: Sequence[SidePoint]) -> Table:
    """A row for each side."""
    rows = tuple(
        (p.side, p.test.value, p.test.low, p.test.high, p.test.n, *(p.costs[cost] for cost in SIDE_COSTS),
         *(p.front.get(cost) for cost in SIDE_COSTS))
        for p in points
    )  # fmt: skip
    columns = ("side", "mean test", "low", "high", "tasks", *SIDE_COSTS, *(f"on the front: {c}" for c in SIDE_COSTS))
    return Table("sides", columns, rows)


def placed_table(points: Sequence[Placed]) -> Table:
    """A row for each candidate that finished."""
    rows = tuple(
        (p.one.task, p.one.place, p.one.champion, p.gain, *(p.ratios[cost] for cost in COSTS),
         *(p.front[cost] for cost in COSTS))
        for p in points
    )  # fmt: skip
    columns = ("task", "place", "champion", "quality gain", *(f"{cost} ratio" for cost in COSTS),
               *(f"on the front: {cost}" for cost in COSTS))  # fmt: skip
    return Table("front", columns, rows)


__all__ = [
    "COSTS", "SIDE_COSTS", "Placed", "SidePoint", "front_words", "on_front", "placed", "placed_chart", "placed_table",
    "side_points", "sides_chart", "sides_table",
]
