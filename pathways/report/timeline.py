"""The timeline of a run: what its workers did, however many there are and however long it took."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pathways.canvas import literal, styled
from pathways.palette import MUTED, SHARED, TASKS
from pathways.trace import COMMIT, DRIVER, EVALUATE, LOAD, STORE, TRAIN, TRANSFER, WAIT
from pathways.trace_read import Lane, Recorded

from .drawing import label_rows, new_figure

ROWS, BINS = 16, 900
COLOURS = {
    TRAIN: TASKS[0], LOAD: TASKS[1], EVALUATE: TASKS[6], STORE: TASKS[3], TRANSFER: TASKS[10], COMMIT: TASKS[5],
}
OTHER, IDLE = TASKS[8], SHARED
_TALL = 24  # pixels of a row, so that a share of 4 % of a moment is seen


@dataclass(frozen=True, eq=False)
class Row:
    """One row of the timeline.

    Args:
        label: whose it is.
        shares: by kind of work, of each bin the share of it (bins,), at most 1 in sum; the rest is idle.
    """

    label: str
    shares: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Timeline:
    """What is drawn.

    Args:
        rows: drivers last.
        seconds: how long it is, time between sessions left out.
        breaks: where one session ends and the next begins, in seconds from the start.
    """

    rows: tuple[Row, ...]
    seconds: float
    breaks: tuple[float, ...]


def timeline(record: Recorded, bins: int = BINS, rows: int = ROWS) -> Timeline:
    """The record in bins of equal length; more workers than rows are put together, so that a row is their mean.

    Args:
        record: as `pathways.trace_read.read_trace` gives it.
        bins: of the time axis.
        rows: at most so many of workers.
    """
    spans = _busy([lane.extent for lane in record.lanes if lane.extent[1]])
    lengths = [ended - began for began, ended in spans]
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    edges = np.linspace(0.0, starts[-1], bins + 1)
    # Squeezed time to real time: the gaps between sessions have no length.
    which = np.clip(np.searchsorted(starts, edges, side="right") - 1, 0, len(spans) - 1)
    real = np.array([spans[i][0] + edge - starts[i] for i, edge in zip(which, edges, strict=True)])
    by_name: dict[str, list[Lane]] = {}
    for lane in sorted(record.workers, key=lambda lane: _natural(lane.worker)):
        by_name.setdefault(lane.worker, []).append(lane)
    names, width = list(by_name), max(float(starts[-1]) / bins, 1e-12)
    size = -(-len(names) // rows) if names else 1
    made = []
    for start in range(0, len(names), size):
        some = names[start : start + size]
        label = some[0] if size == 1 else f"{some[0]} … {some[-1]}"
        made.append(Row(label, _shares([lane for name in some for lane in by_name[name]], real, width, len(some))))
    made.append(Row(DRIVER, _shares(record.drivers, real, width, 1)))
    return Timeline(tuple(made), float(starts[-1]), tuple(float(s) for s in starts[1:-1]))


def timeline_chart(found: Timeline) -> Figure:
    """The timeline as a figure: a row's colours are what its workers did at each moment, bottom up."""
    kinds = list(dict.fromkeys([*COLOURS, *(kind for row in found.rows for kind in row.shares)]))
    seen = [kind for kind in kinds if any(kind in row.shares for row in found.rows)]
    with styled():
        figure, axes = new_figure(1.0 + 0.34 * len(found.rows))
        unit, name = (3600.0, "hours") if found.seconds > 7200 else (60.0, "minutes") if found.seconds > 180 else (
            1.0, "seconds")  # fmt: skip
        for i, row in enumerate(found.rows):
            axes.imshow(_picture(row, kinds), extent=(0, found.seconds / unit, i + 0.38, i - 0.38), aspect="auto",
                        interpolation="none")
        for at in found.breaks:
            axes.axvline(at / unit, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        label_rows(axes, [row.label for row in found.rows])
        axes.set_xlim(0, max(found.seconds / unit, 1e-9))
        axes.set_xlabel(f"{literal(name)} of the run")
        handles = [Patch(color=COLOURS.get(kind, OTHER), label=literal(kind)) for kind in seen]
        handles.append(Patch(color=IDLE, label="idle"))
        axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False,
                    fontsize=8, handlelength=1.0, handletextpad=0.4, columnspacing=1.4)
    return figure


def _picture(row: Row, kinds: Sequence[str]) -> np.ndarray:
    """A row as pixels (height, bins, 3): each bin a column, filled from below by its shares."""
    bins = len(next(iter(row.shares.values()))) if row.shares else 1
    picture = np.empty((_TALL, bins, 3))
    picture[:] = to_rgb(IDLE)
    height = np.arange(_TALL)[::-1, None]  # of each pixel above the row's foot
    below = np.zeros(bins)
    for kind in kinds:
        if kind in row.shares:
            above = below + row.shares[kind] * _TALL
            picture[(height >= np.round(below)) & (height < np.round(above))] = to_rgb(COLOURS.get(kind, OTHER))
            below = above
    return picture


def _shares(lanes: Sequence[Lane], edges: np.ndarray, width: float, workers: int) -> dict[str, np.ndarray]:
    """Of each bin between `edges`, `width` seconds in which sessions went on, the share of each kind of work."""
    found: dict[str, np.ndarray] = {}
    for lane in lanes:
        for what, pieces in lane.pieces.items():
            if what == WAIT:
                continue
            began, ended, seconds = np.array([(p.began, p.ended, p.seconds) for p in pieces]).T
            rate = seconds / np.maximum(ended - began, 1e-9)
            times, change = np.concatenate([began, ended]), np.concatenate([rate, -rate])
            order = np.argsort(times, kind="stable")
            times, change = times[order], np.cumsum(change[order])
            until = np.concatenate([[0.0], np.cumsum(change[:-1] * np.diff(times))])
            found[what] = found.get(what, 0.0) + np.diff(np.interp(edges, times, until))
    total = sum(found.values()) if found else 0.0
    fits = np.maximum(workers * width, total)  # what travels while something trains would not fit
    return {what: amount / fits for what, amount in found.items()}


def _busy(extents: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The times in which any session went on, in order, overlapping ones put together.

    >>> _busy([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0)])
    [(0.0, 3.0), (5.0, 6.0)]
    """
    found: list[tuple[float, float]] = []
    for began, ended in sorted(extents):
        if found and began <= found[-1][1]:
            found[-1] = (found[-1][0], max(ended, found[-1][1]))
        else:
            found.append((began, ended))
    return found


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that puts `n/10` after `n/9`."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", name)]


__all__ = ["Row", "Timeline", "timeline", "timeline_chart"]
