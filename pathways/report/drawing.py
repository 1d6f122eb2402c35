"""What the charts of all reports share: their size, and how rows and legends look."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pathways.canvas import literal
from pathways.palette import MUTED

WIDTH = 9.0  # inches; the page scales figures to its own width


def new_figure(height: float) -> tuple[Figure, Axes]:
    """A figure of the reports' width and this height in inches, with one pair of axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def few_ticks() -> MaxNLocator:
    """At most five ticks, at whole numbers."""
    return MaxNLocator(5, integer=True)


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """One labelled row for each, the first at the top."""
    axes.set_yticks(range(len(labels)), [literal(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)


def legend_above(axes: Axes, count: int, gap: float = 0.2) -> None:
    """The legend in a line above the axes; `gap` is between a mark and its word, in font sizes."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=min(count, 6), frameon=False, fontsize=8, handletextpad=gap
    )
