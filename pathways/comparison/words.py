"""A comparison in words and as a plain table."""

from __future__ import annotations

from typing import Any

from pathways.interval import Estimate
from pathways.summary_table import aligned
from pathways.text import measure_text, points_text, seconds_text, short_count, short_names

from .arms import Arm
from .compared import FEW, Comparison, Difference

MOST = 40
"""So many tasks stand in the table that is printed: of more, those that differ the most."""


def verdict(found: Comparison, difference: Difference) -> str:
    """What can be said of one arm against the first, and of what: other tasks, other seeds.

    The word follows the interval over seeds where there are several, else that over tasks; a p value alone decides
    nothing.
    """
    first, several = found.arms[0].name, difference.over_seeds.sure
    decides = difference.over_seeds if several else difference.over_tasks
    value = points_text(decides.value, found.metric)
    if not decides.sure:
        return f"{difference.arm} is {value} against {first}, on one task with one seed each: that decides nothing."
    word = {1: "better than", -1: "worse than", 0: "not told apart from"}[decides.sign]
    seeds = min(decides.n, *(len(arm.repeats) for arm in (found.arms[0], _arm(found, difference.arm))))
    how = f"over {seeds} {'paired ' if difference.paired else ''}seeds" if several else f"over {len(found.tasks)} tasks"
    text = f"{difference.arm} is {word} {first}: {value} ({interval_text(decides, found.metric)} {how})."
    if several:
        others = difference.over_tasks
        if others.sure:
            text += f" Over tasks the interval is {interval_text(others, found.metric, '')}."
    else:
        text += " One seed each: of other seeds this says nothing."
    if difference.p is not None:
        text += f" Signed-rank test over tasks: p = {p_text(difference.p)}"
        text += f", {p_text(difference.holm)} for all arms at once." if len(found.differences) > 1 else "."
    if len(found.tasks) < FEW:
        text += f" With fewer than {FEW} tasks that test cannot be below 0.05."
    return text


def _arm(found: Comparison, name: str) -> Arm:
    return next(arm for arm in found.arms if arm.name == name)


def interval_text(estimate: Estimate, metric: str, level: str = "95 % interval ") -> str:
    """An interval in the metric's unit.

    >>> interval_text(Estimate(0.01, -0.005, 0.025, 12), "accuracy")
    '95 % interval -0.5 to +2.5'
    """
    if not estimate.sure:
        return "no interval"
    return f"{level}{points_text(estimate.low, metric)} to {points_text(estimate.high, metric)}"


def p_text(p: float | None) -> str:
    """A p value with two significant digits.

    >>> p_text(0.03125), p_text(0.00001), p_text(None)
    ('0.031', '< 0.001', '–')
    """
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def comparison_text(found: Comparison) -> str:
    """The verdicts, the arms and the tasks, readable at 100 columns."""
    lines = [verdict(found, difference) for difference in found.differences]
    lines += ["", _arms(found), "", _tasks(found)]
    if found.left_out:
        task, why = next(iter(found.left_out.items()))
        more = len(found.left_out) - 1
        lines.append(f"not compared: {task} ({why})" + (f" and {more} more" if more else ""))
    return "\n".join(lines)


def _arms(found: Comparison) -> str:
    header = ["arm", "runs", f"mean {found.metric}", "rank", "BWT", "parameters", "candidates", "CPU"]
    rows = [
        [
            arm.name, str(len(arm.repeats)), measure_text(float(found.means[i].mean()), found.metric),
            f"{found.ranks[i]:.2f}", points_text(arm.fact("BWT"), found.metric), _count(arm.fact("parameters")),
            _count(arm.fact("candidates")), seconds_text(arm.fact("cpu_seconds")),
        ]
        for i, arm in enumerate(found.arms)
    ]  # fmt: skip
    return aligned(header, rows, left=(0,))


def _count(value: float | None) -> str:
    return "–" if value is None else short_count(value)


def _tasks(found: Comparison) -> str:
    names = short_names(list(found.tasks), longest=26)
    order = list(range(len(found.tasks)))
    if len(order) > MOST:
        largest = {t: max(abs(d.by_task[t]) for d in found.differences) for t in found.tasks}
        kept = set(sorted(order, key=lambda i: -largest[found.tasks[i]])[:MOST])
        order = [i for i in order if i in kept]
    header = [f"task ({found.metric})", *(arm.name for arm in found.arms), *(f"Δ {d.arm}" for d in found.differences)]
    rows = [
        [
            names[task], *(measure_text(float(value), found.metric) for value in found.means[:, i]),
            *(points_text(d.by_task[task], found.metric) for d in found.differences),
        ]
        for i, task in ((i, found.tasks[i]) for i in order)
    ]  # fmt: skip
    note = f"\nthe {MOST} tasks of {len(found.tasks)} that differ the most" if len(order) < len(found.tasks) else ""
    return aligned(header, rows, left=(0,)) + note


def comparison_json(found: Comparison) -> dict[str, Any]:
    """A comparison as plain data: the fields that `pathways compare --json` prints."""

    def estimate(one: Estimate) -> dict[str, Any]:
        bounds = {"low": one.low, "high": one.high} if one.sure else {"low": None, "high": None}
        return {"value": one.value, **bounds, "n": one.n}

    return {
        "metric": found.metric,
        "higher_is_better": found.higher_is_better,
        "arms": [
            {
                "name": arm.name, "side": arm.side, "runs": [r.run for r in arm.repeats], "seeds": list(arm.seeds),
                "mean": float(found.means[i].mean()), "rank": found.ranks[i],
                **{key: arm.fact(key) for key in arm.repeats[0].facts},
            }
            for i, arm in enumerate(found.arms)
        ],
        "tasks": [
            {"name": task, "means": {arm.name: float(found.means[i, t]) for i, arm in enumerate(found.arms)}}
            for t, task in enumerate(found.tasks)
        ],
        "left_out": dict(found.left_out),
        "differences": [
            {
                "arm": d.arm, "against": found.arms[0].name, "over_tasks": estimate(d.over_tasks),
                "over_seeds": estimate(d.over_seeds), "paired_seeds": d.paired, "p": d.p, "p_holm": d.holm,
                "wins": d.wins, "ties": d.ties, "losses": d.losses, "by_task": dict(d.by_task),
                "verdict": verdict(found, d),
            }
            for d in found.differences
        ],
    }  # fmt: skip


__all__ = ["comparison_json", "comparison_text", "interval_text", "p_text", "verdict"]
