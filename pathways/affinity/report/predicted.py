"""Predicted against verified gain: whether the affinities were right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from pathways.affinity.evidence import Estimate, order_agreement, sign_agreement, spearman
from pathways.affinity.findings import Findings
from pathways.canvas import literal, styled
from pathways.palette import FAINT, MUTED, PAPER
from pathways.report.drawing import legend_above, new_figure
from pathways.text import PERCENT

from .colours import MARKS, WAYS
from .verified import CHOSEN, TOGETHER, Point, arm, points, zero_is_alone

_LABELS = {"random": "in another network", TOGETHER: "in one network for all", CHOSEN: "in a chosen network"}


def predicted(findings: Findings) -> Figure | None:
    """Each task in each network that was trained: predicted across, gained against its own network upwards.

    Bars are one standard error over seeds. `None` where nothing was verified.
    """
    known = points(findings)
    if not known:
        return None
    scale = 100.0 if findings.metric in PERCENT else 1.0
    with styled():
        figure, axes = new_figure(4.6)
        for kind, label in _LABELS.items():
            mine = [p for p in known if _kind(findings, p) == kind]
            if mine:
                errors = np.array([p.error for p in mine]) * scale
                axes.errorbar(
                    [p.placed for p in mine], [p.gain * scale for p in mine],
                    yerr=None if np.isnan(errors).any() else errors, color=WAYS[kind], ecolor=WAYS[kind],
                    fmt=MARKS[kind] if kind != "random" else "o", markersize=4.5 if kind == "random" else 6.5,
                    elinewidth=1.0, alpha=0.65 if kind == "random" else 1.0, markeredgecolor=PAPER, linestyle="none",
                    markeredgewidth=0.6, zorder=2 if kind == "random" else 3, label=label,
                )  # fmt: skip
        axes.axhline(0, color=MUTED, linewidth=0.9)
        axes.axvline(0, color=MUTED, linewidth=0.9, linestyle="solid" if zero_is_alone(findings) else (0, (3, 3)))
        axes.set(
            xlabel="predicted gain against alone" if zero_is_alone(findings) else
            "predicted affinity: place against its row (standard deviations from the row's median)",
            ylabel=literal(f"verified gain against separate\n(test {findings.metric}, {findings.unit or 'own unit'})"),
        )  # fmt: skip
        axes.grid(color=FAINT, linewidth=0.6)
        axes.tick_params(length=0, labelsize=8)
        axes.margins(0.05)
        legend_above(axes, 3, gap=0.6)
    return figure


def agreements(findings: Findings) -> dict[str, Estimate]:
    """By name, how far predictions and gains agree; intervals count tasks, since a task has one baseline."""
    known = points(findings)
    placed, gains, tasks = [p.placed for p in known], [p.gain for p in known], [p.task for p in known]
    independent = len(set(tasks))
    return {
        "Sign agreement": sign_agreement(placed, gains, independent),
        "Spearman": spearman(placed, gains, independent),
        "Order agreement within tasks": order_agreement(placed, gains, tasks),
    }


def agreement_note(findings: Findings) -> str:
    """The agreements in words, and which of the signs means something."""
    found = agreements(findings)
    parts = [f"{name} {_text(name, estimate)}" for name, estimate in found.items()]
    meaning = (
        "Both signs have a meaning: right of 0 a network was predicted to beat one of its own, above 0 it did."
        if zero_is_alone(findings) else
        "Only the sign of the verified gain has a meaning. That of a raw affinity has none, only its order within a "
        "row does: predictions are therefore placed against the row's median, and sign agreement asks whether "
        "partners better than the median gave a gain."
    )  # fmt: skip
    return f"{'; '.join(parts)}. Intervals count each task once. {meaning}"


def _text(name: str, found: Estimate) -> str:
    if np.isnan(found.value):
        return "not known"
    share = name != "Spearman"
    value = f"{100 * found.value:.0f} %" if share else f"{found.value:+.2f}"
    if not found.sure:
        return f"{value} (n = {found.n}, too few for an interval)"
    ends = f"{100 * found.low:.0f} to {100 * found.high:.0f} %" if share else f"{found.low:+.2f} to {found.high:+.2f}"
    return f"{value} (n = {found.n}, 95 % interval {ends})"


def _kind(findings: Findings, point: Point) -> str:
    for name in (CHOSEN, TOGETHER):
        found = arm(findings, name)
        if found is not None and point.network in _networks(found.networks):
            return name
    return "random"


def _networks(places: Sequence[int]) -> set[int]:
    return set(places)


__all__ = ["agreement_note", "agreements", "predicted"]
