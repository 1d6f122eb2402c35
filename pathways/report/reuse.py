"""Who uses what: tasks by modules in the order they were frozen, and whose parameters each task runs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pathways.canvas import literal, styled
from pathways.choose_root import ROOT
from pathways.palette import FAINT, MUTED, PAPER, on, task_colour, tint
from pathways.text import short_count, short_names

from .drawing import HEAT, WIDTH, WRITTEN, cell_height, heat, name_axes
from .numbers import Cell, Table


@dataclass(frozen=True)
class Used:
    """A module with weights that champions use.

    Args:
        id: of its blob.
        frozen_by: the task that trained it, or `root`.
        parameters: how many it has.
        tasks: whose champions use it, in the order learned.
    """

    id: str
    frozen_by: str
    parameters: int
    tasks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Reuse:
    """What champions share.

    Args:
        tasks: in the order learned.
        modules: in the order frozen, the root's first.
        parameters: (tasks, 1 + tasks) of each task's path, by who froze them: the root, then each task.
    """

    tasks: tuple[str, ...]
    modules: tuple[Used, ...]
    parameters: NDArray[np.int64]

    @property
    def shares(self) -> NDArray[np.float64]:
        """(tasks, 1 + tasks): `parameters` as shares of the task's own path; rows add up to 1."""
        totals = self.parameters.sum(axis=1, keepdims=True)
        return np.asarray(self.parameters / np.maximum(totals, 1), dtype=np.float64)


def reuse(sizes: Mapping[str, Mapping[str, int]], root: Sequence[str] = ()) -> Reuse:
    """What champions share.

    Args:
        sizes: by task in the order learned, the parameters of each blob of its path.
        root: the blobs that the run began with.

    Example:
        >>> found = reuse({"a": {"r": 10, "a1": 5}, "b": {"r": 10, "a1": 5, "b1": 5}}, root=["r"])
        >>> [(module.id, module.frozen_by, module.tasks) for module in found.modules]
        [('r', 'root', ('a', 'b')), ('a1', 'a', ('a', 'b')), ('b1', 'b', ('b',))]
        >>> found.parameters.tolist()
        [[10, 5, 0], [10, 5, 5]]
    """
    tasks = tuple(sizes)
    users: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for task, blobs in sizes.items():
        for blob, count in blobs.items():
            if count:
                users.setdefault(blob, []).append(task)
                counts[blob] = count
    began = set(root)
    modules = [Used(b, ROOT if b in began else by[0], counts[b], tuple(by)) for b, by in users.items()]
    modules.sort(key=lambda one: one.frozen_by != ROOT)  # the root's first; else in the order learned, as they are
    who = {ROOT: 0} | {task: 1 + i for i, task in enumerate(tasks)}
    parameters = np.zeros((len(tasks), 1 + len(tasks)), dtype=np.int64)
    for module in modules:
        for task in module.tasks:
            parameters[who[task] - 1, who[module.frozen_by]] += module.parameters
    return Reuse(tasks, tuple(modules), parameters)


def reuse_chart(found: Reuse) -> Figure:
    """Rows are tasks, columns modules: filled where the task trained it, with a dot where it took it from another."""
    names = short_names(found.tasks, longest=22)
    rows, columns = len(found.tasks), len(found.modules)
    place = {task: i for i, task in enumerate(found.tasks)}
    high = cell_height(rows)
    with styled():
        figure = Figure(figsize=(WIDTH, 1.25 + high * rows), layout="constrained")
        axes = figure.add_subplot()
        boxes: list[list[tuple[float, float]]] = []
        colours: list[str] = []
        dots: list[tuple[int, int]] = []
        for column, module in enumerate(found.modules):
            own = FAINT if module.frozen_by == ROOT else task_colour(place[module.frozen_by])
            for task in module.tasks:
                left, right, low, top = column - 0.5, column + 0.5, place[task] - 0.44, place[task] + 0.44
                boxes.append([(left, low), (right, low), (right, top), (left, top)])
                mine = task == module.frozen_by
                colours.append(own if mine or module.frozen_by == ROOT else tint(own, 0.22))
                if not mine:
                    dots.append((column, place[task]))
        thin = 0.0 if columns > 160 else 0.5
        axes.add_collection(PolyCollection(boxes, facecolors=colours, edgecolors=PAPER, linewidths=thin))
        if dots:
            size = min(3.0, 260 / columns)
            axes.plot(*zip(*dots, strict=True), "o", color=MUTED, markersize=size, markeredgewidth=0)
        starts = _starts(found)
        for at in list(starts.values())[1:]:
            axes.axvline(at - 0.5, color=FAINT, linewidth=0.6, zorder=0)
        axes.set_xlim(-0.5, columns - 0.5)
        name_axes(axes, [names[task] for task in found.tasks], [], rows)
        axes.set_ylim(rows - 0.5, -0.5)
        _freezers(axes, starts, columns, names)
        axes.set(xlabel="modules, in the order they were frozen, under who froze them", ylabel="task")
    return figure


