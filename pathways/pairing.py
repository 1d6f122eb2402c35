"""Is the mean of paired differences below zero? One-sided tests, exact where differences are bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, stdtr


def less_than_zero(
    groups: Sequence[NDArray[np.float64]], *, bound: float | None, rng: np.random.Generator
) -> float:
    """The p-value of the hypothesis that the mean is at least 0, against that it is below.

    Args:
        groups: differences (N,) of one group of samples or of several; each group counts the same.
        bound: of the size of a difference, where there is one, as for right and wrong answers: then the sign test is
            used, without it Student's.
        rng: what fractional differences are rounded with.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> less_than_zero([np.array([-1.0, -1.0, -1.0, 0.0])], bound=1.0, rng=rng)
        0.125
        >>> less_than_zero([np.zeros(50)], bound=1.0, rng=rng)
        1.0
    """
    smallest = min(map(len, groups), default=0)
    if smallest == 0:
        return 1.0
    if bound is None:
        return student_test(groups)
    return sign_test(np.concatenate([g * (smallest / len(g)) for g in groups]), bound, rng)


def sign_test(differences: NDArray[np.float64], bound: float, rng: np.random.Generator) -> float:
    """The exact sign test: of the samples that differ, how many are below 0.

    A difference d in [-b, b] is first rounded to -1, 0 or 1 at random with mean d / b. So the test is exact for any
    bounded differences that are drawn independently from one distribution of mean at least 0. Differences of -b, 0
    and b, as of right and wrong answers, stay as they are: then this is McNemar's exact test.

    Args:
        differences: (N,).
        bound: b; it must not depend on the samples.
        rng: for the rounding.

    Reference: Schlag 2008, "A new method for constructing exact tests without making any assumptions"; for right and
    wrong, McNemar 1947.
    """
    rounded = np.sign(differences) * (rng.random(len(differences)) < np.abs(differences) / bound)
    below, differing = int((rounded < 0).sum()), int((rounded != 0).sum())
    return float(bdtrc(below - 1, differing, 0.5)) if differing else 1.0


def student_test(groups: Sequence[NDArray[np.float64]]) -> float:
    """Student's paired t test on the mean of the groups' means; 1 where there are too few samples or no difference."""
    means = [float(g.mean()) for g in groups]
    error = sum(float(g.var(ddof=1)) / len(g) if len(g) > 1 else float("inf") for g in groups) ** 0.5
    if not 0 < error < float("inf"):
        return 1.0
    return float(stdtr(min(map(len, groups)) - 1, sum(means) / error))


__all__ = ["less_than_zero", "sign_test", "student_test"]
