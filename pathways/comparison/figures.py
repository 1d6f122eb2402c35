"""The charts of a comparison."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathways.canvas import literal, styled
from pathways.palette import CHAMPION, CONTROLS, FAINT, INK, MUTED, PAPER
from pathways.report.drawing import WIDTH, label_rows, legend_above, new_figure
from pathways.text import PERCENT, short_count, short_names

from .compared import Comparison

_MARKS = "osD^vPX"
_COLOURS = (CHAMPION, *CONTROLS)


def arm_look(index: int) -> tuple[str, str]:
    """Colour and mark of an arm: up to seven are told apart by their marks alone."""
    return _COLOURS[index % len(_COLOURS)], _MARKS[index % len(_MARKS)]


def differences_chart(found: Comparison) -> Figure:
    """Each task's difference from the first arm, sorted, and above them the mean with its interval over tasks."""
    scale, unit = (100.0, "points") if found.metric in PERCENT else (1.0, found.metric)
    names = short_names(list(found.tasks), longest=26)
    first = found.differences[0]
    order = sorted(found.tasks, key=lambda task: -first.by_task[task])
    row = 0.26 if len(order) <= 25 else 0.19
    with styled():
        figure, axes = new_figure(1.3 + row * (len(order) + len(found.differences)))
        labels = [f"mean of {d.arm}" for d in found.differences] + [names[task] for task in order]
        for i, difference in enumerate(found.differences):
            colour, mark = arm_look(i + 1)
            mean = difference.over_tasks
            if mean.sure:
                axes.plot([scale * mean.low, scale * mean.high], [i, i], color=colour, linewidth=2.4)
            look: Any = {"color": colour, "marker": mark, "linestyle": "none", "markeredgecolor": PAPER}
            axes.plot(scale * mean.value, i, markersize=9, zorder=3, **look)
            rows = [len(found.differences) + j for j in range(len(order))]
            values = [scale * difference.by_task[task] for task in order]
            axes.plot(values, rows, markersize=6.5, label=literal(difference.arm), zorder=2, **look)
            if i == 0:
                axes.hlines(rows, 0, values, color=FAINT, linewidth=2.2, zorder=1)
        axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
        axes.axhline(len(found.differences) - 0.5, color=MUTED, linewidth=0.6)
        label_rows(axes, labels)
        if row < 0.25:
            axes.tick_params(labelsize=7)
        axes.set_xlabel(f"better than {literal(found.arms[0].name)} by ({unit})")
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        if len(found.differences) > 1:
            legend_above(axes, len(found.differences))
    return figure


def cost_chart(found: Comparison) -> Figure | None:
    """The mean over tasks against what it took; nothing where no arm's costs are known. A ring is one seed's."""
    sizes = [("parameters", "parameters"), ("cpu_seconds", "CPU-seconds")]
    shown = [(key, words) for key, words in sizes if all(arm.fact(key) for arm in found.arms)]
    if not shown:
        return None
    scale, unit = (100.0, " (%)") if found.metric in PERCENT else (1.0, "")
    with styled():
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, (key, words) in zip(panels, shown, strict=True):
            for i, arm in enumerate(found.arms):
                colour, mark = arm_look(i)
                for repeat in arm.repeats if len(arm.repeats) > 1 else ():
                    value = scale * sum(repeat.tests[task] for task in found.tasks) / len(found.tasks)
                    axes.plot(repeat.facts[key] or 0, value, mark, markersize=5, markerfacecolor="none", color=colour)
                look: Any = {"markersize": 10, "color": colour, "markeredgecolor": PAPER}
                axes.plot(arm.fact(key) or 0, scale * found.means[i].mean(), mark, label=literal(arm.name), **look)
            axes.set_xlabel(words)
            axes.xaxis.set_major_formatter(lambda x, _: short_count(x) if x >= 1000 else f"{x:g}")
            axes.margins(0.15)
            axes.set_xlim(left=0)
            axes.grid(color=FAINT, linewidth=0.6)
            axes.tick_params(length=0)
        if found.metric in PERCENT:
            _whole_points(panels[0])
        panels[0].set_ylabel(f"mean test {found.metric.replace('_', ' ')}{unit}")
        legend_above(panels[0], len(found.arms))
    return figure


def _whole_points(axes: Axes) -> None:
    """At least two points high, so that arms that are alike look alike, and no higher than a percentage can be."""
    low, high = axes.get_ylim()
    middle, half = (low + high) / 2, max((high - low) / 2, 1.0)
    axes.set_ylim(middle - half, min(middle + half, 100.4))


__all__ = ["arm_look", "cost_chart", "differences_chart"]
