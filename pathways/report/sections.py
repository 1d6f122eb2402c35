"""The sections of the report, each a function from what was found to HTML; empty where it has nothing to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pathways.graph.page import graph_widget
from pathways.summary import CHAMPIONS
from pathways.summary_table import guard_lines, racing_lines, stack_lines
from pathways.text import measure_text, points_text, seconds_text, short_names

from . import front, overview, reuse, traces
from .figures import forgetting_sides
from .found import Found, graph_notes
from .ledger_costs import by_side
from .markup import escape, figure_section, numbers, picture, prose, section
from .numbers import Cell, Table
from .repeat import repeat_html
from .search import PANELS
from .where import where_section

Tables = Mapping[str, Table]
Pictures = Mapping[str, str]
Texts = dict[str, Callable[[Cell], str]]


def learned(found: Found, made: Tables, pictures: Pictures) -> str:
    """The first screen: what was learned, in words, in numbers and as a table."""
    summary = found.summary
    head = overview.answer_html(summary, found.compared) + overview.cards(summary, found.compared)
    head += overview.run_line(summary, found.config)
    if not summary["tasks"]:
        return section("What was learned", head)
    table = overview.compact(summary, found.compared)
    if "against" not in pictures:
        return section("What was learned", head + table)
    label = "The champions' difference from each control, with 95 % intervals over tasks"
    note = (
        "Diamonds: the mean over tasks of champion less control, with its 95 % interval. Ticks below: each task. An "
        "interval that crosses 0 is noise."
    )
    beside = f'{picture(pictures["against"], label)}<p class="caption">{note}</p>'
    return section("What was learned", f'{head}<div class="beside"><div>{table}</div><div>{beside}</div></div>')


def tasks(found: Found, made: Tables, pictures: Pictures) -> str:
    """Each task against the controls."""
    if "tasks" not in made:
        return ""
    value, points = _measured(found), _points(found)
    measures = dict.fromkeys(("champion", "validation", *(one.side for one in found.compared)), value)
    sides: Texts = {"ACC": value, "learning accuracy": value, "BWT": points, "forgetting": points}
    parts = [
        _drawn(pictures, "tasks", "Test measure of each task, champion and controls"),
        _numbers(found, made, "tasks", "Every task", measures),
        _numbers(found, made, "against", "Differences from the controls",
                 dict.fromkeys(("champions' gain", "low", "high"), points)),
        _numbers(found, made, "stream", "Every side", sides),
    ]  # fmt: skip
    said = (
        "Test measures, read once, after all choices were made. Controls were trained on the same data by the same "
        "trainer; one that carries its network on is measured at the end of the stream."
    )
    return section("Task by task", "".join(parts), said)


def forgotten(found: Found, made: Tables, pictures: Pictures) -> str:
    """The accuracy matrix of the champions, and of controls that carry one network on."""
    if "matrix" not in pictures:
        return ""
    names = [task["name"] for task in found.summary["tasks"]]
    below = [
        _numbers(found, made, "matrix" if side == CHAMPIONS else f"matrix-{side}", f"Matrix of {side}",
                 dict.fromkeys(names, _measured(found)))
        for side in forgetting_sides(found.summary)
    ]  # fmt: skip
    return figure_section(
        "Is anything forgotten?", pictures, "matrix",
        "Row i, column j: the test measure of task j after learning task i. A column that stays the same from its "
        "diagonal down was not forgotten. Champions are measured when they are frozen; after that nothing can change "
        "them, so the value stands.", "".join(below),
    )  # fmt: skip


def paths(found: Found, made: Tables, pictures: Pictures) -> str:
    """The path graph, to be hovered, picked and stepped through."""
    if "graph" not in pictures:
        return ""
    return section(
        "Paths", graph_widget(found.graph, graph_notes(found.summary), "paths-graph"),
        "Every line is one task's path from its input to its head. Tasks that run through one box share its weights; a "
        "box in a task's colour was trained for that task and is frozen.",
    )  # fmt: skip


def used(found: Found, made: Tables, pictures: Pictures) -> str:
    """Who uses which module, and whose parameters each task runs on."""
    if found.reuse is None or "reuse" not in pictures:
        return ""
    body = _drawn(pictures, "reuse", "Which task uses which module")
    body += _numbers(found, made, "reuse", "Who uses what", {"module": _short_hash})
    if "sources" in pictures:
        body += "<h3>Whose parameters each task runs on</h3>"
        body += _drawn(pictures, "sources", "The share of each task's parameters that each task froze")
        body += _numbers(found, made, "sources", "Parameters by who froze them")
    words = f"{reuse.reuse_words(found.reuse)} {reuse.most_used(found.reuse)}".strip()
    return section(
        "Who uses what", body,
        f"{escape(words)} Full colour: the task trained the module. Pale with a dot: it took it from the task of that "
        f"colour, or from the root (grey).",
    )  # fmt: skip


def searched(found: Found, made: Tables, pictures: Pictures) -> str:
    """Every candidate, its parent and what became of it."""
    value = _measured(found)
    several = sum(len(ones) > 1 for ones in found.searches.values())
    some = f" {PANELS} of {several} searches, evenly spaced; the table has all." if several > PANELS else ""
    raced = any(one.rungs for ones in found.searches.values() for one in ones)
    rungs = " Ticks on a line through it: its rungs, where its race measured it on the way." if raced else ""
    texts: Texts = {"validation": value, "quality": value, "candidate": _short_hash}
    return figure_section(
        "How the searches went", pictures, "search",
        f"Every dot is a candidate, measured on validation data; strategies may discount this for size and compute "
        f"before they choose.{rungs}{some}", _numbers(found, made, "candidates", "Every candidate", texts),
    )  # fmt: skip


def hyperparameters(found: Found, made: Tables, pictures: Pictures) -> str:
    """What candidates were given, and what champions have."""
    count = len(traces.traces(found.searches))
    more = f" The {traces.PANELS} that take most values, of {count}." if count > traces.PANELS else ""
    return figure_section(
        "Which hyperparameters won", pictures, "hyperparameters",
        f"What candidates of the champions' searches were given, in the order tried.{more}",
        _numbers(found, made, "hyperparameters", "Hyperparameters that differ", {}),
    )  # fmt: skip


def fronts(found: Found, made: Tables, pictures: Pictures) -> str:
    """Quality against cost, of sides and of candidates."""
    if not {"sides", "front"} & pictures.keys():
        return ""
    body, value = "", _measured(found)
    if "sides" in pictures:
        body += _drawn(pictures, "sides", "Mean test measure of each side against its parameters and CPU-seconds")
        body += _numbers(found, made, "sides", "Sides", dict.fromkeys(("mean test", "low", "high"), value))
    if "front" in pictures:
        ratios: Texts = {f"{cost} ratio": _ratio for cost in front.COSTS} | {"quality gain": _points(found)}
        body += "<h3>Candidates beside their champion</h3>"
        body += _drawn(pictures, "front", "Quality of candidates against their cost, relative to the champion")
        body += _numbers(found, made, "front", "Candidates beside their champion", ratios)
    said = "Lines are fronts: nothing else is as good for less. Intervals are 95 % over tasks."
    if "front" in pictures:
        said += " Candidates stand beside their task's champion (diamond); filled ones are on their task's front. "
        said += escape(front.front_words(front.placed(found.searches)))
    return section("Quality against cost", body, said)


def costs(found: Found, made: Tables, pictures: Pictures) -> str:
    """The cost ledger."""
    if "ledger" not in made:
        return ""
    lines = [*guard_lines(found.summary), *racing_lines(found.summary), *stack_lines(found.summary)]
    said = "".join(f" {prose(line[0].upper() + line[1:])}." for line in lines)
    body = _drawn(pictures, "costs", "CPU-seconds and parameters of each side")
    body += by_side(found.paid, [task["strategy"] for task in found.summary["tasks"]])
    body += _numbers(found, made, "ledger", "By task and side", {})
    return section("What it cost", body, f"Processor time of all candidates tried, and distinct parameters.{said}")


def timed(found: Found, made: Tables, pictures: Pictures) -> str:
    """Where the time went, from the run's trace."""
    return where_section(found.record, pictures)