def _starts(found: Reuse) -> dict[str, int]:
    """By who froze modules, the first of its columns."""
    starts: dict[str, int] = {}
    for i, module in enumerate(found.modules):
        starts.setdefault(module.frozen_by, i)
    return starts


def _freezers(axes: Axes, starts: Mapping[str, int], columns: int, names: Mapping[str, str]) -> None:
    """Names above the columns; of many only some, so that none overlap."""
    ends = [*list(starts.values())[1:], columns]
    shown, last = [], -1e9
    for (who, start), end in zip(starts.items(), ends, strict=True):
        middle = (start + end - 1) / 2
        if middle - last >= columns / 42:
            shown.append((middle, names.get(who, who)))
            last = middle
    top = axes.secondary_xaxis("top")
    top.set_xticks([at for at, _ in shown], [literal(name) for _, name in shown], rotation=60, ha="left",
                   rotation_mode="anchor", fontsize=8)  # fmt: skip
    top.tick_params(length=0)
    top.spines[:].set_visible(False)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)


def sources_chart(found: Reuse) -> Figure:
    """Task by task: the share of the row's parameters that the column's task froze."""
    names = short_names(found.tasks, longest=22)
    shares = 100 * found.shares
    labels = [ROOT, *(names[task] for task in found.tasks)]
    if not shares[:, 0].any():  # a root without weights, or none
        shares, labels = shares[:, 1:], labels[1:]
    rows, columns = shares.shape
    with styled():
        figure = Figure(figsize=(WIDTH, 1.6 + cell_height(rows) * rows), layout="constrained")
        axes = figure.add_subplot()
        image = axes.imshow(np.where(shares > 0, shares, np.nan), cmap=HEAT, vmin=0, vmax=100, aspect="auto")
        if columns <= WRITTEN:
            for i, j in np.argwhere(shares > 0):
                text = f"{shares[i, j]:.0f}" if shares[i, j] >= 0.5 else "<1"
                axes.text(j, i, text, ha="center", va="center", fontsize=8, color=on(heat(shares[i, j] / 100)))
        name_axes(axes, labels[-rows:], labels, rows)
        axes.set(xlabel="frozen by", ylabel="task")
        axes.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=axes, shrink=0.7, pad=0.015)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0, labelsize=8)
        bar.set_label("% of the task's parameters", fontsize=8)
    return figure


def modules_table(found: Reuse) -> Table:
    """A row for each module."""
    rows = tuple(
        (module.id, module.frozen_by, module.parameters, len(module.tasks), ", ".join(module.tasks))
        for module in found.modules
    )
    return Table("reuse", ("module", "frozen by", "parameters", "used by", "tasks"), rows)


def sources_table(found: Reuse) -> Table:
    """A row for each task: its parameters by who froze them."""
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (task, *map(int, found.parameters[i])) for i, task in enumerate(found.tasks)
    )
    return Table("sources", ("task", ROOT, *found.tasks), rows)


def reuse_words(found: Reuse) -> str:
    """What the matrices come to, in a sentence.

    >>> reuse_words(reuse({"a": {"r": 10, "a1": 5}, "b": {"r": 10, "a1": 5, "b1": 5}}, root=["r"]))
    '1 of 2 modules that tasks trained is used by another task; 1 of 2 tasks runs on what another task learned.'
    """
    trained = [module for module in found.modules if module.frozen_by != ROOT]
    again = [module for module in trained if len(module.tasks) > 1]
    others = found.parameters[:, 1:].copy()
    np.fill_diagonal(others, 0)
    count = int((others.sum(axis=1) > 0).sum())
    are = "is" if len(again) == 1 else "are"
    return (
        f"{len(again)} of {len(trained)} modules that tasks trained {are} used by another task; {count} of "
        f"{len(found.tasks)} tasks run{'s' * (count == 1)} on what another task learned."
    )


def most_used(found: Reuse) -> str:
    """The module that most tasks use, in words; empty where none is shared."""
    module = max(found.modules, key=lambda one: (len(one.tasks), one.parameters), default=None)
    if module is None or len(module.tasks) < 2:
        return ""
    size, by = short_count(module.parameters), "from the root" if module.frozen_by == ROOT else "of a task"
    return f"The most used, {by}, has {size} parameters and serves {len(module.tasks)} tasks."


__all__ = [
    "Reuse", "Used", "modules_table", "most_used", "reuse", "reuse_chart", "reuse_words", "sources_chart",
    "sources_table",
]
