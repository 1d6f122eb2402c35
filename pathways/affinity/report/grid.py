"""A matrix of tasks as coloured cells: what the heatmaps of the report share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from pathways.canvas import literal
from pathways.palette import INK, MUTED, PAPER, on
from pathways.report.drawing import WIDTH
from pathways.text import short_names

from .colours import BLANK

Array = NDArray[np.float64]
WRITTEN = 12
"""With more tasks than this, cells are too small for their numbers."""


@dataclass(frozen=True)
class Scale:
    """How values become colours.

    Args:
        colours: the map.
        low, high: its ends; values beyond them have the colour of the end.
        label: what the colours mean.
    """

    colours: LinearSegmentedColormap
    low: float
    high: float
    label: str

    def colour(self, value: float) -> str:
        """The colour of a value, as `#rrggbb`."""
        return to_hex(self.colours((value - self.low) / (self.high - self.low)))


def labels(names: Sequence[str], longest: int = 26) -> dict[str, str]:
    """Short names of tasks and sources; several sources joined by `|` show as a sum.

    >>> labels(["omniglot/Greek", "omniglot/Greek|omniglot/Latin", "self"])
    {'omniglot/Greek': 'Greek', 'omniglot/Greek|omniglot/Latin': 'Greek + Latin', 'self': 'self'}
    """
    parts = dict.fromkeys(part for name in names for part in name.split("|") if part not in ("self", "random"))
    short = short_names([*parts], longest=22)
    joined = {name: " + ".join(short.get(part, part) for part in name.split("|")) for name in names}
    return {name: text if len(text) <= longest else f"{text[: longest - 1]}…" for name, text in joined.items()}


def grid_size(rows: int, columns: int) -> float:
    """The height in inches of a grid that is as wide as the page."""
    cell = min(0.42, max(0.2, 6.0 / max(rows, columns)))
    return max(1.2, cell * rows)


def draw_grid(
    axes: Axes, values: Array, rows: Sequence[str], columns: Sequence[str], scale: Scale,
    texts: Sequence[Sequence[str]] | None = None, marked: NDArray[np.bool_] | None = None,
) -> AxesImage:  # fmt: skip
    """Draw a matrix.

    Args:
        axes: on which.
        values: (rows, columns); what is NaN stays white, with a small cross.
        rows: names; where a row and a column have one name, the cell is grey.
        columns: names.
        scale: of the colours.
        texts: what to write into the cells.
        marked: cells with a frame, (rows, columns).

    Returns:
        The picture, for a colour bar.
    """
    image = axes.imshow(values, cmap=scale.colours, vmin=scale.low, vmax=scale.high, aspect="auto")
    itself = np.array([[row == column for column in columns] for row in rows])
    axes.imshow(np.where(itself, 0.0, np.nan), cmap=BLANK, vmin=0, vmax=1, aspect="auto")
    names = labels([*rows, *columns])
    many = len(columns) > WRITTEN
    for i, j in np.argwhere(~np.isfinite(values) & ~itself):
        axes.text(j, i, "×", ha="center", va="center", fontsize=6, color=MUTED)
    if texts is not None and not many and len(rows) <= WRITTEN:
        for i, j in np.argwhere(np.isfinite(values) & ~itself):
            colour = on(scale.colour(float(values[i, j])))
            axes.text(j, i, texts[i][j], ha="center", va="center", fontsize=8, color=colour)
    if marked is not None:
        _frames(axes, marked)
    turned: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "top"} if many else {
        "rotation": 30, "ha": "right", "rotation_mode": "anchor"
    }  # fmt: skip
    axes.set_xticks(range(len(columns)), [literal(names[name]) for name in columns], **turned)
    axes.set_yticks(range(len(rows)), [literal(names[name]) for name in rows])
    axes.set_xticks(np.arange(1, len(columns)) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER, linewidth=0.8 if many else 1.5)
    axes.tick_params(which="both", length=0, labelsize=8 if many else 8.5)
    axes.spines[:].set_visible(False)
    return image


def colour_bar(figure: Figure, image: AxesImage, axes: Axes | Sequence[Axes], label: str) -> None:
    """The key to the colours, right of the axes."""
    bar = figure.colorbar(image, ax=axes, fraction=0.025, pad=0.015, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8)
    bar.set_label(label, fontsize=8)


def grid_figure(
    values: Array, rows: Sequence[str], columns: Sequence[str], scale: Scale,
    texts: Sequence[Sequence[str]] | None = None, marked: NDArray[np.bool_] | None = None,
    axis_names: tuple[str, str] = ("affected task", "source"),
) -> Figure:  # fmt: skip
    """A figure that is one matrix; see `draw_grid`."""
    height = grid_size(len(rows), len(columns)) + (1.5 if len(columns) > WRITTEN else 1.1)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    image = draw_grid(axes, values, rows, columns, scale, texts, marked)
    axes.set(ylabel=axis_names[0], xlabel=axis_names[1])
    colour_bar(figure, image, axes, scale.label)
    return figure


def _frames(axes: Axes, marked: NDArray[np.bool_]) -> None:
    """A line around each region of marked cells, drawn once between two cells of which one is marked."""
    padded = np.pad(marked, 1)
    upright = [([j - 0.5, j - 0.5], [i - 0.5, i + 0.5]) for i, j in np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])]
    flat = [([j - 0.5, j + 0.5], [i - 0.5, i - 0.5]) for i, j in np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])]
    # Twice, so that a frame stands out from light cells and dark ones, on light pages and dark ones.
    for colour, width, order in ((PAPER, 3.2, 2.0), (INK, 1.4, 2.1)):
        for x, y in upright + flat:
            axes.plot(x, y, color=colour, linewidth=width, solid_capstyle="projecting", clip_on=False, zorder=order)


__all__ = ["WRITTEN", "Scale", "colour_bar", "draw_grid", "grid_figure", "grid_size", "labels"]
