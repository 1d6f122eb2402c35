"""How sure a study can be: intervals over seeds, correlations with ties, and groupings under resampling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import atanh, nan, sqrt, tanh
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from pathways.errors import ConfigError, DataError
from pathways.interval import Estimate, mean_interval
from pathways.seeds import numpy_generator

from .matrix import Affinity

Array = NDArray[np.float64]
Groups = Iterable[Iterable[str]]


def paired_interval(gains: Array, over: Literal["seeds", "tasks"] = "seeds", level: float = 0.95) -> Estimate:
    """The mean of paired differences (seeds, tasks), with an interval over one of the two.

    Over seeds: each seed's mean over tasks is one observation, so the interval says what other seeds would give on
    these tasks. Over tasks: each task's mean over seeds is one, so it says what other tasks of this kind would give.

    Args:
        gains: differences of the same seeds and tasks; NaN where a training failed.
        over: whose spread counts.
        level: of the interval.

    Example:
        >>> gains = np.array([[1.0, 2.0], [2.0, 3.0], [3.0, 4.0]])
        >>> paired_interval(gains).value, paired_interval(gains).n, paired_interval(gains, over="tasks").n
        (2.5, 3, 2)
    """
    if over not in ("seeds", "tasks"):
        raise ConfigError(f"`over` must be 'seeds' or 'tasks', found {over!r}.")
    return mean_interval(mean_over(gains, 1 if over == "seeds" else 0), level)


def mean_over(values: Array, axis: int) -> Array:
    """The mean over an axis of what is finite; NaN where nothing is.

    >>> mean_over(np.array([[1.0, np.nan], [3.0, np.nan]]), 0)
    array([ 2., nan])
    """
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    count = known.sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def spearman(a: Sequence[float] | Array, b: Sequence[float] | Array, independent: int | None = None) -> Estimate:
    """Spearman's rank correlation, tied values sharing their mean rank; pairs with NaN are left out.

    Args:
        a: (n,).
        b: (n,).
        independent: how many of the pairs are independent, where fewer than all are: pairs of one task share its
            baseline. The interval counts these.

    Returns:
        The correlation; NaN where fewer than two pairs are left, or where all of a side are tied. Its interval is
        `tanh(atanh r ± 1.96 √((1 + r²/2) / (n - 3)))`, and needs four independent pairs.

    Example:
        >>> spearman([1, 2, 3, 4], [1, 3, 2, 4]).value
        0.8
        >>> spearman([1, 1, 1], [1, 2, 3]).value
        nan

    Reference: Bonett and Wright 2000, "Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations", Psychometrika 65, for the interval.
    """
    x, y = _known(a, b)
    if len(x) < 2:
        return Estimate(nan, nan, nan, len(x))
    p, q = (ranks - ranks.mean() for ranks in (stats.rankdata(x), stats.rankdata(y)))
    scale = sqrt(float(p @ p) * float(q @ q))
    if scale == 0:
        return Estimate(nan, nan, nan, len(x))
    r = float(np.clip(p @ q / scale, -1, 1))
    free = min(len(x), independent or len(x)) - 3
    if free < 1:
        return Estimate(r, nan, nan, len(x))
    half = stats.norm.ppf(0.975) * sqrt((1 + r * r / 2) / free)
    z = atanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    return Estimate(r, tanh(z - half), tanh(z + half), len(x))


def sign_agreement(a: Sequence[float] | Array, b: Sequence[float] | Array, independent: int | None = None) -> Estimate:
    """The share of pairs whose signs are equal; pairs with NaN or 0 are left out.

    Args:
        a: (n,), signed.
        b: (n,), signed.
        independent: how many of the pairs are independent, where fewer than all are; the interval counts these.

    Example:
        >>> sign_agreement([1, -1, 2, 0], [3, -1, -2, 1])
        Estimate(value=0.666..., low=0.207..., high=0.938..., n=3)
    """
    x, y = _known(a, b)
    kept = (x != 0) & (y != 0)
    return share(int((np.sign(x[kept]) == np.sign(y[kept])).sum()), int(kept.sum()), independent)


def order_agreement(a: Sequence[float] | Array, b: Sequence[float] | Array, within: Sequence[object]) -> Estimate:
    """The share of pairs of observations within one task that both sides order alike; ties are left out.

    It needs neither a meaningful zero nor scales that are comparable between tasks. The interval counts each task
    once.

    >>> order_agreement([1, 2, 5, 4], [10, 20, 1, 2], within=["s", "s", "t", "t"]).value
    0.5
    """
    x, y, label = np.asarray(a, float), np.asarray(b, float), np.asarray(within)
    i, j = np.triu_indices(len(x), 1)
    same = label[i] == label[j]
    p, q = np.sign(x[i] - x[j])[same], np.sign(y[i] - y[j])[same]
    kept = np.isfinite(p) & np.isfinite(q) & (p != 0) & (q != 0)
    return share(int((p == q)[kept].sum()), int(kept.sum()), len(set(label[i][same][kept])))


def share(hits: int, n: int, independent: int | None = None) -> Estimate:
    """`hits / n` with Wilson's interval at 95 %, which stays honest at 0 and 1.

    Args:
        hits: how many of them.
        n: of how many.
        independent: how many of the `n` are independent, where fewer than all are; the interval counts these.

    Example:
        >>> share(3, 3)
        Estimate(value=1.0, low=0.438..., high=1.0, n=3)

    Reference: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    if n == 0:
        return Estimate(nan, nan, nan, 0)
    p, m, z = hits / n, min(n, independent or n), float(stats.norm.ppf(0.975))
    centre, half = p + z * z / (2 * m), z * sqrt(p * (1 - p) / m + z * z / (4 * m * m))
    low, high = ((centre + sign * half) / (1 + z * z / m) for sign in (-1, 1))
    return Estimate(p, max(0.0, low), min(1.0, high), n)


