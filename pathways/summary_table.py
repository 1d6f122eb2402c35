"""The summary as a plain table, readable at 100 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .summary import CHAMPIONS
from .text import measure_text, points_text, seconds_text, short_count, short_names

WIDTH = 100
_MAIN_CONTROLS = ("fine-tune-all", "independent")


def summary_text(summary: Mapping[str, Any]) -> str:
    """The table of tasks, the stream metrics, and what each side cost.

    Args:
        summary: made by `pathways.summary.summarise`.
    """
    if not summary["tasks"]:
        return "no task is learned yet"
    return "\n".join([_tasks(summary), "", _metrics(summary), "", _sides(summary)])


def _tasks(summary: Mapping[str, Any]) -> str:
    tasks = summary["tasks"]
    shown = [side for side in summary["sides"] if side != CHAMPIONS]
    shown.sort(key=lambda side: _MAIN_CONTROLS.index(side) if side in _MAIN_CONTROLS else len(_MAIN_CONTROLS))
    shown = shown[:4]
    metrics = {task["metric"] for task in tasks}
    unit = f" ({metrics.pop()})" if len(metrics) == 1 else ""
    names = short_names([task["name"] for task in tasks], longest=22)
    parents = short_names([task["name"] for task in tasks], longest=14) | {"root": "root"}
    header = [f"task{unit}", "champion", *shown, "new", "shared", "parents"]
    rows = [
        [
            names[task["name"]],
            measure_text(task["test"], task["metric"]),
            *(measure_text(task["controls"].get(side), task["metric"]) for side in shown),
            short_count(task["new_parameters"]),
            short_count(task["shared_parameters"]),
            ", ".join(parents.get(parent, parent) for parent in task["parents"]) or without_parents(task),
        ]
        for task in tasks
    ]
    if summary["ACC"] is not None:
        metric = tasks[0]["metric"]
        means = [measure_text(summary["sides"][side]["ACC"], metric) for side in (CHAMPIONS, *shown)]
        rows.append(["mean", *means, short_count(sum(t["new_parameters"] for t in tasks)), "", ""])
    return aligned(header, rows, left=(0, len(header) - 1), rule_before_last=summary["ACC"] is not None)


def _metrics(summary: Mapping[str, Any]) -> str:
    metric = summary["tasks"][0]["metric"]
    parts = [
        f"ACC {measure_text(summary['ACC'], metric)}",
        f"BWT {points_text(summary['BWT'], metric)}",
        f"forgetting {points_text(summary['forgetting'], metric)}",
    ]
    if summary["transfer"] is not None:
        parts.append(f"against independent {points_text(summary['transfer'], metric)}")
    lines = ["   ".join(parts)]
    total, alone = summary["parameters"], summary["independent_parameters"]
    share = f", {100 * total / alone:.0f} % of {alone:,} in independent models" if alone else ""
    lines.append(f"parameters {total:,} (root included){share}")
    if len(summary["tasks"]) > 1:
        lines.append(f"{100 * summary['shared_share']:.0f} % of the parameters are in modules that several tasks use")
    return "\n".join([*lines, *guard_lines(summary), *racing_lines(summary), *stack_lines(summary)])


def guard_lines(summary: Mapping[str, Any]) -> list[str]:
    """For how many tasks a guard watched over sharing, and where it dropped it: negative transfer."""
    kept = [task["guard"] for task in summary["tasks"] if task.get("guard")]
    return [f"the guard dropped sharing for {kept.count('scratch')} of {len(kept)} tasks"] if kept else []


def without_parents(task: Mapping[str, Any]) -> str:
    """What stands in place of the parents of a champion that has none."""
    return "none: scratch won" if task.get("guard") == "scratch" else "–"


def stack_lines(summary: Mapping[str, Any]) -> list[str]:
    """How many candidates were trained as stacks, and why the others were not."""
    counts = dict(summary.get("alone", {}))
    stacked, total = counts.pop("", 0), sum(summary.get("alone", {}).values())
    if not total:
        return []
    reasons = "; ".join(f"{count} since {why}" for why, count in counts.items())
    return [f"trained in stacks {stacked} of {total} candidates" + (f", by themselves {reasons}" if reasons else "")]


def racing_lines(summary: Mapping[str, Any]) -> list[str]:
    """For each side in which races stopped candidates, how many and what that saved."""
    return [
        f"races stopped {data['stopped']} of {data['candidates']} candidates of {side}: "
        f"{100 * data['steps_saved']:.0f} % of the training steps saved"
        for side, data in summary["sides"].items() if data.get("stopped")
    ]


def _sides(summary: Mapping[str, Any]) -> str:
    metric = summary["tasks"][0]["metric"]
    rows = [
        [
            side,
            measure_text(data["ACC"], metric),
            points_text(data["BWT"], metric),
            points_text(data["forgetting"], metric),
            str(data["candidates"]),
            seconds_text(data["seconds"]),
            seconds_text(data["cpu_seconds"]),
            "–" if data["parameters"] is None else f"{data['parameters']:,}",
        ]
        for side, data in summary["sides"].items()
    ]
    header = ["side", "ACC", "BWT", "forgetting", "candidates", "training", "CPU", "parameters"]
    return aligned(header, rows, left=(0,))


def aligned(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (), rule_before_last: bool = False
) -> str:
    """Rows under a header, two spaces apart, numbers to the right; the last column is cut at 100 columns.

    >>> print(aligned(["a", "n"], [["x", "1"], ["yy", "10"]], left=(0,)))
    a    n
    ──  ──
    x    1
    yy  10
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    if len(header) - 1 in left:
        widths[-1] = max(len(header[-1]), min(widths[-1], WIDTH - sum(widths[:-1]) - 2 * (len(widths) - 1)))

    def line(cells: Sequence[str]) -> str:
        pairs = zip(cells, widths, strict=True)
        cut = [cell if len(cell) <= width else cell[: width - 1] + "…" for cell, width in pairs]
        return "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cut, widths, strict=True))
        ).rstrip()

    rule = line(["─" * width for width in widths])
    body = [line(row) for row in rows]
    if rule_before_last:
        body.insert(len(body) - 1, rule)
    return "\n".join([line(header), rule, *body])
