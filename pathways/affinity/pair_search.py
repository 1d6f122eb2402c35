"""Groups from a pair matrix of so many tasks that not all groups can be listed: a local search, and a bound."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pathways.errors import ConfigError, DataError

from .higher_order import group_scores, pair_values
from .highs import ENTRIES
from .matrix import Affinity
from .performance import PerformanceTable
from .prices import LISTED, priced
from .selection import Network, Selection
from .subsets import ROUNDING

_PROVEN = 1e-9
"""How near, for the mean over tasks, a bound must be to prove a choice."""

Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]

STARTS = 100
"""From how many random groups the search starts; fewer for hundreds of tasks."""
_SWAPS = 64
"""The most tasks for which two at a time are exchanged: they take T times as long."""


def by_search(
    pairs: Affinity, budget: Fraction, rule: str = "tag", single: float | str | None = None, seed: int = 0
) -> Selection:
    """At most `budget` groups with a good value by TAG's rule, and a bound on the best.

    From random groups, half of them partitions, the step that gains most is taken until none gains: a task joins or
    leaves a group or takes another's place in it (`disjoint`: a task moves from group to group, or two change places).
    With at most 20 tasks, prices (`priced`) then bound what is best and leave few groups that could be part of
    anything better; HiGHS chooses among those, which proves the choice. With more, the best end is returned, with the
    bound of `size_bound`.

    Args:
        pairs: (T, T) of kind co-training.
        budget: how many groups.
        rule: `tag` or `disjoint`.
        single: the score of a task alone; see `scored`.
        seed: of the partitions.

    Raises:
        ConfigError: a budget below one group.
        DataError: a task's pairs were not measured, so that no group found serves it.
    """
    matrix, alone = pair_values(pairs, single)
    count = len(pairs.tasks)
    number = min(math.floor(budget), count)
    if number < 1:
        raise ConfigError(f"`budget` must be at least 1, one group, found {float(budget):g}: raise it.")
    sign = 1.0 if pairs.higher_is_better else -1.0
    merits, lone, disjoint = sign * matrix, sign * alone, rule == "disjoint"
    search = _Search(merits, lone, disjoint)
    rng = np.random.default_rng(seed)
    starts = max(2, min(STARTS, 3_000_000 // (number * count**2)))
    overlap = [rule == "tag" and start % 2 == 1 for start in range(starts)]
    groups = max((search.climbed(_drawn(rng, number, count, over)) for over in overlap), key=search.value)
    known = _served(merits, lone, groups)[1].sum()
    if count > LISTED or not np.isfinite(known):
        bound = size_bound(merits, lone, number, disjoint)
        return _selection(pairs, merits, lone, groups, bound, budget, rule, "greedy")
    found = priced(merits, lone, number, known, disjoint)
    if found.bound - known <= _PROVEN * count:
        return _selection(pairs, merits, lone, groups, found.bound, budget, rule, "prices")
    members = (found.open[:, None] >> np.arange(count)) & 1 == 1
    return _best_of(pairs, merits, lone, groups, members, found.bound, budget, rule)


def _best_of(
    pairs: Affinity, merits: Floats, alone: Floats, known: Bits, members: Bits, bound: float, budget: Fraction,
    rule: str,
) -> Selection:  # fmt: skip
    """The best choice of the groups that prices left open, if they are few; else the one that is known."""
    if members.sum() > ENTRIES // 4:
        return _selection(pairs, merits, alone, known, bound, budget, rule, "greedy")
    from .choice import choose

    table = PerformanceTable(
        pairs.tasks, tuple(map(str, range(len(members)))), (1,) * len(members),  # type: ignore[arg-type]
        group_scores(merits, alone, members), higher_is_better=True, mean=True,
    )  # fmt: skip
    best = choose(table, budget, rule, solver="highs")
    groups = np.array([[task in group for task in pairs.tasks] for group in best.groups])
    if _served(merits, alone, groups)[1].sum() < _served(merits, alone, known)[1].sum():
        groups = known
    solver = "prices" if best.optimal else "greedy"
    return _selection(pairs, merits, alone, groups, min(bound, best.bound * len(merits)), budget, rule, solver)


def _served(merits: Floats, alone: Floats, groups: Bits) -> tuple[NDArray[np.int64], Floats]:
    """(T,) the group that serves each task, small ones first where scores tie, and its score."""
    scores = group_scores(merits, alone, groups)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    return scores.argmax(axis=0), scores.max(axis=0)


def _selection(
    pairs: Affinity, merits: Floats, alone: Floats, groups: Bits, bound: float, budget: Fraction, rule: str, solver: str
) -> Selection:
    """These groups as a selection, after a second look at them.

    Raises:
        DataError: a task has no score in any of them.
    """
    tasks, count = pairs.tasks, len(pairs.tasks)
    groups = groups[np.argsort(groups.sum(axis=1), kind="stable")]
    serving, best = _served(merits, alone, groups)
    if not np.isfinite(best).all():
        task = tasks[int(np.flatnonzero(~np.isfinite(best))[0])]
        raise DataError(f"every task must have measured pairs, no group was found in which {task!r} has: measure them.")
    used = sorted(set(serving.tolist()))
    sign = 1.0 if pairs.higher_is_better else -1.0
    value, limit = sign * float(best.sum()) / count, sign * max(bound, float(best.sum())) / count
    optimal = sign * (limit - value) <= _PROVEN
    return Selection(
        networks=tuple(Network(tuple(t for t, there in zip(tasks, groups[g], strict=True) if there)) for g in used),
        serves={task: used.index(int(g)) for task, g in zip(tasks, serving, strict=True)},
        value=value, cost=float(len(used)), budget=float(budget), rule=rule,
        higher_is_better=pairs.higher_is_better, optimal=optimal, bound=value if optimal else limit, solver=solver,
        by_task={t: sign * float(b) for t, b in zip(tasks, best, strict=True)},
    )  # fmt: skip


def size_bound(merits: Floats, alone: Floats, number: int, disjoint: bool) -> float:
    """A sum of scores that no groups can exceed.

    A task in a group that serves s tasks has at least s - 1 partners, so its score is at most the mean of its s - 1
    best pairs, `u(j, s)`. Which tasks take which size is a linear programme:

        max   sum over j, s of u(j, s) w(j, s)
        s.t.  sum over s of w(j, s) = 1,   sum over j of w(j, s) = s m(s),   sum over s of m(s) <= number,   m whole

    Args:
        merits: (T, T) pairs, more is better; NaN where not measured.
        alone: (T,) the score of each task alone.
        number: how many groups.
        disjoint: whether a task alone is alone in its network, rather than beside others that it does not serve.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import block_array, coo_array, eye_array, kron

    count = len(merits)
    others = np.where(np.isnan(merits) | np.eye(count, dtype=bool), -np.inf, merits)
    top = -np.sort(-others, axis=1)[:, : count - 1]
    with np.errstate(invalid="ignore"):
        means = np.cumsum(top, axis=1) / np.arange(1, count)
    lone = np.where(np.isnan(alone), -np.inf, alone)[:, None]
    most = np.concatenate([lone if disjoint or count == 1 else np.maximum(lone, means[:, :1]), means], axis=1)
    low = float(most[np.isfinite(most)].min()) - 1.0
    finite = np.where(np.isfinite(most), most, low)
    sizes = np.arange(1, count + 1)
    each = kron(eye_array(count), np.ones((1, count)))
    filled = kron(np.ones((1, count)), eye_array(count))
    held = block_array([
        [each, coo_array((count, count))], [filled, -coo_array(np.diag(sizes.astype(float)))],
        [coo_array((1, count * count)), coo_array(np.ones((1, count)))],
    ])  # fmt: skip
    below = np.r_[np.ones(count), np.zeros(count), 0.0]
    above = np.r_[np.ones(count), np.zeros(count), number]
    upper = np.r_[np.where(np.isfinite(most), 1.0, 0.0).ravel(), np.full(count, number)]
    found = milp(
        np.r_[-finite.ravel(), np.zeros(count)], integrality=np.r_[np.zeros(count * count), np.ones(count)],
        bounds=Bounds(0, upper), constraints=LinearConstraint(held.tocsr(), below, above),
        options={"mip_rel_gap": 0.0, "time_limit": 20.0},
    )  # fmt: skip
    each_best = float(most.max(axis=1).sum())
    dual = found.mip_dual_bound
    return each_best if dual is None or not np.isfinite(dual) else min(each_best, -float(dual))


