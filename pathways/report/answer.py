"""What was learned, in plain words: verdicts follow the intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pathways.summary import INDEPENDENT
from pathways.text import PERCENT, measure_text, points_text

from .against import Against

_CALLED = {INDEPENDENT: "a separate model for each task"}
_THAN: Mapping[str, str] = {
    "better": "better than", "worse": "worse than", "within noise": "within noise of", "the same": "the same as",
}


def verdict(summary: Mapping[str, Any], compared: Sequence[Against]) -> str:
    """One sentence: how many tasks were learned, and how the champions compare.

    Against separate models where there are some, else against the control that does best.
    """
    count = len(summary["tasks"])
    if not count:
        return "No task is learned yet."
    learned = f"{count} task{'s' * (count != 1)} learned"
    one = _main(summary, compared)
    if one is None:
        return f"{learned}; how well is not known, since nothing was trained to compare with."
    than = _CALLED.get(one.side, f"the control {one.side}")
    if one.verdict == "unknown":
        if len(one.gains) == 1:
            gain = next(iter(one.gains.values()))
            word = "better" if gain > 0 else "worse"
            return f"{learned}; {word} than {than} on the one task that both were tested on, which may be noise."
        return f"{learned}; {_counts(one)} than {than}."
    share = _share(summary) if one.side == INDEPENDENT else ""
    return f"{learned}; on average {_THAN[one.verdict]} {than}{share}."


def reasons(summary: Mapping[str, Any], compared: Sequence[Against]) -> str:
    """What follows the verdict: the numbers with their intervals, and what they do not say."""
    if not summary["tasks"]:
        return ""
    sentences = [_means(summary), _others(summary, compared), _forgetting(summary), _limits(summary, compared)]
    return " ".join(sentence for sentence in sentences if sentence)


def unit_of(metric: str) -> str:
    """What stands behind a value: ` %` for shares.

    >>> unit_of("accuracy"), unit_of("mae")
    (' %', '')
    """
    return " %" if metric in PERCENT else ""


def interval_text(low: float, high: float, metric: str, points: bool = False) -> str:
    """The ends of an interval; an end of a difference that is not 0 never looks as if it were.

    >>> interval_text(0.5, 0.75, "accuracy"), interval_text(-0.01, 0.02, "accuracy", points=True)
    ('50.0 to 75.0', '-1.0 to +2.0')
    >>> interval_text(-0.01, -0.0002, "accuracy", points=True)
    '-1.0 to -0.02'
    """
    if not points:
        return f"{measure_text(low, metric)} to {measure_text(high, metric)}"
    ends = []
    for end in (low, high):
        text = points_text(end, metric)
        ends.append(f"{100 * end:+.1g}" if text == "0.0" and end else text)
    return " to ".join(ends)


def _main(summary: Mapping[str, Any], compared: Sequence[Against]) -> Against | None:
    """The control that the verdict is about."""
    named = [one for one in compared if one.side == INDEPENDENT]
    if named or not compared:
        return named[0] if named else None
    return min(compared, key=lambda one: one.mean.value if one.mean else one.better - one.worse)


def _share(summary: Mapping[str, Any]) -> str:
    alone = summary["independent_parameters"]
    return f", with {100 * summary['parameters'] / alone:.0f} % of the parameters" if alone else ""


def _counts(one: Against) -> str:
    return f"better on {one.better} and worse on {one.worse} of {len(one.gains)} tasks"


def _means(summary: Mapping[str, Any]) -> str:
    """Why there is no mean, where there is none; what better means, where less is better."""
    if len({task["metric"] for task in summary["tasks"]}) > 1:
        return "Tasks are measured in different ways, so there is no mean over them."
    task = summary["tasks"][0]
    return "" if task["higher_is_better"] else f"Of {task['metric'].replace('_', ' ')}, less is better."


def _others(summary: Mapping[str, Any], compared: Sequence[Against]) -> str:
    """How it stands with the controls that the verdict is not about."""
    main = _main(summary, compared)
    rest = [one for one in compared if main is None or one.side != main.side]
    known: dict[str, list[str]] = {}
    for one in rest:
        known.setdefault(one.verdict, []).append(one.side)
    parts = [f"{_THAN[word]} {_and(sides)}" for word, sides in known.items() if word in _THAN]
    parts += [f"{_counts(one)} than {one.side}" for one in rest if one.verdict == "unknown" and len(one.gains) > 1]
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _forgetting(summary: Mapping[str, Any]) -> str:
    if len(summary["tasks"]) < 2:
        return ""
    return (
        "Nothing was forgotten: all that a task's path uses is frozen, which `pathways verify` checks bit for bit."
    )


def _limits(summary: Mapping[str, Any], compared: Sequence[Against]) -> str:
    if len(summary["tasks"]) < 2:
        return "One task and one seed: no interval can be given."
    if len({task["metric"] for task in summary["tasks"]}) > 1:
        return ""
    return (
        "Intervals (95 %) are over tasks: they say what other tasks of this kind would give, and nothing of other "
        "seeds, of which there is one here."
    )


__all__ = ["interval_text", "reasons", "unit_of", "verdict"]
