"""A champion's line as a picture: its ancestors' searches side by side, each step numbered, and what each step was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pathways.canvas import literal, styled
from pathways.palette import FAINT, INK, MUTED, PAPER, on, task_colour
from pathways.text import PERCENT, measure_text, short_count, short_names

SEARCHES, STEPS = 6, 14
"""How many searches and steps a picture shows, the newest: of more nobody sees anything."""

_WIDTH, _TOP, _CHART, _LINE = 11.0, 0.95, 3.3, 0.245  # inches: width, headings, chart, a line of the table
_SIDES = (0.75, 0.35)
_COLUMNS = (0.62, 2.35, 3.15)  # inches from the left: of the words in the table
_NUMBER = 0.95  # inches: of a column of numbers, from the right


def lineage_figure(data: Mapping[str, Any], searches: int = SEARCHES, steps: int = STEPS) -> Figure:
    """The picture of a line: validation quality against generation, and below it a table of the steps.

    Args:
        data: what `pathways.graph.lineage.lineage` gives.
        searches: how many of the line's searches are shown, the newest.
        steps: how many of its steps are, the newest.
    """
    line = data["line"][-steps:]
    tasks = {step["task"] for step in line}
    shown = [search for search in data["searches"] if search["task"] in tasks][-searches:]
    line = [step for step in line if step["task"] in {search["task"] for search in shown}]
    names = short_names([search["task"] for search in data["searches"]], longest=20)
    height = _TOP + _CHART + 0.75 + _LINE * (len(line) + 1.2) + 0.15
    with styled():
        figure = Figure(figsize=(_WIDTH, height))
        left, right = _SIDES
        axes = figure.add_axes((left / _WIDTH, (height - _TOP - _CHART) / height, (_WIDTH - left - right) / _WIDTH,
                                _CHART / height))
        _chart(axes, data, shown, line, names)
        _heading(figure, data, shown, height)
        page = figure.add_axes((0, 0, 1, 1))
        page.set_axis_off()
        page.set(xlim=(0, _WIDTH), ylim=(0, height))
        _table(page, data, line, names, height - _TOP - _CHART - 0.85)
    return figure


def _heading(figure: Figure, data: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], height: float) -> None:
    name = data["task"].rpartition("/")[2]
    title = literal(f"How {name} came about")
    figure.text(0.25 / _WIDTH, 1 - 0.3 / height, title, fontsize=12, weight="bold", color=INK)
    before = len(data["searches"]) - len(shown)
    start = data["begins"] or "a path of its own"
    first = data["searches"][0]["task"] if before else ""
    said = f"from {start}"
    if before:
        said += f" by way of {before} earlier task{'s' * (before > 1)} (first {first})"
    tried = sum(len(search["candidates"]) for search in shown)
    said += f" · {tried} candidates of {len(shown)} search{'es' * (len(shown) > 1)}, those of the line numbered"
    said += " · dashed: builds on another task's champion" if len(shown) > 1 else ""
    figure.text(0.25 / _WIDTH, 1 - 0.52 / height, literal(said), fontsize=8.5, color=MUTED)


def _chart(
    axes: Axes, data: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], line: Sequence[Mapping[str, Any]],
    names: Mapping[str, str],
) -> None:
    metrics = {search["metric"] for search in shown}
    scale = 100 if metrics <= set(PERCENT) else 1
    places, edges = _places(shown)
    known = [each["quality"] * scale for s in shown for each in s["candidates"] if each["quality"] is not None]
    low, high = _span(known)
    for number, search in enumerate(shown):
        colour = task_colour(search["place"])
        begin, end = edges[number], edges[number + 1]
        if number:
            axes.axvline(begin, color=FAINT, linewidth=0.8)
        axes.plot([begin + 0.12, end - 0.12], [1.0, 1.0], color=colour, linewidth=3, clip_on=False,
                  transform=axes.get_xaxis_transform(), solid_capstyle="butt")
        axes.text((begin + end) / 2, 1.025, literal(names[search["task"]]), fontsize=9, weight="bold", color=INK,
                  ha="center", transform=axes.get_xaxis_transform())
        _family(axes, search, places, scale, low)
    points = [(places[step["task"], step["candidate"]], (step["quality"] or 0) * scale) for step in line]
    for (before, step), (there, here) in zip(pairwise(line), pairwise(points), strict=True):
        same = step["task"] == before["task"]
        look: dict[str, Any] = {"linewidth": 2.4} if same else {"linewidth": 1.6, "linestyle": (0, (2.5, 1.8))}
        colour = task_colour(_place(shown, step["task"]))
        axes.plot(*zip(there, here, strict=True), color=colour, zorder=3, solid_capstyle="round", **look)
    for step, point in zip(line, points, strict=True):
        colour = task_colour(_place(shown, step["task"]))
        axes.plot(*point, "o", color=colour, markersize=13, markeredgecolor=PAPER, markeredgewidth=1.2, zorder=4,
                  clip_on=False)
        axes.annotate(str(step["line"] + 1), point, xytext=(0, -0.4), textcoords="offset points", fontsize=7.5,
                      weight="bold", color=on(colour), ha="center", va="center", zorder=5)
    ticks, labels = _ticks(shown, edges)
    axes.set_xticks(ticks, labels)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(low, high))
    axes.set_xlabel("generation of each search", fontsize=8.5)
    measure = next(iter(metrics)).replace("_", " ") if len(metrics) == 1 else "each task's own measure"
    axes.set_ylabel(f"quality on validation data\n{measure}{' (%)' if scale == 100 else ''}", fontsize=8.5)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.tick_params(length=0, labelsize=8)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)


def _family(
    axes: Axes, search: Mapping[str, Any], places: Mapping[tuple[str, str], float], scale: float, low: float
) -> None:
    """All candidates of a search: dots joined with their parents; crosses at the bottom where they failed."""
    heights = {each["candidate"]: each["quality"] for each in search["candidates"]}
    for each in search["candidates"]:
        x, quality = places[search["task"], each["candidate"]], each["quality"]
        if quality is None:
            axes.plot(x, low, "x", color=MUTED, markersize=5, clip_on=False, zorder=2)
            continue
        parent = heights.get(each["parent"])
        if parent is not None:
            there = places[search["task"], each["parent"]]
            axes.plot([there, x], [parent * scale, quality * scale], color=FAINT, linewidth=0.8, zorder=1)
        hollow = each["state"] == "stopped"
        axes.plot(x, quality * scale, "o", markersize=4.5, markerfacecolor=PAPER if hollow else MUTED, alpha=0.75,
                  markeredgecolor=MUTED, markeredgewidth=0.8, zorder=2)


def _places(shown: Sequence[Mapping[str, Any]]) -> tuple[dict[tuple[str, str], float], list[float]]:
    """Where each candidate stands: search after search, in it by generation, those of one generation side by side."""
    places: dict[tuple[str, str], float] = {}
    edges = [0.0]
    for search in shown:
        rounds = sorted({each["generation"] for each in search["candidates"]})
        at = {generation: generation - rounds[0] for generation in rounds} if rounds else {}
        for generation in rounds:
            there = [each for each in search["candidates"] if each["generation"] == generation]
            for i, each in enumerate(there):
                aside = 0.56 * ((i + 0.5) / len(there) - 0.5) if len(there) > 1 else 0.0
                places[search["task"], each["candidate"]] = edges[-1] + 0.6 + at[generation] + aside
        edges.append(edges[-1] + max(at.values(), default=0) + 1.2)
    return places, edges


def _ticks(shown: Sequence[Mapping[str, Any]], edges: Sequence[float]) -> tuple[list[float], list[str]]:
    """At most six labelled generations for each search, evenly spaced, as many as there is room for."""
    ticks, labels = [], []
    for number, search in enumerate(shown):
        rounds = sorted({each["generation"] for each in search["candidates"]})
        if not rounds:
            continue
        room = max(2, round(16 * (edges[number + 1] - edges[number]) / edges[-1]))
        pace = max(1, -(-(rounds[-1] - rounds[0]) // room))
        for generation in range(rounds[0], rounds[-1] + 1, pace):
            ticks.append(edges[number] + 0.6 + generation - rounds[0])
            labels.append(str(generation))
    return ticks, labels


def _span(values: Sequence[float]) -> tuple[float, float]:
    """What the axis shows: from the lowest fifth's neighbourhood to the best, with room for numbers."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.1 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _place(shown: Sequence[Mapping[str, Any]], task: str) -> int:
    return next(int(search["place"]) for search in shown if search["task"] == task)