def again(found: Found, made: Tables, pictures: Pictures) -> str:
    """The commands, the environment and the configuration."""
    fingerprints = found.config.get("fingerprints")
    known = fingerprints if isinstance(fingerprints, dict) else {}
    return section("Do it again", repeat_html(found.summary["run"], found.environment, found.config, known))


def files(found: Found, made: Tables, pictures: Pictures) -> str:
    """Where every number and figure lies."""

    def listed(names: Mapping[str, object], ending: str) -> str:
        return ", ".join(f"<code>{escape(name)}.{ending}</code>" for name in names)

    drawn = f"<p>Figures, each as SVG and PNG: {listed(pictures, 'svg')}.</p>" if pictures else ""
    tables = f"<p>In <code>figures/</code> beside this page. Tables: {listed(made, 'csv')}.</p>"
    return section("All numbers", tables + drawn)


ALL: tuple[Callable[[Found, Tables, Pictures], str], ...] = (
    learned, tasks, forgotten, paths, used, searched, hyperparameters, fronts, costs, timed, again, files,
)  # fmt: skip
"""The sections in the order of the page."""


def _drawn(pictures: Pictures, name: str, label: str) -> str:
    return picture(pictures[name], label) if name in pictures else ""


def _numbers(found: Found, made: Tables, name: str, label: str, texts: Texts | None = None) -> str:
    """A table below its picture, where there is one; seconds and names are written alike in all of them."""
    if name not in made:
        return ""
    seconds: Texts = {"seconds": _seconds, "CPU-seconds": _seconds}
    return numbers(made[name], label, seconds | (texts or {}), short_names([t["name"] for t in found.summary["tasks"]]))


def _measured(found: Found) -> Callable[[Cell], str]:
    return lambda cell: measure_text(_number(cell), found.metric)


def _points(found: Found) -> Callable[[Cell], str]:
    return lambda cell: points_text(_number(cell), found.metric)


def _seconds(cell: Cell) -> str:
    return seconds_text(_number(cell))


def _ratio(cell: Cell) -> str:
    value = _number(cell)
    return "–" if value is None else f"{value:.2f}×"


def _number(cell: Cell) -> float | None:
    return float(cell) if isinstance(cell, int | float) else None


def _short_hash(cell: Cell) -> str:
    return str(cell)[:12]


__all__ = ["ALL"]
