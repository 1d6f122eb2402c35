"""Choosing networks as a 0/1 program, solved by HiGHS; and its relaxation, which bounds every choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .performance import PerformanceTable
from .subsets import Scale

Floats = NDArray[np.float64]

ENTRIES = 60_000
"""The most values of tasks in networks in a program: with more, HiGHS needs minutes for the relaxation alone."""
_CUTS = 20
"""How often HiGHS is asked again when its choice costs too much."""
_RANGE = 1e3
"""What the objective is scaled to: HiGHS calls a gap of 1e-6 none, whatever the unit of the values."""


@dataclass(frozen=True)
class Programmed:
    """What a program gave.

    Args:
        chosen: positions of what is chosen; `None` where nothing was found.
        bound: a merit (more is better) that nothing can beat; infinite where none is known.
    """

    chosen: tuple[int, ...] | None
    bound: float


@dataclass(frozen=True)
class Edges:
    """What a program chooses from: ways to serve a task, each with a merit and the nodes that it needs.

    Args:
        task: (E,) of each edge.
        merit: (E,) more is better.
        needs: (E, at most K) nodes, -1 where it needs fewer.
        units: (V,) the cost of each node.
        tasks: how many there are.
    """

    task: NDArray[np.int64]
    merit: Floats
    needs: NDArray[np.int64]
    units: NDArray[np.int64]
    tasks: int


def edges_of(table: PerformanceTable, scale: Scale) -> Edges:
    """The ways to serve a task: by each network that holds it."""
    network, task = np.nonzero(table.holds)
    return Edges(task, table.merits[network, task], network[:, None], np.array(scale.units), len(table.tasks))


def by_program(
    edges: Edges, budget: int, *, seconds: float = 60.0, relaxed: bool = False, cheapest: bool = False
) -> Programmed:
    """Choose nodes within a budget so that the edges between chosen ones serve the tasks best.

        max   sum over edges e of merit_e y_e
        s.t.  sum over the edges of a task of y_e = 1          each task is served once
              y_e <= x_v                                       for each node v that an edge needs
              sum over nodes of units_v x_v <= budget
              x in {0, 1}, y in [0, 1]

    Args:
        edges: the ways to serve a task.
        budget: in the units of the nodes.
        seconds: after which HiGHS gives what it has.
        relaxed: let x be fractions: only the bound means something then.
        cheapest: choose the nodes that cost least, whatever the merits; there is no bound then.

    Reference: Zamir et al. 2018 (Taskonomy, 1804.08328), section 3.4.
    """
    from scipy.optimize import LinearConstraint
    from scipy.sparse import coo_array

    count, nodes = len(edges.task), len(edges.units)
    offset = _middles(edges)
    gain = edges.merit - offset[edges.task]
    scale = _RANGE / max(float(np.abs(gain).max()), 1e-300)
    each = np.arange(count)
    served = coo_array((np.ones(count), (edges.task, nodes + each)), shape=(edges.tasks, nodes + count))
    edge, slot = np.nonzero(edges.needs >= 0)
    rows = np.arange(len(edge))
    needs = coo_array(
        (np.repeat([1.0, -1.0], len(edge)), (np.tile(rows, 2), np.r_[nodes + edge, edges.needs[edge, slot]])),
        shape=(len(edge), nodes + count),
    )
    cost = coo_array((edges.units.astype(float), (np.zeros(nodes, int), np.arange(nodes))), shape=(1, nodes + count))
    found = _within(
        np.r_[edges.units, np.zeros(count)] if cheapest else np.r_[np.zeros(nodes), -scale * gain],
        [
            LinearConstraint(served.tocsr(), 1, 1), LinearConstraint(needs.tocsr(), -np.inf, 0),
            LinearConstraint(cost.tocsr(), 0, budget),
        ],
        edges.units, budget, relaxed, seconds,
    )  # fmt: skip
    return _read(found, nodes, scale, np.inf if cheapest else float(offset.sum()))


def by_cover(
    table: PerformanceTable, scale: Scale, *, seconds: float = 60.0, relaxed: bool = False, cheapest: bool = False
) -> Programmed:
    """The same where every network serves all of its tasks: each task is in exactly one chosen network."""
    from scipy.optimize import LinearConstraint

    holds = table.holds
    gain = np.where(holds, table.merits, 0.0).sum(axis=1)
    scaling = _RANGE / max(float(np.abs(gain).max()), 1e-300)
    units = np.array(scale.units)
    found = _within(
        units.astype(float) if cheapest else -scaling * gain,
        [
            LinearConstraint(holds.T.astype(float), 1, 1),
            LinearConstraint(units[None].astype(float), 0, scale.budget),
        ],
        units, scale.budget, relaxed, seconds,
    )  # fmt: skip
    return _read(found, len(gain), scaling, np.inf if cheapest else 0.0)


def _within(
    objective: Floats, constraints: list[Any], units: NDArray[np.int64], budget: int, relaxed: bool, seconds: float
) -> object:
    """What HiGHS gives, asked again while that costs more than the budget.

    Its tolerance of 1e-6 lets costs of a million units and more pass by one: then not all of what it chose may be
    chosen together.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    nodes = len(units)
    whole = np.r_[np.full(nodes, 0 if relaxed else 1), np.zeros(len(objective) - nodes)]
    options = {"mip_rel_gap": 0.0, "time_limit": seconds}
    for _ in range(_CUTS):
        found = milp(objective, integrality=whole, bounds=Bounds(0, 1), constraints=constraints, options=options)
        if relaxed or found.x is None:
            break
        chosen = found.x[:nodes] > 0.5
        if units[chosen].sum() <= budget:
            break
        together = np.r_[chosen.astype(float), np.zeros(len(objective) - nodes)]
        constraints = [*constraints, LinearConstraint(together[None], 0, chosen.sum() - 1)]
    return found


def _middles(edges: Edges) -> Floats:
    """(T,): about where the merits of a task lie; each task has one edge, so taking it away changes no choice."""
    return np.array([np.median(edges.merit[edges.task == task]) for task in range(edges.tasks)])


def _read(found: object, nodes: int, scale: float, offset: float) -> Programmed:
    values, dual = getattr(found, "x", None), getattr(found, "mip_dual_bound", None)
    if dual is None:  # a program without whole numbers has its value in its place
        dual = getattr(found, "fun", None)
    chosen = None if values is None else tuple(int(v) for v in np.flatnonzero(values[:nodes] > 0.5))
    if dual is None or not np.isfinite(dual):
        return Programmed(chosen, np.inf)
    return Programmed(chosen, offset - float(dual) / scale)


__all__ = ["ENTRIES", "Edges", "Programmed", "by_cover", "by_program", "edges_of"]
