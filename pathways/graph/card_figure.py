"""A module's card as a picture, and as a piece of a page."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from pathways.canvas import inline, literal, render, styled
from pathways.choose_root import ROOT
from pathways.palette import FAINT, INK, MUTED, PAPER, SHARED, TINT, task_colour, tint
from pathways.report.markup import escape
from pathways.text import PERCENT, measure_text, points_text, short_count, short_names

from .card import HOW_WORDS, card_facts

TASKS, TENSORS = 12, 10
"""How many tasks and weights a picture shows: those that leaving it out costs most, and those that moved farthest."""

_WIDTH, _LINE, _WAY, _ROOM = 10.0, 0.2, 0.19, 0.15  # inches: width, a line of words, a way of a task, between tasks
_MARKS = {"mean": "o", "zero": "s", "identity": "<", "start": "D"}
_HOLLOW: dict[str, Any] = {"markersize": 6, "markerfacecolor": PAPER, "markeredgecolor": INK}


def card_figure(card: Mapping[str, Any]) -> Figure:
    """The picture of a card: its facts, how far each weight moved, and what leaving it out costs each task.

    Args:
        card: what `pathways.graph.card.module_card` gives.
    """
    facts = {name: textwrap.wrap(text, 74) or ["–"] for name, text in card_facts(card).items() if name != "module"}
    costs = _worst(card["left_out"])
    weights = _farthest(card["tensors"])
    lines = sum(map(len, facts.values())) + 0.35 * len(facts)
    above = max(lines * _LINE, 0.45 + 0.24 * len(weights)) if weights else lines * _LINE
    tall = sum(_WAY * len(rows) + _ROOM for rows in costs)
    below = 1.35 + tall if costs else 0.0
    height = 1.0 + above + below + 0.1
    with styled():
        figure = Figure(figsize=(_WIDTH, height))
        page = figure.add_axes((0, 0, 1, 1))
        page.set_axis_off()
        page.set(xlim=(0, _WIDTH), ylim=(0, height))
        _heading(page, card, height - 0.5)
        y = height - 1.02
        for name, words in facts.items():
            page.text(0.3, y, name, fontsize=8.5, color=MUTED, va="center")
            for word in words:
                page.text(1.2, y, literal(word), fontsize=8.5, color=INK, va="center")
                y -= _LINE
            y -= 0.35 * _LINE
        if weights:
            high = 0.24 * len(weights)
            axes = figure.add_axes((7.75 / _WIDTH, (height - 1.25 - high) / height, 1.65 / _WIDTH, high / height))
            _weights(axes, weights)
        if costs:
            _costs(figure.add_axes((1.9 / _WIDTH, 0.55 / height, 5.2 / _WIDTH, tall / height)), card, costs)
    return figure


def card_html(card: Mapping[str, Any], name: str = "card") -> str:
    """The card as a piece of a page: its facts and what leaving it out costs as tables, and the picture of the latter.

    Args:
        card: what `pathways.graph.card.module_card` gives.
        name: keeps the ids of its picture apart from others on the page.
    """
    title = f"{card['family']} {card['id'][:12]}"
    facts = {"id": card["id"], **card_facts(card)}
    rows = "".join(f"<tr><th scope=row>{escape(key)}</th><td>{escape(text)}</td></tr>" for key, text in facts.items())
    picture = inline(render(card_figure(card), "svg", name), name)
    label = escape(f"The card of module {title}; its facts follow as a table.")
    picture = picture.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return (
        f'<article class=card><h3>{escape(title)}</h3><figure>{picture}</figure>'
        f"<table><caption>What is known of it</caption><tbody>{rows}</tbody></table>{_cost_table(card)}</article>"
    )


def _cost_table(card: Mapping[str, Any]) -> str:
    if not card["left_out"]:
        return ""
    head = ("task", "in its place", "measure", "with it", "without", "costs", "95 % interval", "samples")
    rows = "".join(
        f"<tr><th scope=row>{escape(each['task'])}</th><td>{escape(HOW_WORDS[each['how']])}</td>"
        f"<td>{escape(each['metric'].replace('_', ' '))}</td>"
        + "".join(f"<td class=n>{escape(text)}</td>" for text in (
            measure_text(each["intact"], each["metric"]), measure_text(each["without"], each["metric"]),
            points_text(each["cost"], each["metric"]), _interval(each), f"{each['samples']:,}",
        ))
        + "</tr>"
        for each in card["left_out"]
    )  # fmt: skip
    cells = "".join(f"<th scope=col{'' if i < 3 else ' class=n'}>{escape(name)}</th>" for i, name in enumerate(head))
    caption = "What leaving it out costs, on validation data"
    return f"<table><caption>{caption}</caption><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"


def _interval(each: Mapping[str, Any]) -> str:
    return f"{points_text(each['low'], each['metric'])} to {points_text(each['high'], each['metric'])}"


def _heading(page: Axes, card: Mapping[str, Any], y: float) -> None:
    """The module as it stands in the path graph, beside its name."""
    place = card["frozen_place"]
    edge = MUTED if place is None else task_colour(place)
    face = SHARED if card["frozen_by"] == ROOT else PAPER if place is None else tint(edge, TINT)
    page.add_patch(FancyBboxPatch((0.3, y - 0.2), 1.1, 0.44, facecolor=face, edgecolor=edge, linewidth=1.4,
                                  boxstyle="round,pad=0,rounding_size=0.08"))
    middle: dict[str, Any] = {"ha": "center", "va": "center", "color": INK}
    page.text(0.85, y + 0.09, literal(card["family"][:14]), fontsize=9, weight="bold", **middle)
    page.text(0.85, y - 0.09, short_count(card["parameters"]), fontsize=7.5, **middle)
    page.text(1.6, y + 0.07, literal(card_facts(card)["module"]), fontsize=12, weight="bold", color=INK, va="center")
    page.text(1.6, y - 0.14, card["id"][:16] + "…", fontsize=8.5, color=MUTED, va="center", family="DejaVu Sans Mono")


def _farthest(tensors: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, float]]:
    """The weights that have a beginning, each with how far it moved from it in units of its norm there."""
    known = [(name, each["moved"] / each["start"]) for name, each in tensors.items() if each["start"]]
    return sorted(known, key=lambda pair: -pair[1])[:TENSORS]


def _weights(axes: Axes, weights: Sequence[tuple[str, float]]) -> None:
    for row, (_, distance) in enumerate(weights):
        axes.barh(row, 100 * distance, color=MUTED, height=0.55)
        axes.annotate(f"{100 * distance:.3g} %", (100 * distance, row), xytext=(3, 0), textcoords="offset points",
                      fontsize=7.5, va="center", color=INK)
    axes.set_yticks(range(len(weights)), [literal(name[-16:]) for name, _ in weights])
    axes.set_ylim(len(weights) - 0.5, -0.5)
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=7.5)
    axes.spines[:].set_visible(False)
    axes.margins(x=0.25)
    axes.set_title("moved from its start", fontsize=8.5, color=MUTED, weight="normal")


def _worst(left_out: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """By task what was measured, the dearest first, where there are more tasks than a picture shows."""
    tasks: dict[str, list[Mapping[str, Any]]] = {}
    for each in left_out:
        tasks.setdefault(each["task"], []).append(each)
    ranked = sorted(tasks.values(), key=lambda rows: -max(each["cost"] for each in rows))[:TASKS]
    return [rows for rows in tasks.values() if rows in ranked]


def _costs(axes: Axes, card: Mapping[str, Any], costs: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """Each task's measure with the module and without it, whatever stood in its place, with intervals of the cost."""
    names = short_names([rows[0]["task"] for rows in costs], longest=20)
    places = {each["task"]: each["place"] for each in card["tasks"]}
    metrics = {rows[0]["metric"] for rows in costs}
    scale = 100 if metrics <= set(PERCENT) else 1
    middles, y = list[float](), 0.0  # in inches from the top
    for rows in costs:
        colour, intact = task_colour(places[rows[0]["task"]]), rows[0]["intact"] * scale
        middles.append(y + (_WAY * len(rows) + _ROOM) / 2)
        for i, each in enumerate(rows):
            y = middles[-1] + _WAY * (i - (len(rows) - 1) / 2)
            turn = 1 if each["higher_is_better"] else -1
            without = each["without"] * scale
            ends = [(each["intact"] - turn * each[end]) * scale for end in ("low", "high")]
            axes.plot([intact, without], [y, y], color=FAINT, linewidth=2.2, zorder=1, solid_capstyle="round")
            axes.plot(ends, [y, y], color=MUTED, linewidth=1.0, zorder=2)
            axes.plot(without, y, _MARKS[each["how"]], zorder=3, **_HOLLOW)
            cost = f"{points_text(-each['cost'], each['metric'])}  ({HOW_WORDS[each['how']]})"
            axes.text(1.02, y, cost, fontsize=8, color=INK, va="center", transform=axes.get_yaxis_transform())
        axes.plot(intact, middles[-1], "o", color=colour, markersize=8, zorder=4)
        y = middles[-1] + (_WAY * len(rows) + _ROOM) / 2
    axes.set_yticks(middles, [literal(names[rows[0]["task"]]) for rows in costs])
    axes.set_ylim(y, 0)
    axes.tick_params(length=0, labelsize=8.5)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    measure = next(iter(metrics)).replace("_", " ") if len(metrics) == 1 else "each task's own measure"
    samples = sorted({rows[0]["samples"] for rows in costs})
    count = f"{samples[0]:,}" if len(samples) == 1 else f"{samples[0]:,} to {samples[-1]:,}"
    axes.set_xlabel(f"validation {measure}{' (%)' if scale == 100 else ''}, {count} samples", fontsize=8.5)
    axes.plot([], [], "o", color=MUTED, markersize=7, label="as it is")
    for how in dict.fromkeys(each["how"] for rows in costs for each in rows):
        axes.plot([], [], _MARKS[how], label=HOW_WORDS[how], **_HOLLOW)
    axes.plot([], [], color=MUTED, linewidth=1.0, label="95 % interval of the difference")
    axes.set_title("what leaving it out costs", fontsize=10, x=-0.308, ha="left", pad=26)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.325, 1.0), ncols=6, frameon=False, fontsize=8, handletextpad=0.4,
                columnspacing=1.3)


__all__ = ["card_figure", "card_html"]
