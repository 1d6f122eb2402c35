"""How high boxes stand in their columns: where their lines run as level as order and distances allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import networkx as nx

from .routes import Routes

GAP = 0.14
"""Inches between the boxes of a column."""

_SWEEPS = 16  # from right to left and back so often, until what is moved can no longer be seen
_LAST = 4  # of them, in which lines that pass columns keep the level they have
_STRAIGHT = 0.9  # how much a waypoint goes to the level of the others of its line, rather than to its neighbours
_ROWS = 0.02  # inches at least between what is pinned
_WORDS = 0.34  # inches below and above what has no weights: its name is written there

Lanes = Mapping[str, Mapping[str, float]]


def settled(
    graph: nx.MultiDiGraph,
    routes: Routes,
    pinned: Mapping[str, float],
    heights: Mapping[str, float],
    lanes: tuple[Lanes, Lanes],
    gap: float,
) -> dict[str, float]:
    """The middle of each item, so that lines run as level as the order of the columns and the pinned heads allow.

    Column by column each item goes to the weighted mean of where its lines would be level; long lines weigh more, so
    that they bend little.

    Args:
        graph: made by `pathways.graph.graph_of`.
        routes: its routes, the columns in the order in which they are drawn.
        pinned: the middles that are given, in inches.
        heights: of each item.
        lanes: by item and task, how far below the item's middle the task's line comes in, and leaves.
        gap: between boxes of one column.

    Reference:
        Gansner, Koutsofios, North and Vo, "A technique for drawing directed graphs", 1993, section 4.
    """
    entry, leave = lanes
    pulls: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for edge, stops in routes.stops.items():
        tasks = sorted(routes.edge_tasks[edge])
        for a, b in pairwise(stops):
            weight = len(tasks) * (1.0 + 1.0 * a.startswith("\x00") + 1.0 * b.startswith("\x00"))
            lift = sum(leave[a][task] - entry[b][task] for task in tasks) / len(tasks)
            pulls[a].append((b, weight, -lift))
            pulls[b].append((a, weight, lift))
    for side, host in routes.hosts.items():
        pulls[side].append((host, 1.0, 0.0))
    centre = sum(pinned.values()) / max(len(pinned), 1)
    middles = {item: pinned.get(item, centre) for items in routes.columns for item in items}
    margins = {item: gap if item in graph else 0.4 * gap for item in middles}
    margins |= {node: _WORDS for node, kind in graph.nodes(data="kind") if kind == "glue"}
    margins |= dict.fromkeys(pinned, _ROWS)
    order = range(len(routes.columns))
    chains = _chains(routes)
    for sweep in range(2 * _SWEEPS):
        level = {
            source: _level(source, chain, pulls, middles, settling=sweep < 2 * (_SWEEPS - _LAST))
            for source, chain in chains.items()
        }
        for c in order[::-1] if sweep % 2 == 0 else order:
            wanted, weights = [], []
            for item in routes.columns[c]:
                found = pulls[item] or [(item, 1.0, 0.0)]
                weight = sum(pull for _, pull, _ in found)
                mean = sum((middles[other] + lift) * pull for other, pull, lift in found) / weight
                if item.startswith("\x00"):
                    mean = _STRAIGHT * level[item.split("\x00")[1]] + (1 - _STRAIGHT) * mean
                wanted.append(pinned.get(item, mean))
                weights.append(1e6 if item in pinned else weight)
            tall = [heights[item] + margins[item] for item in routes.columns[c]]
            middles.update(zip(routes.columns[c], spread(wanted, tall, weights, 0.0), strict=True))
    return middles


def _chains(routes: Routes) -> dict[str, list[str]]:
    """By node, the waypoints of what leaves it: they should be on one level."""
    chains: dict[str, list[str]] = defaultdict(list)
    for items in routes.columns:
        for item in items:
            if item.startswith("\x00"):
                chains[item.split("\x00")[1]].append(item)
    return chains


def _level(
    source: str, chain: Sequence[str], pulls: Mapping[str, Any], middles: Mapping[str, float], *, settling: bool
) -> float:
    """Where a line should run level: between where it is and where it goes, then where it is."""
    now = sum(middles[point] for point in chain) / len(chain)
    if not settling:
        return now
    inside = {*chain, source}
    ends = [(middles[end] + lift, pull) for point in chain for end, pull, lift in pulls[point] if end not in inside]
    return (now + sum(y * pull for y, pull in ends) / sum(pull for _, pull in ends)) / 2


def spread(
    wanted: Sequence[float], heights: Sequence[float], weights: Sequence[float], gap: float = GAP
) -> list[float]:
    """Middles in the given order, as near to `wanted` as boxes of these heights allow, by least squares.

    With the boxes' own heights taken out this is isotonic regression, solved by pooling neighbours.

    >>> spread([0.0, 0.0], [1.0, 1.0], [1.0, 1.0])
    [-0.57, 0.57]
    """
    below = [0.0]
    for upper, lower in pairwise(heights):
        below.append(below[-1] + (upper + lower) / 2 + gap)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for want, base, weight in zip(wanted, below, weights, strict=False):
        pools.append((want - base, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (mean_b, weight_b, count_b), (mean_a, weight_a, count_a) = pools.pop(), pools.pop()
            weight = weight_a + weight_b
            pools.append(((mean_a * weight_a + mean_b * weight_b) / weight, weight, count_a + count_b))
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [round(mean + base, 6) for mean, base in zip(means, below, strict=False)]
