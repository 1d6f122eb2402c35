"""The page of a comparison, one self-contained HTML file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from pathways.canvas import inline, render
from pathways.files import write_atomically
from pathways.report.markup import escape, figure_section, html_page, html_table, section
from pathways.summary import CHAMPIONS
from pathways.text import measure_text, points_text, seconds_text, short_count

from .arms import Arm
from .compared import Comparison
from .figures import cost_chart, differences_chart
from .settings import settings_that_differ
from .words import interval_text, p_text, verdict

_MEANING = (
    "A difference is that of the means over seeds, task by task, turned so that more is better. The interval over "
    "tasks is Student's t of these: what other tasks of this kind would give. The interval over seeds is of each "
    "seed's mean over tasks, pair by pair where both have the same seeds, else Welch's: what other seeds would give on "
    "these tasks. The p value is that of Wilcoxon's signed-rank test over tasks, exact; the last column holds for all "
    "arms at once (Holm)."
)


def write_comparison(found: Comparison, out: str | Path) -> Path:
    """Write a comparison as one HTML page that needs nothing from outside.

    Args:
        found: made by `pathways.comparison.compare`.
        out: the file.

    Returns:
        The page.
    """
    file = Path(out)
    write_atomically(file, page(found).encode(), durable=False)
    return file


def page(found: Comparison) -> str:
    """The page; every name from outside is escaped."""
    charts = {"differences": differences_chart(found), "costs": cost_chart(found)}
    pictures = {
        name: inline(render(figure, "svg", name), name) for name, figure in charts.items() if figure is not None
    }
    *others, last = [difference.arm for difference in found.differences]
    title = f"{', '.join(others)}{' and ' * bool(others)}{last} against {found.arms[0].name}"
    said = "".join(f"<p>{escape(verdict(found, difference))}</p>" for difference in found.differences)
    head = f'<header><p class="kicker">pathways comparison</p><h1>{escape(title)}</h1>{said}</header>'
    body = "".join((
        section("Differences", _differences(found), escape(_MEANING)),
        figure_section(
            "Task by task", pictures, "differences",
            "Each mark is a task's difference from the first arm; above the line stands the mean with its 95 % "
            "interval over tasks.", _tasks(found),
        ),
        section("Arms", _arms(found), "Facts of each arm, the mean over its runs."),
        figure_section(
            "What it took", pictures, "costs",
            "The mean over the tasks that are compared against what an arm needs: distinct parameters, and processor "
            "time of all its candidates. Rings are single seeds.",
        ),
        _settings(found),
        section("Runs", _runs(found), "The command that makes this page again."),
    ))  # fmt: skip
    return html_page(title, head + body)


def _differences(found: Comparison) -> str:
    rows = (
        _row(
            d.arm, points_text(d.over_tasks.value, found.metric), interval_text(d.over_tasks, found.metric, ""),
            interval_text(d.over_seeds, found.metric, ""), f"{d.wins} / {d.ties} / {d.losses}", p_text(d.p),
            p_text(d.holm),
        )
        for d in found.differences
    )  # fmt: skip
    header = (
        f"against {found.arms[0].name}", "mean difference", "95 % over tasks", "95 % over seeds",
        "better / equal / worse", "p", "p, all arms",
    )  # fmt: skip
    return html_table(header, "".join(rows), header[:1])


def _tasks(found: Comparison) -> str:
    header = ("task", *(arm.name for arm in found.arms), *(f"Δ {d.arm}" for d in found.differences))
    rows = (
        _row(
            task, *(measure_text(float(value), found.metric) for value in found.means[:, i]),
            *(points_text(d.by_task[task], found.metric) for d in found.differences),
        )
        for i, task in enumerate(found.tasks)
    )  # fmt: skip
    out = "".join(f"<li>{escape(task)}: {escape(why)}</li>" for task, why in found.left_out.items())
    return html_table(header, "".join(rows), header[:1], caption=f"Test {found.metric.replace('_', ' ')} by task") + (
        f"<p>Not compared:</p><ul>{out}</ul>" if out else ""
    )


def _runs_text(arm: Arm) -> str:
    seeds = sorted(arm.seeds)
    return f"{len(seeds)} (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})"


def _arms(found: Comparison) -> str:
    header = ("arm", "runs", "mean", "mean rank", "BWT", "forgetting", "parameters", "candidates", "CPU")

    def count(arm: Arm, name: str) -> str:
        value = arm.fact(name)
        return "–" if value is None else short_count(value)

    rows = (
        _row(
            arm.name, _runs_text(arm), measure_text(float(found.means[i].mean()), found.metric),
            f"{found.ranks[i]:.2f}", points_text(arm.fact("BWT"), found.metric),
            points_text(arm.fact("forgetting"), found.metric), count(arm, "parameters"), count(arm, "candidates"),
            seconds_text(arm.fact("cpu_seconds")),
        )
        for i, arm in enumerate(found.arms)
    )  # fmt: skip
    return html_table(header, "".join(rows), header[:1])


def _settings(found: Comparison) -> str:
    differ: Mapping[str, Sequence[str]] = settings_that_differ(found.arms)
    if not differ:
        return ""
    header = ("setting", *(arm.name for arm in found.arms))
    rows = "".join(_row(key, *values) for key, values in differ.items())
    return section(
        "Settings that differ", html_table(header, rows, header),
        "Of the first run of each arm; seeds, controls and machines are left out.",
    )  # fmt: skip


def _runs(found: Comparison) -> str:
    arms = []
    for arm in found.arms:
        side = "" if arm.side == CHAMPIONS else f":{arm.side}"
        arms.append(shlex.quote(f"{arm.name}={','.join(repeat.run for repeat in arm.repeats)}{side}"))
    return f'<pre tabindex="0"><code>{escape("pathways compare " + " ".join(arms))}</code></pre>'


def _row(name: str, *cells: str) -> str:
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td class=n>{escape(c)}</td>" for c in cells)}</tr>'


__all__ = ["page", "write_comparison"]
