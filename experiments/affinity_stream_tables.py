"""What the study of parents found, as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from scipy.stats import spearmanr
from scipy.stats import t as student

Orders = Sequence[Mapping[str, Any]]


def tables(found: Orders, drawn: Sequence[Mapping[str, Any]]) -> str:
    """All tables: the streams, regret, how well transferability orders parents, and negative transfer.

    Args:
        found: orders, as `affinity_stream.run` gives them.
        drawn: rows of `affinity_regret.regrets`.
    """
    parts = [stream_table(found), regret_table(drawn), rank_table(found), transfer_table(found)]
    return "\n\n".join(parts)


def stream_table(found: Orders) -> str:
    """Each rule's streams: means over tasks and orders, and paired differences over orders with 95 % intervals."""
    header = [
        "rule", "validation", "against exhaustive", "against uniform", "test", "test against exhaustive",
        "test against uniform", "trained", "of exhaustive's", "measured", "CPU-seconds an order", "sharing dropped",
    ]  # fmt: skip
    rules = list(found[0]["streams"])
    rows = []
    for rule in rules:
        steps = [step for order in found for step in order["streams"][rule]]
        trained = sum(step["trained"] for step in steps)
        every = sum(step["trained"] for order in found for step in order["streams"]["exhaustive"])
        rows.append([
            rule, f"{100 * mean(step['validation'] for step in steps):.2f}",
            *(difference(found, rule, other, "validation") for other in ("exhaustive", "uniform")),
            f"{100 * mean(step['test'] for step in steps):.2f}",
            *(difference(found, rule, other, "test") for other in ("exhaustive", "uniform")),
            f"{trained / len(found):.0f}",
            f"{trained / every:.0%}", f"{sum(step['measured'] for step in steps) / len(found):.0f}",
            f"{sum(step['cpu_seconds'] for step in steps) / len(found):.0f}",
            f"{sum(step['kept'] == 'scratch' for step in steps)} of {sum(bool(step['kept']) for step in steps)}",
        ])  # fmt: skip
    return markdown(header, rows)


def difference(found: Orders, rule: str, other: str, measure: str) -> str:
    """One rule's mean over tasks minus another's in points, paired over orders, with Student's interval at 95 %."""
    if rule == other or other not in found[0]["streams"]:
        return "–"
    gaps = [
        100 * (mean(s[measure] for s in order["streams"][rule]) - mean(s[measure] for s in order["streams"][other]))
        for order in found
    ]
    if len(gaps) == 1:
        return f"{gaps[0]:+.2f}"
    reach = stdev(gaps) / len(gaps) ** 0.5 * float(student.ppf(0.975, len(gaps) - 1))
    return f"{mean(gaps):+.2f} ± {reach:.2f}"


def regret_table(drawn: Sequence[Mapping[str, Any]]) -> str:
    """Mean regret in points, by rule and by how many parents it may try."""
    tries = list(dict.fromkeys(row["tries"] for row in drawn))
    names = {0: "half of the parents", 1: "1 parent"}
    header = ["rule", *(names.get(n, f"{n} parents") for n in tries), "half: the best was among them"]
    rows = []
    for rule in dict.fromkeys(row["rule"] for row in drawn):
        own = {row["tries"]: row for row in drawn if row["rule"] == rule}
        cells = [f"{100 * own[n]['regret']:.2f} ± {100 * own[n]['error']:.2f}" for n in tries]
        rows.append([rule, *cells, f"{own[0]['best']:.0%}"])
    return markdown(header, rows)


def rank_table(found: Orders) -> str:
    """How transferability orders the parents of a task, beside what their children reached."""
    rows = []
    for name in found[0]["transferability"]:
        ranks = []
        for order in found:
            for step in order["streams"]["exhaustive"]:
                children = step["children"]
                if len(children) > 2 and len(set(children.values())) > 1:
                    measured = [order["transferability"][name][step["task"]][parent] for parent in children]
                    ranks.append(float(spearmanr(measured, list(children.values())).statistic))
        rows.append([name, f"{mean(ranks):.2f}" if ranks else "–", f"{sum(r > 0 for r in ranks)} of {len(ranks)}"])
    return markdown(["measured by", "mean Spearman", "tasks in which it is above 0"], rows)


def transfer_table(found: Orders) -> str:
    """Negative transfer, in the exhaustive streams: children that are worse than a network from scratch."""
    rows = []
    for task in sorted(found[0]["tasks"]):
        steps = [s for o in found for s in o["streams"]["exhaustive"] if s["task"] == task and s["children"]]
        gaps = [(child - s["scratch"], parent) for s in steps for parent, child in s["children"].items()]
        if not gaps:
            continue
        low, high = min(gaps), max(gaps)
        rows.append([
            task, f"{100 * mean(s['scratch'] for s in steps):.1f}", f"{100 * low[0]:+.1f} ({low[1]})",
            f"{100 * high[0]:+.1f} ({high[1]})", f"{sum(gap < 0 for gap, _ in gaps)} of {len(gaps)}",
            f"{sum(s['kept'] == 'scratch' for s in steps)} of {len(steps)}",
        ])  # fmt: skip
    header = [
        "task", "from scratch", "worst child against it", "best child against it", "children below it",
        "sharing dropped",
    ]  # fmt: skip
    return markdown(header, rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


__all__ = ["difference", "markdown", "rank_table", "regret_table", "stream_table", "tables", "transfer_table"]
