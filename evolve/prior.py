"""What a child of each parent may be worth: a line through transferability, bent by the gains that were seen.

Gains of earlier tasks say how much transferability is to be believed; gains of this task say the rest. Everything is
Gaussian, so what is believed is a mean and a covariance over the parents.

Reference: Thompson 1933, "On the likelihood that one unknown probability exceeds another in view of the evidence of two
samples", Biometrika 25; for Gaussian beliefs, Russo et al. 2018, "A tutorial on Thompson sampling", arXiv 1707.02038.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pairs = Sequence[tuple[float, float]]
"""Of one task: for each parent that had a trained child, its standardised transferability and the child's gain."""

_LEVEL = 10.0  # of a task's mean gain, in spreads: wide enough to say nothing


@dataclass(frozen=True)
class Calibration:
    """gain = level of the task + slope * transferability + noise of standard deviation `spread`.

    Args:
        slope: gain for one standard deviation of transferability.
        spread: of gains about the line.
    """

    slope: float
    spread: float


@dataclass(frozen=True)
class Belief:
    """What is believed of the mean gain of each parent's children: a Gaussian.

    Args:
        mean: (P,).
        covariance: (P, P).
    """

    mean: Array
    covariance: Array


def standardised(values: Sequence[float]) -> Array:
    """Values (P,) with mean 0 and standard deviation 1; what is not finite, and all where none differ, becomes 0.

    >>> standardised([1.0, 3.0, float("nan")]).tolist()
    [-1.0, 1.0, 0.0]
    """
    found = np.asarray(values, dtype=np.float64)
    known = np.isfinite(found)
    if not known.any() or np.ptp(found[known]) == 0:
        return np.zeros(len(found))
    return np.where(known, (found - found[known].mean()) / found[known].std(), 0.0)


def calibrate(tasks: Sequence[Pairs], correlation: float = 0.7, weight: float = 4.0) -> Calibration:
    """How much transferability says about gains, from the pairs (z, g) of several tasks, each centred within its task.

        slope = (weight * correlation * s + sum z g) / (weight + sum z²),    s² = sum g² / n
        spread² = (weight * (1 - correlation²) * s² + sum (g - slope z)²) / (weight + n)

    with n pairs less one a task. Levels of tasks cancel, and so does the unit of gains: without any, s is 1.

    Args:
        tasks: the pairs of each task; one of fewer than two pairs says nothing.
        correlation: of transferability and gain, as guessed before any gain is seen.
        weight: as how many pairs the guess counts.

    Example:
        >>> calibrate([], correlation=0.6)
        Calibration(slope=0.6, spread=0.8)
        >>> round(calibrate([[(-1.0, 0.02), (1.0, 0.06)]] * 50).slope, 3)  # 0.02 for each standard deviation
        0.02
    """
    z, g = (np.concatenate([np.zeros(0), *(_centred(pairs, part) for pairs in tasks)]) for part in (0, 1))
    count = sum(len(pairs) - 1 for pairs in tasks if pairs)
    unit = float(np.sqrt((g**2).sum() / count)) if count and g.any() else 1.0
    slope = float(weight * correlation * unit + z @ g) / (weight + float(z @ z))
    residual = weight * (1 - correlation**2) * unit**2 + float(((g - slope * z) ** 2).sum())
    return Calibration(slope, float(np.sqrt(residual / (weight + count))))


def posterior(
    calibration: Calibration, transferability: Array, seen: Sequence[tuple[int, float]], noise: float = 0.8
) -> Belief:
    """What is believed of each parent after some of its children.

        prior    N(slope z, (1 - noise) spread² I + L 11ᵀ),    a gain = its parent's mean + N(0, noise spread²)

    L is wide: the level of this task is known from its own gains only.

    Args:
        calibration: as `calibrate` gives it.
        transferability: z, (P,), standardised.
        seen: of each child, its parent's place and its gain.
        noise: the share of the spread that is between children of one parent, above 0 and below 1.

    Example:
        >>> belief = posterior(Calibration(0.0, 1.0), np.zeros(2), [(0, 3.0), (1, -3.0)])
        >>> bool(belief.mean[0] > belief.mean[1])
        True
    """
    z, variance = np.asarray(transferability, dtype=np.float64), calibration.spread**2
    mean = calibration.slope * z
    covariance = (1 - noise) * variance * np.eye(len(z)) + variance * _LEVEL**2
    if not seen:
        return Belief(mean, covariance)
    places, gains = [place for place, _ in seen], np.array([gain for _, gain in seen])
    across = covariance[:, places]
    within = covariance[np.ix_(places, places)] + noise * variance * np.eye(len(places))
    weights = np.linalg.solve(within, across.T).T
    return Belief(mean + weights @ (gains - mean[places]), covariance - weights @ across.T)


def chances(belief: Belief, rng: np.random.Generator, draws: int = 4096) -> Array:
    """The probability, (P,), that each parent is the best: the share of `draws` in which it is.

    >>> chances(Belief(np.array([0.0, 0.0]), np.eye(2)), np.random.default_rng(0)).round(1).tolist()
    [0.5, 0.5]
    """
    best = _worlds(belief, rng, draws).argmax(axis=1)
    return np.bincount(best, minlength=len(belief.mean)) / draws


def drawn(belief: Belief, count: int, rng: np.random.Generator) -> list[int]:
    """The places of `count` different parents: each the best, of those not drawn yet, in a world drawn anew.

    >>> drawn(Belief(np.array([0.0, 9.0, 5.0]), 0.01 * np.eye(3)), 2, np.random.default_rng(0))
    [1, 2]
    """
    chosen: list[int] = []
    for world in _worlds(belief, rng, min(count, len(belief.mean))):
        world[chosen] = -np.inf
        chosen.append(int(world.argmax()))
    return chosen


def _worlds(belief: Belief, rng: np.random.Generator, count: int) -> Array:
    """Mean gains (count, P) as they may be."""
    return rng.multivariate_normal(belief.mean, belief.covariance, size=count, method="eigh")


def _centred(pairs: Pairs, part: int) -> Array:
    values = np.array([pair[part] for pair in pairs], dtype=np.float64)
    return values - values.mean() if len(values) else values


__all__ = ["Belief", "Calibration", "Pairs", "calibrate", "chances", "drawn", "posterior", "standardised"]
