"""The first screen: what was learned, headline numbers with intervals, and the tasks against the controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pathways.summary import CHAMPIONS, INDEPENDENT
from pathways.summary_table import without_parents
from pathways.text import measure_text, points_text, seconds_text, short_count, short_names

from .against import Against, mean_test
from .answer import interval_text, reasons, unit_of, verdict
from .markup import escape, html_table, prose
from .numbers import Table

_CARDS = 3
"""Controls that have a card; the others stand in the figure and the tables."""


def answer_html(summary: Mapping[str, Any], compared: Sequence[Against]) -> str:
    """The paragraph that says it in words."""
    said = f'<b class="verdict">{prose(verdict(summary, compared))}</b>'
    return f'<p class="answer">{said}{prose(reasons(summary, compared))}</p>'


def cards(summary: Mapping[str, Any], compared: Sequence[Against]) -> str:
    """The headline numbers, each with its interval where it has one."""
    if not summary["tasks"]:
        return ""
    metric = summary["tasks"][0]["metric"]
    made = []
    mean = mean_test(summary)
    if mean is not None:
        ends = interval_text(mean.low, mean.high, metric) if mean.sure else ""
        made.append((measure_text(mean.value, metric) + unit_of(metric), ends, f"mean test {metric.replace('_', ' ')}"))
    for one in _first(compared):
        if one.mean is not None:
            ends = interval_text(one.mean.low, one.mean.high, metric, points=True) if one.mean.sure else "no interval"
            made.append((points_text(one.mean.value, metric), ends, f"against {one.side}: {_word(one)}"))
        else:
            made.append((f"{one.better} : {one.worse}", "", f"tasks better : worse than {one.side}"))
    if summary["forgetting"] is not None and len(summary["tasks"]) > 1:
        made.append((points_text(summary["forgetting"], metric), "", "forgetting; what tasks use is frozen"))
    total, alone = summary["parameters"], summary["independent_parameters"]
    share = f"{100 * total / alone:.0f} % of separate models" if alone else ""
    made.append((short_count(total), share, "parameters, root included"))
    made.append((seconds_text(summary["cpu_seconds"]), "", "of CPU for the champions' search"))
    body = "".join(
        f"<div><b>{escape(value)}</b>{f'<span class=ends>{escape(ends)}</span>' if ends else ''}"
        f"<span>{escape(label)}</span></div>"
        for value, ends, label in made
    )
    return f'<div class="facts">{body}</div>'


def _first(compared: Sequence[Against]) -> list[Against]:
    """The controls with cards, separate models first."""
    return sorted(compared, key=lambda one: one.side != INDEPENDENT)[:_CARDS]


def _word(one: Against) -> str:
    return {"unknown": "noise unknown"}.get(one.verdict, one.verdict)


def run_line(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Strategy, seed, engine and place."""
    strategy = ", ".join(dict.fromkeys(task["strategy"] for task in summary["tasks"])) or "–"
    engine = summary["engine"] or "local"
    line = f"strategy {strategy} · seed {config.get('seed', 0)} · engine {engine} · {summary['run']}"
    return f'<p class="run">{escape(line)}</p>'


def compact(summary: Mapping[str, Any], compared: Sequence[Against]) -> str:
    """The tasks against the controls, in few columns; the best of each row is marked."""
    tasks, sides = summary["tasks"], [one.side for one in compared]
    metrics = {task["metric"] for task in tasks}
    header = [f"task ({tasks[0]['metric']})" if len(metrics) == 1 else "task"]
    header += ["metric"] * (len(metrics) > 1) + ["champion", *sides]
    names = short_names([task["name"] for task in tasks])
    body = "".join(_row(task, sides, names[task["name"]], len(metrics) > 1) for task in tasks)
    return html_table(header, body, words=(header[0], "metric"), label="Tasks against the controls",
                      foot=_means(summary, sides), shape="tall")  # fmt: skip


def _row(task: Mapping[str, Any], sides: Sequence[str], name: str, metric: bool) -> str:
    measured = [task["test"], *(task["controls"].get(side) for side in sides)]
    known = [value for value in measured if value is not None]
    best = (max if task["higher_is_better"] else min)(known) if len(known) > 1 else None
    cells = "".join(_cell(value, task["metric"], value is not None and value == best) for value in measured)
    said = f"<td>{escape(task['metric'])}</td>" if metric else ""
    return f'<tr><th scope="row" title="{escape(task["name"])}">{escape(name)}</th>{said}{cells}</tr>'


def _means(summary: Mapping[str, Any], sides: Sequence[str]) -> str:
    if summary["ACC"] is None or len(summary["tasks"]) < 2:
        return ""
    metric = summary["tasks"][0]["metric"]
    means = [summary["sides"][side]["ACC"] for side in (CHAMPIONS, *sides)]
    cells = "".join(f"<td class=n>{measure_text(value, metric)}</td>" for value in means)
    return f'<tr><th scope="row">mean</th>{cells}</tr>'


def _cell(value: float | None, metric: str, best: bool = False) -> str:
    return f"<td class='n{' best' if best else ''}'>{measure_text(value, metric)}</td>"


def task_table(summary: Mapping[str, Any]) -> Table:
    """All that the summary says of each task."""
    sides = [side for side in summary["sides"] if side != CHAMPIONS]
    columns = (
        "task", "metric", "champion", *sides, "validation", "new", "shared", "parents", "strategy", "candidates",
        "seconds", "CPU-seconds",
    )  # fmt: skip
    rows = tuple(
        (task["name"], task["metric"], task["test"], *(task["controls"].get(side) for side in sides),
         task["validation"], task["new_parameters"], task["shared_parameters"],
         ", ".join(task["parents"]) or without_parents(task), task["strategy"], task["candidates"], task["seconds"],
         task["cpu_seconds"])
        for task in summary["tasks"]
    )  # fmt: skip
    return Table("tasks", columns, rows)


def stream_table(summary: Mapping[str, Any]) -> Table:
    """The stream metrics and costs of each side."""
    keys = ("ACC", "BWT", "forgetting", "learning_accuracy", "parameters", "candidates", "seconds", "cpu_seconds")
    rows = tuple((side, *(data[key] for key in keys)) for side, data in summary["sides"].items())
    columns = ("side", "ACC", "BWT", "forgetting", "learning accuracy", "parameters", "candidates", "seconds",
               "CPU-seconds")  # fmt: skip
    return Table("stream", columns, rows)


__all__ = ["answer_html", "cards", "compact", "run_line", "stream_table", "task_table"]
