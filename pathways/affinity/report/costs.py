"""What the study cost, in units of one joint training, in seconds and in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure

from pathways.affinity.findings import Findings
from pathways.canvas import literal, styled
from pathways.palette import MUTED
from pathways.report.drawing import WIDTH, label_rows
from pathways.text import bytes_text, seconds_text

from .colours import WAYS


def costs(findings: Findings) -> Figure | None:
    """Bars: joint runs, seconds of processor time, and peak memory beyond the joint training's where measured."""
    if not findings.costs:
        return None
    panels: list[tuple[str, list[Any], Callable[[float], str]]] = [
        ("in joint trainings", [c.joint_runs for c in findings.costs], lambda v: f"{v:.3g}×"),
        ("CPU time", [c.seconds for c in findings.costs], seconds_text),
    ]
    if any(c.peak_bytes is not None for c in findings.costs):
        panels.append(("extra peak memory", [c.peak_bytes for c in findings.costs], bytes_text))
    with styled():
        figure = Figure(figsize=(WIDTH, 0.8 + 0.34 * len(findings.costs)), layout="constrained")
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, values, text) in zip(drawn, panels, strict=True):
            for row, value in enumerate(values):
                known = value is not None and value == value
                axes.barh(row, value if known else 0, color=WAYS["chosen"], height=0.6)
                axes.annotate(
                    text(value) if known else "not measured", (value if known else 0, row), xytext=(4, 0),
                    textcoords="offset points", va="center", fontsize=8, color="black" if known else MUTED,
                )  # fmt: skip
            axes.set_title(title, fontsize=9)
            axes.set_xticks([])
            axes.margins(x=0.42)
            axes.set_xlim(left=0)
            axes.spines[["left", "bottom"]].set_visible(False)
            axes.tick_params(length=0, labelsize=8.5)
        label_rows(drawn[0], [literal(cost.what) for cost in findings.costs])
    return figure


__all__ = ["costs"]
