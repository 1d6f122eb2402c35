"""What the PathNet-MNIST study found: means, ratios and their bootstrap intervals, as data, a table and a figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pathways.canvas import styled
from pathways.palette import CHAMPION, CONTROLS, FAINT, MUTED
from pathways.seeds import numpy_generator

Search = Mapping[str, Any]
Array = np.ndarray[Any, Any]

# side and place of each column that is compared: what one search is, in a table's words
SIDES: dict[str, tuple[str, str]] = {
    "PathNet, first task": ("pathnet", "first"),
    "PathNet, second task": ("pathnet", "second"),
    "random path, from scratch": ("random-path", "alone"),
    "fine-tune, second task": ("pathnet-fine-tune", "second"),
    "PathNet, after an untrained path": ("pathnet-untrained", "second"),
}
# each is a ratio of mean generations: how many times faster the one below the line is
RATIOS: dict[str, tuple[str, str]] = {
    "PathNet: first / second task": ("PathNet, first task", "PathNet, second task"),
    "PathNet: first task / after an untrained path": ("PathNet, first task", "PathNet, after an untrained path"),
    "PathNet: after an untrained / a trained path": ("PathNet, after an untrained path", "PathNet, second task"),
    "random path / PathNet's second task": ("random path, from scratch", "PathNet, second task"),
    "fine-tune / PathNet's second task": ("fine-tune, second task", "PathNet, second task"),
    "random path / fine-tune": ("random path, from scratch", "fine-tune, second task"),
}


def bootstrap(
    statistic: Callable[[Array], float], seeds: int, resamples: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """The percentile interval of a statistic over resampled seeds (Efron and Tibshirani 1993, section 13.3).

    Args:
        statistic: of an array of seed numbers, with repeats; both sides of a ratio see the same seeds (paired).
        seeds: how many there are.
        resamples: how often all seeds are drawn anew, with replacement.
        level: of the interval.

    Example:
        >>> low, high = bootstrap(lambda chosen: float(np.mean(np.array([1.0, 3.0])[chosen])), 2, 100)
        >>> (low, high)
        (1.0, 3.0)
    """
    generator = numpy_generator("bootstrap", seeds, resamples)
    found = [statistic(generator.integers(0, seeds, seeds)) for _ in range(resamples)]
    tail = (1 - level) / 2 * 100
    low, high = np.percentile(found, [tail, 100 - tail])
    return float(low), float(high)


def summarise_study(
    searches: Sequence[Search], limit: int, at: float, resamples: int = 10_000
) -> dict[str, Any]:
    """Means and ratios of the generations that searches took to a fitness, with 95 % intervals over seeds.

    A search that did not get there counts as `limit` generations, which it ran: means are restricted means, and a
    ratio is biased towards 1 where the slower side is cut off more often.

    Args:
        searches: rows of `pathnet_mnist.study`.
        limit: the most generations of a search.
        at: the fitness, training accuracy within one generation.
        resamples: of the bootstrap.

    Returns:
        `sides`: for each side that was run, `searches, reached, mean, interval, median`, and means over whole
        searches of `candidates, cpu_seconds, test`; `ratios`: for each, `value, interval`; `seeds, limit, at`;
        `reused`: the share of frozen modules in second champions; `verified`: whether all systems proved unchanged.
    """
    seeds = sorted({row["seed"] for row in searches})
    rows = {label: [_of(searches, seed, *key) for seed in seeds] for label, key in SIDES.items()}
    rows = {label: by_seed for label, by_seed in rows.items() if all(by_seed)}
    taken = {label: np.array([[taken_by(r, at) or limit for r in some] for some in by]) for label, by in rows.items()}

    def mean(label: str) -> Callable[[Array], float]:
        return lambda chosen: float(taken[label][chosen].mean())

    def ratio(over: str, under: str) -> Callable[[Array], float]:
        return lambda chosen: float(taken[over][chosen].mean() / taken[under][chosen].mean())

    every = np.arange(len(seeds))
    sides = {}
    for label, by_seed in rows.items():
        flat = [row for some in by_seed for row in some]
        sides[label] = {
            "searches": len(flat),
            "reached": float(np.mean([taken_by(row, at) is not None for row in flat])),
            "mean": mean(label)(every),
            "interval": bootstrap(mean(label), len(seeds), resamples),
            "median": float(np.median(taken[label])),
            **{name: float(np.mean([row[name] for row in flat])) for name in ("candidates", "cpu_seconds", "test")},
        }
    ratios = {
        label: {"value": ratio(*pair)(every), "interval": bootstrap(ratio(*pair), len(seeds), resamples)}
        for label, pair in RATIOS.items() if set(pair) <= set(rows)
    }  # fmt: skip
    reused = [row["reused"] for some in rows["PathNet, second task"] for row in some]
    return {
        "seeds": len(seeds), "limit": limit, "at": at, "sides": sides, "ratios": ratios,
        "reused": float(np.mean(reused)), "verified": all(row["verified"] for row in searches),
    }  # fmt: skip


def taken_by(row: Search, at: float) -> int | None:
    """The generations that a search took until one of them had this fitness; `None` where none had.

    >>> taken_by({"fitness": [0.7, 0.95, 0.9, 1.0]}, 0.95)
    2
    """
    return next((i + 1 for i, fitness in enumerate(row["fitness"]) if fitness >= at), None)


def study_table(summary: Mapping[str, Any]) -> str:
    """The summary as two Markdown tables.

    Args:
        summary: of `summarise_study`.
    """
    lines = [
        "| search | searches | reached | generations, mean (95 %) | median | candidates | CPU-seconds | test |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for label, side in summary["sides"].items():
        low, high = side["interval"]
        lines.append(
            f"| {label} | {side['searches']} | {side['reached']:.0%} | {side['mean']:.1f} ({low:.1f} to {high:.1f}) "
            f"| {side['median']:.1f} | {side['candidates']:.0f} | {side['cpu_seconds']:.1f} | {side['test']:.4f} |"
        )
    lines += ["", "| ratio of mean generations | value (95 %) |", "|---|---|"]
    for label, ratio in summary["ratios"].items():
        low, high = ratio["interval"]
        lines.append(f"| {label} | {ratio['value']:.2f} ({low:.2f} to {high:.2f}) |")
    return "\n".join(lines)


def study_figure(searches: Sequence[Search], limit: int, at: float) -> Figure:
    """The share of searches that have reached a fitness, against generations: one step curve for each side.

    Args:
        searches: rows of `pathnet_mnist.study`.
        limit: the most generations of a search.
        at: the fitness.
    """
    colours = (CHAMPION, CHAMPION, CONTROLS[1], CONTROLS[0], CONTROLS[2])
    # where all have reached it, the rest of the axis would be empty
    right = min(limit, max(1.1 * (taken_by(row, at) or limit) for row in searches))
    with styled():
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.subplots()
        for (label, (side, place)), colour in zip(SIDES.items(), colours, strict=True):
            taken = [taken_by(r, at) for r in searches if (r["side"], r["place"]) == (side, place)]
            if not taken:
                continue
            ends = sorted(generations for generations in taken if generations is not None)
            shares = [100 * (i + 1) / len(taken) for i in range(len(ends))]
            axes.step(
                [0, *ends, right], [0, *shares, shares[-1] if shares else 0], where="post", color=colour, label=label,
                linewidth=2.2 if side == "pathnet" else 1.6, linestyle=":" if label.endswith("first task") else "-",
            )
        axes.set(
            xlabel="generations", xlim=(0, right), ylabel=f"searches that reached {100 * at:g} % (%)", ylim=(0, 101)
        )
        axes.grid(color=FAINT, linewidth=0.6)
        axes.tick_params(length=0, labelcolor=MUTED)
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _of(searches: Sequence[Search], seed: int, side: str, place: str) -> list[Search]:
    """The two searches of a seed, one for each of its tasks, in the tasks' order."""
    found = [row for row in searches if (row["seed"], row["side"], row["place"]) == (seed, side, place)]
    return sorted(found, key=lambda row: str(row["task"]))