def _table(
    page: Axes, data: Mapping[str, Any], line: Sequence[Mapping[str, Any]], names: Mapping[str, str], top: float
) -> None:
    metrics = {search["task"]: search["metric"] for search in data["searches"]}
    places = {search["task"]: search["place"] for search in data["searches"]}
    words = {"task": lambda s: names[s["task"]], "gener.": lambda s: str(s["generation"]), "what made it": _made}
    numbers = {
        "trains": lambda s: short_count(s["trainable"]),
        "validation": lambda s: measure_text(s["validation"], metrics[s["task"]]),
        "quality": lambda s: measure_text(s["quality"], metrics[s["task"]]),
        "score": lambda s: "–" if s["score"] is None else f"{s['score']:.4f}",
    }
    if all(step["score"] is None for step in line):
        del numbers["score"]
    columns = [(*pair, x, "left") for pair, x in zip(words.items(), _COLUMNS, strict=True)]
    right = _WIDTH - 0.35 - _NUMBER * (len(numbers) - 1)
    columns += [(*pair, right + _NUMBER * i, "right") for i, pair in enumerate(numbers.items())]
    for head, _, x, side in columns:
        page.text(x, top, head, fontsize=8, color=MUTED, ha=side, va="center")
    page.plot([0.25, _WIDTH - 0.35], [top - 0.14, top - 0.14], color=FAINT, linewidth=0.8)
    for row, step in enumerate(line):
        y = top - 0.3 - row * _LINE
        colour = task_colour(places[step["task"]])
        page.plot(0.37, y + 0.005, "o", color=colour, markersize=11)
        page.text(0.37, y, str(step["line"] + 1), fontsize=7, weight="bold", color=on(colour), ha="center", va="center")
        last = step["line"] == len(data["line"]) - 1
        for head, text, x, side in columns:
            weight = "bold" if last and head != "what made it" else "normal"
            page.text(x, y, literal(_cut(text(step), 62)), fontsize=8.5, va="center", color=INK, ha=side, weight=weight)


def _made(step: Mapping[str, Any]) -> str:
    """What made a step of the one before, in words."""
    words = ", ".join("as it is, under a new head" if word == "probe" else word for word in step["mutations"])
    words = words.replace("->", "→") or "–"
    also = f" · also from {', '.join(step['also_from'])}" if step["also_from"] else ""
    return words + also


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


__all__ = ["SEARCHES", "STEPS", "lineage_figure"]