def stability(
    affinity: Affinity, choose: Callable[[Affinity], Groups], samples: int, seed: int, block: int | None = None
) -> Array:
    """How often two tasks are in one group when repeats and moments are drawn again.

    Repeats are drawn with replacement; within each, blocks of moments that follow each other, since the moments of one
    training depend on each other. Blocks wrap around, so that every moment is drawn equally often.

    Args:
        affinity: what was measured.
        choose: the groups for a matrix, as names of tasks; groups may overlap.
        samples: how often all is drawn and chosen again.
        seed: of the draws.
        block: moments in a block; the cube root of their number when not given.

    Returns:
        (T, T) in the order of `affinity.affected`, 0 to 1; the diagonal says how often a task is in any group. All
        NaN where there is one moment of one repeat: then nothing can be said.

    Raises:
        ConfigError: fewer than one sample, or a block that is longer than the training.
        DataError: `choose` names a task that has no row.

    Example:
        >>> found = Affinity(("a", "b"), ("a", "b"), "co-training", "cosine", "cosine", np.ones((2, 3, 2, 2)))
        >>> stability(found, lambda _: [("a", "b")], samples=5, seed=0)
        array([[1., 1.],
               [1., 1.]])

    Reference: Politis and Romano 1992, "A circular block-resampling procedure for stationary data".
    """
    repeats, moments = affinity.readings.shape[:2]
    length = max(1, round(moments ** (1 / 3))) if block is None else block
    if samples < 1:
        raise ConfigError(f"`samples` must be at least 1, found {samples}.")
    if not 1 <= length <= moments:
        raise ConfigError(f"`block` must be between 1 and the {moments} moments of a repeat, found {length}.")
    place = {name: i for i, name in enumerate(affinity.affected)}
    together = np.zeros((len(place), len(place)))
    if repeats * moments == 1:
        return np.full_like(together, np.nan)
    rng = numpy_generator("affinity", "stability", seed)
    for _ in range(samples):
        member = np.zeros_like(together, dtype=bool)
        for group in choose(_drawn(affinity, length, rng)):
            names = list(group)
            unknown = [name for name in names if name not in place]
            if unknown:
                raise DataError(f"`choose` must name tasks of {list(place)}, found {unknown[0]!r}.")
            at = [place[name] for name in names]
            member[np.ix_(at, at)] = True
        together += member
    return together / samples


def _drawn(affinity: Affinity, length: int, rng: np.random.Generator) -> Affinity:
    """One bootstrap sample; a pair that was measured at none of its moments keeps what it has in the whole."""
    repeats, moments = affinity.readings.shape[:2]
    drawn = np.empty_like(affinity.readings)
    for r in range(repeats):
        source = rng.integers(repeats)
        starts = rng.integers(moments, size=-(-moments // length))
        at = (starts[:, None] + np.arange(length)).ravel()[:moments] % moments
        drawn[r] = affinity.readings[source, at]
    lost = ~np.isfinite(drawn).any(axis=(0, 1))
    return replace(affinity, readings=np.where(lost, affinity.readings, drawn), steps=())


def _known(a: Sequence[float] | Array, b: Sequence[float] | Array) -> tuple[Array, Array]:
    """The pairs of which both are finite."""
    x, y = np.asarray(a, dtype=np.float64).ravel(), np.asarray(b, dtype=np.float64).ravel()
    if len(x) != len(y):
        raise DataError(f"`a` and `b` must have equal lengths, found {len(x)} and {len(y)}.")
    kept = np.isfinite(x) & np.isfinite(y)
    return x[kept], y[kept]


__all__ = [
    "Estimate", "mean_interval", "mean_over", "order_agreement", "paired_interval", "share", "sign_agreement",
    "spearman", "stability",
]
