"""What the charts of all reports share: their size, and how rows, matrices and legends look."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from pathways.canvas import literal
from pathways.palette import MUTED, PAPER
from pathways.text import PERCENT

WIDTH = 9.0  # inches; the page scales figures to its own width
WRITTEN = 16
"""With more columns than this, cells are too small for their numbers."""


HEAT = LinearSegmentedColormap.from_list("heat", ["#f3f6f9", "#9fc4d8", "#2f7fa3", "#0a3d56"])
"""Light to dark: the same order for every eye, and in grey."""


def heat(value: float) -> str:
    """The colour of `HEAT` at a value between 0 and 1, as `#rrggbb`."""
    return to_hex(HEAT(value))


def new_figure(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure of the reports' width and this height in inches, with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def small_multiples(rows: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels in rows, laid out by hand: room for a title and tick labels each, a legend above, a label below.

    Args:
        rows: of panels.
        columns: of panels.
        height: of a row in inches.
    """
    top, bottom, left, tall = 0.62, 0.55, 0.72, 0.62 + 0.55 + height * rows - 0.5
    figure = Figure(figsize=(WIDTH, tall))
    panels = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=left / WIDTH, right=1 - 0.1 / WIDTH, top=1 - top / tall, bottom=bottom / tall,
        hspace=0.5 / (height - 0.5), wspace=0.32 if columns > 2 else 0.2,
    )  # fmt: skip
    return figure, list(panels.flat)


def dots(axes: Axes, points: Sequence[tuple[float, float]], colour: str, size: float, zorder: float = 2) -> None:
    """Many round dots as one path: a page draws thousands of them at once, in the colours of its theme.

    Args:
        axes: on which; scales and limits are to be set before.
        points: where.
        colour: of all of them.
        size: their diameter in points.
        zorder: what they stand before.
    """
    if not points:
        return
    # A line of almost no length with round ends: one of none is not drawn everywhere.
    corners = [corner for x, y in points for corner in ((x, y), (x * (1 + 1e-4) or 1e-6, y))]
    path = Path(corners, [Path.MOVETO, Path.LINETO] * len(points))
    path.should_simplify = False
    patch = PathPatch(path, facecolor="none", edgecolor=colour, linewidth=size, capstyle="round", zorder=zorder)
    patch.set_snap(False)
    axes.add_patch(patch)


def few_ticks() -> MaxNLocator:
    """At most five ticks, at whole numbers."""
    return MaxNLocator(5, integer=True)


def scale_of(metric: str) -> tuple[float, str]:
    """What values of a metric are multiplied by to be drawn, and what is written behind its name.

    >>> scale_of("accuracy"), scale_of("mae")
    ((100.0, ' (%)'), (1.0, ''))
    """
    return (100.0, " (%)") if metric in PERCENT else (1.0, "")


def cell_height(rows: int) -> float:
    """The height of a row of a matrix in inches: less where there are many."""
    return min(0.34, max(0.16, 9.0 / max(rows, 1)))


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """One labelled row for each, the first at the top."""
    axes.set_yticks(range(len(labels)), [literal(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)


def name_axes(axes: Axes, rows: Sequence[str], columns: Sequence[str], many: int) -> None:
    """Names of a matrix's rows and columns, and thin lines between its cells."""
    turned = {"rotation": 90, "ha": "center", "va": "top"} if len(columns) > WRITTEN else {
        "rotation": 35, "ha": "right", "rotation_mode": "anchor"
    }  # fmt: skip
    size = 8 if max(len(columns), many) <= 40 else 7
    axes.set_yticks(range(len(rows)), [literal(name) for name in rows], fontsize=size)
    if columns:
        axes.set_xticks(range(len(columns)), [literal(name) for name in columns], fontsize=size, **turned)  # type: ignore[arg-type]
        axes.set_xticks([x - 0.5 for x in range(1, len(columns))], minor=True)
        axes.set_yticks([y - 0.5 for y in range(1, len(rows))], minor=True)
        axes.grid(which="minor", color=PAPER, linewidth=0.7 if many > WRITTEN else 1.5)
    axes.tick_params(which="both", length=0)


def legend_above(axes: Axes, count: int, gap: float = 0.2) -> None:
    """The legend in a line above the axes; `gap` is between a mark and its word, in font sizes."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=min(count, 6), frameon=False, fontsize=8, handletextpad=gap
    )
