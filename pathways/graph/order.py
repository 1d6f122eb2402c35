"""In which order boxes stand in their columns, so that few lines cross: sweeps, then neighbours that change places."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

Links = Mapping[str, Mapping[str, int]]
"""From each item of a column to items of the next: how many lines run there."""

SWEEPS = 12
"""Through all columns, so often at most: crossings rarely fall after the first few."""

_PATIENCE = 4  # sweeps without fewer crossings, after which no more are made


def in_order(
    columns: Sequence[Sequence[str]], links: Sequence[Links], fixed: bool, sweeps: int = SWEEPS
) -> list[list[str]]:
    """An order of each column with few crossings; never more than in the one given, of which equals give equals.

    Sugiyama's method: each column in turn is sorted by where its items' neighbours stand in the column before it, by
    their mean and in the next sweep by their median; then neighbours change places while that takes crossings away.

    Args:
        columns: from left to right, the items of each in the order to begin with.
        links: of each gap between two columns, the lines in it.
        fixed: whether the last column keeps its order.
        sweeps: how often at most; 0 gives back what was given.

    Example:
        >>> in_order([["a", "b"], ["x", "y"]], [{"a": {"y": 1}, "b": {"x": 1}}], fixed=True)
        [['b', 'a'], ['x', 'y']]

    Reference:
        Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures", 1981;
        Gansner, Koutsofios, North and Vo, "A technique for drawing directed graphs", 1993, section 3.
    """
    best = [list(column) for column in columns]
    least = sum(map(crossings_between, best, best[1:], links))
    back = [_turned(gap) for gap in links]
    last = len(best) - (2 if fixed else 1)
    order, since = [list(column) for column in best], 0
    for sweep in range(sweeps):
        if not least or since == _PATIENCE:
            break
        since += 1
        rightwards = sweep % 2 == 1
        for c in range(last + 1) if rightwards else range(last, -1, -1):
            if rightwards and c:
                order[c] = _sorted(order[c], order[c - 1], back[c - 1], median=sweep % 4 > 1)
            elif not rightwards and c < len(order) - 1:
                order[c] = _sorted(order[c], order[c + 1], links[c], median=sweep % 4 > 1)
        _transpose(order, links, back, last)
        found = sum(map(crossings_between, order, order[1:], links))
        if found < least:
            best, least, since = [list(column) for column in order], found, 0
    return best


def crossings_between(left: Sequence[str], right: Sequence[str], links: Links) -> int:
    """How many pairs of lines cross between two columns in these orders.

    >>> crossings_between(["a", "b"], ["x", "y"], {"a": {"y": 2}, "b": {"x": 3}})
    6
    """
    place = {item: i for i, item in enumerate(right)}
    tree = [0] * (len(right) + 1)  # a Fenwick tree: how many lines so far end at each place, in sums of powers of two
    ended = crossed = 0
    for item in left:
        ends = sorted((place[end], lines) for end, lines in links.get(item, {}).items())
        for at, lines in ends:
            i, before = at + 1, 0
            while i:
                before, i = before + tree[i], i & (i - 1)
            crossed += lines * (ended - before)
        for at, lines in ends:
            i = at + 1
            while i <= len(right):
                tree[i] += lines
                i += i & -i
            ended += lines
    return crossed


def _turned(links: Links) -> dict[str, dict[str, int]]:
    turned: dict[str, dict[str, int]] = {}
    for begin, ends in links.items():
        for end, lines in ends.items():
            turned.setdefault(end, {})[begin] = lines
    return turned


def _sorted(items: Sequence[str], others: Sequence[str], links: Links, *, median: bool) -> list[str]:
    """Sorted by where the neighbours stand; an item without any keeps its place among the rest."""
    place = {item: i for i, item in enumerate(others)}
    wanted: dict[str, float] = {}
    for at, item in enumerate(items):
        ends = sorted((place[end], lines) for end, lines in links.get(item, {}).items())
        if not ends:
            wanted[item] = at * max(len(others) - 1, 1) / max(len(items) - 1, 1)
        elif median:
            sums = list(accumulate(lines for _, lines in ends))
            wanted[item] = ends[bisect_left(sums, sums[-1] / 2)][0]
        else:
            wanted[item] = sum(at * lines for at, lines in ends) / sum(lines for _, lines in ends)
    return sorted(items, key=wanted.__getitem__)


def _transpose(order: list[list[str]], links: Sequence[Links], back: Sequence[Links], last: int) -> None:
    """Let neighbours change places, in place, while crossings fall; in the columns up to `last`."""
    places = [{item: i for i, item in enumerate(column)} for column in order]

    def ends(c: int, item: str) -> list[list[tuple[int, int]]]:
        right = links[c].get(item, {}) if c < len(links) else {}
        left = back[c - 1].get(item, {}) if c else {}
        sides = [(right, c + 1), (left, c - 1)]
        return [sorted((places[d][end], lines) for end, lines in side.items()) for side, d in sides]

    better = True
    while better:
        better = False
        for c, column in enumerate(order[: last + 1]):
            near = {item: ends(c, item) for item in column}
            for i in range(len(column) - 1):
                a, b = near[column[i]], near[column[i + 1]]
                if sum(map(_over, a, b)) > sum(map(_over, b, a)):
                    column[i], column[i + 1] = column[i + 1], column[i]
                    places[c][column[i]], places[c][column[i + 1]] = i, i + 1
                    better = True


def _over(above: Sequence[tuple[int, int]], below: Sequence[tuple[int, int]]) -> int:
    """How many pairs of lines of two neighbours cross on one side, by the sorted places of their ends."""
    places = [at for at, _ in above]
    sums = [0, *accumulate(lines for _, lines in above)]
    return sum(lines * (sums[-1] - sums[bisect_right(places, at)]) for at, lines in below)