def _drawn(rng: np.random.Generator, number: int, count: int, overlap: bool) -> Bits:
    """Tasks dealt to groups evenly, or each group drawn for itself, some dense and some sparse."""
    groups = np.zeros((number, count), dtype=np.bool_)
    groups[np.arange(count) % number, rng.permutation(count)] = True
    return groups | (rng.random(groups.shape) < rng.random((number, 1))) if overlap else groups


class _Search:
    """Steps from groups to better ones; more is better in all numbers here.

    What was not measured, and a task that nothing serves, count as far below all that was: a search leaves them as
    soon as it can.
    """

    def __init__(self, merits: Floats, alone: Floats, disjoint: bool) -> None:
        count = len(merits)
        pairs = merits[~np.eye(count, dtype=bool)]
        known = pairs[np.isfinite(pairs)]
        low = float(known.min()) if len(known) else 0.0
        high = max([low, *known.tolist(), *alone[np.isfinite(alone)].tolist()])
        below = 4.0 * count * (high - low + 1e-12 * max(abs(high), abs(low)) + 1e-300)
        self.pairs = np.where(np.isnan(merits), low - 4 * count * below, merits)
        np.fill_diagonal(self.pairs, 0.0)
        self.alone = np.clip(np.where(np.isnan(alone), -np.inf, alone), low - below, None)
        self.nothing = low - 8 * count * below
        self.disjoint, self.swaps = disjoint, count <= _SWAPS

    def scores(self, members: Bits) -> Floats:
        """(G, T): the score of each task in each group."""
        sums = members.astype(np.float64) @ self.pairs.T
        sizes = members.sum(axis=1, keepdims=True)
        scores = np.where(sizes > 1, sums / np.maximum(sizes - 1, 1), self.alone)
        return np.where(members, scores, self.nothing)

    def value(self, groups: Bits) -> float:
        """The sum over tasks of the best score."""
        return float(self.scores(groups).max(axis=0).sum())

    def climbed(self, groups: Bits) -> Bits:
        """The groups after as many steps as gain; partitions first become as good as partitions can."""
        if (groups.sum(axis=0) == 1).all():
            groups = self._moved(groups)
        return groups if self.disjoint else self._toggled(groups)

    def _toggled(self, groups: Bits) -> Bits:
        groups = groups.copy()
        count, waiting = groups.shape[1], list(range(len(groups)))
        each = np.eye(count, dtype=bool)
        while waiting:
            group = waiting.pop(0)
            scores = self.scores(groups)
            rest = np.delete(scores, group, axis=0).max(axis=0, initial=self.nothing)
            members = groups[group]
            steps = members ^ each
            if self.swaps:
                inside, outside = np.flatnonzero(members), np.flatnonzero(~members)
                leave, join = each[np.repeat(inside, len(outside))], each[np.tile(outside, len(inside))]
                steps = np.concatenate([steps, members ^ leave ^ join])
            values = np.maximum(self.scores(steps), rest).sum(axis=1)
            best, now = int(values.argmax()), float(np.maximum(scores[group], rest).sum())
            if values[best] > now + 10 * ROUNDING * count * abs(now):
                groups[group] = steps[best]
                waiting = [group, *(g for g in range(len(groups)) if g != group)]
        return groups

    def _moved(self, groups: Bits) -> Bits:
        groups = groups.copy()
        count = groups.shape[1]
        each = np.eye(count, dtype=bool)
        while True:
            values = self._own(groups)
            toggled = np.stack([self._own(row ^ each) for row in groups]) - values[:, None]
            leave = toggled[groups.argmax(axis=0), np.arange(count)]
            join = np.where(groups, -np.inf, toggled)
            task = int((leave + join.max(axis=0)).argmax())
            least = 10 * ROUNDING * count * abs(float(values.sum()))
            if leave[task] + join[:, task].max() > least:
                groups[:, task] = np.arange(len(groups)) == int(join[:, task].argmax())
            elif (pair := self._exchange(groups, values, least)) is not None:
                groups[:, pair] = groups[:, pair[::-1]]
            else:
                return groups

    def _exchange(self, groups: Bits, values: Floats, least: float) -> list[int] | None:
        """Two tasks of different groups whose change of places gains most, if that is more than `least`."""
        if not self.swaps:
            return None
        each, home = np.eye(groups.shape[1], dtype=bool), groups.argmax(axis=0)
        one, two = np.nonzero(np.triu(home[:, None] != home[None]))
        if not len(one):
            return None
        both = each[one] ^ each[two]
        after = self._own(groups[home[one]] ^ both) + self._own(groups[home[two]] ^ both)
        gains = after - values[home[one]] - values[home[two]]
        best = int(gains.argmax())
        return [int(one[best]), int(two[best])] if gains[best] > least else None

    def _own(self, rows: Bits) -> Floats:
        """The sum over a group's own members of their scores, for each group."""
        return np.where(rows, self.scores(rows), 0.0).sum(axis=1)


__all__ = ["STARTS", "by_search", "size_bound"]
