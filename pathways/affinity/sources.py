"""Taskonomy's choice of sources: which tasks to train in full, so that the others can be transferred from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pathways.errors import ConfigError, DataError

from .highs import Edges
from .matrix import Affinity, require_kind
from .performance import exact
from .subsets import ROUNDING

Floats = NDArray[np.float64]

NODES = 20_000
"""The most nodes of the search: a second or two. The published tables take fewer than a hundred."""


@dataclass(frozen=True)
class Transfers:
    """Sources with their costs, and the transfers between them and the targets.

    Args:
        sources: what may be trained, the nodes of `edges`.
        costs: of each, exact.
        edges: the transfers; their units are not filled in.
        columns: of each edge, the name of its transfer in the matrix.
    """

    sources: tuple[str, ...]
    costs: tuple[Fraction, ...]
    edges: Edges
    columns: tuple[str, ...]


def transfer_network(
    transfers: Affinity, source_costs: Mapping[str, Fraction | float | str] | None = None
) -> Transfers:
    """What can be chosen from a matrix of transfers.

    `random` is left out. `self` is an edge from a task to itself: the target must be trained as a source for it. A
    transfer of higher order needs all of its sources.

    Args:
        transfers: of kind transfer; sources of higher order are joined by a vertical bar.
        source_costs: of sources that do not cost 1.

    Raises:
        ConfigError: the matrix is of another kind, or a cost is of no source.
        DataError: a target has no transfer.
    """
    require_kind(transfers, "transfer", "Taskonomy's rule")
    values = transfers.values
    sign = 1.0 if transfers.higher_is_better else -1.0
    found = [
        (j, sign * float(values[j, column]), name, [target if part == "self" else part for part in name.split("|")])
        for j, target in enumerate(transfers.affected)
        for column, name in enumerate(transfers.sources)
        if name != "random" and np.isfinite(values[j, column])
    ]
    sources = tuple(dict.fromkeys(source for *_, needs in found for source in needs))
    missing = [task for j, task in enumerate(transfers.affected) if not any(edge[0] == j for edge in found)]
    if missing:
        raise DataError(f"each target must have a transfer besides `random`, found none to {missing[0]!r}: drop it.")
    given = {name: exact(cost, "source cost") for name, cost in (source_costs or {}).items()}
    unknown = sorted(set(given) - set(sources))
    if unknown:
        raise ConfigError(f"a source cost must be of one of {list(sources)}, found {unknown[0]!r}.")
    widest = max(len(needs) for *_, needs in found)
    needs = np.array([[*map(sources.index, needs), *[-1] * (widest - len(needs))] for *_, needs in found])
    edges = Edges(
        np.array([edge[0] for edge in found]), np.array([edge[1] for edge in found]), needs,
        np.zeros(len(sources), dtype=np.int64), len(transfers.affected),
    )  # fmt: skip
    return Transfers(sources, tuple(given.get(name, Fraction(1)) for name in sources), edges,
                   tuple(edge[2] for edge in found))  # fmt: skip


def by_branches(edges: Edges, budget: int, limit: int = NODES) -> tuple[tuple[int, ...], bool]:
    """Choose nodes by depth first, branch and bound.

    Given the chosen nodes C, no choice of R more can beat

        f(C) + sum over r in R of gain(r),  gain(r) = sum over tasks of max(0, best edge that needs r - best in C)

    since each edge beyond C needs one of R. The bound takes the nodes with the most gain for their units, the last in
    part.

    Args:
        edges: the ways to serve a task.
        budget: in the units of the nodes.
        limit: the most nodes of the search.

    Returns:
        The nodes chosen, and whether the search ended before its limit: then no choice is better. Where a task is
        left without an edge, there is no choice that serves all, or none was found.
    """
    tree = _Tree(edges, budget, limit)
    tree.search((), tree.unserved, budget, np.flatnonzero(edges.units <= budget))
    return tuple(sorted(tree.chosen)), tree.seen <= limit


class _Tree:
    """The search: the best so far, and what every node of it needs."""

    def __init__(self, edges: Edges, budget: int, limit: int) -> None:
        tasks, nodes = edges.tasks, len(edges.units)
        self.units, self.limit, self.seen = edges.units, limit, 0
        self.chosen: tuple[int, ...] = ()
        self.value = -np.inf
        low, high = (
            np.array([function(edges.merit[edges.task == task]) for task in range(tasks)]) for function in (min, max)
        )
        # A task without an edge costs more than all edges can give: serving every task comes first.
        self.unserved = low - (high - low).sum() - 1.0
        self.alone = np.full((tasks, nodes), -np.inf)
        self.any = np.full((tasks, nodes), -np.inf)
        self.higher: list[list[tuple[int, float, frozenset[int]]]] = [[] for _ in range(nodes)]
        for task, merit, row in zip(edges.task, edges.merit, edges.needs, strict=True):
            needs = frozenset(int(node) for node in row if node >= 0)
            for node in needs:
                self.any[task, node] = max(self.any[task, node], merit)
                if len(needs) == 1:
                    self.alone[task, node] = max(self.alone[task, node], merit)
                else:
                    self.higher[node].append((int(task), float(merit), needs))

    def search(self, chosen: tuple[int, ...], best: Floats, left: int, open_nodes: NDArray[np.int64]) -> None:
        """Look at a choice and at all that add open nodes to it."""
        self.seen += 1
        value = float(best.sum())
        if value > self.value + ROUNDING * abs(value) or not np.isfinite(self.value):
            self.value, self.chosen = value, chosen
        open_nodes = open_nodes[self.units[open_nodes] <= left]
        gains = np.maximum(self.any[:, open_nodes] - best[:, None], 0.0).sum(axis=0)
        rates = gains / np.maximum(self.units[open_nodes], 1e-9)
        order = np.argsort(-rates, kind="stable")
        open_nodes, gains = open_nodes[order], gains[order]
        units = self.units[open_nodes]
        for i, node in enumerate(open_nodes):
            if self.seen > self.limit or value + _filled(gains[i:], units[i:], left) <= self.value + ROUNDING * abs(
                self.value
            ):
                return
            taken = (*chosen, int(node))
            after = np.maximum(best, self.alone[:, node])
            inside = set(taken)
            for task, merit, needs in self.higher[node]:
                if merit > after[task] and needs <= inside:
                    after[task] = merit
            self.search(taken, after, left - int(units[i]), open_nodes[i + 1 :])


def _filled(gains: Floats, units: NDArray[np.int64], left: int) -> float:
    """The most gain that fits, when the last node may be taken in part; gains fall for each unit."""
    total = np.cumsum(units)
    whole = int(np.searchsorted(total, left, "right"))
    value = float(gains[:whole].sum())
    if whole < len(gains):
        room = left - (int(total[whole - 1]) if whole else 0)
        value += float(gains[whole]) * room / int(units[whole])
    return value


__all__ = ["NODES", "Transfers", "by_branches", "transfer_network"]
