"""Tests of paired differences, exact also with ties, and what several tests at once allow to say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def signed_rank(differences: Sequence[float]) -> float | None:
    """Wilcoxon's signed-rank test: the two-sided p value of differences that are symmetric about 0.

    Differences of exactly 0 are left out; equal sizes share the mean of their ranks. The p value is exact for any
    number of differences and any ties: given the ranks, each of the 2^n ways to put signs is equally likely, and how
    many of them reach each sum is counted by convolution.

    Args:
        differences: one for each pair.

    Returns:
        The p value; `None` where no difference is left.

    Example:
        >>> signed_rank([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        0.03125

    Reference: Wilcoxon 1945; for comparisons over data sets Demšar, "Statistical Comparisons of Classifiers over
    Multiple Data Sets", JMLR 2006, section 3.1.3.
    """
    known = np.array([d for d in differences if d != 0.0], dtype=np.float64)
    if not len(known):
        return None
    doubled = _doubled_ranks(np.abs(known))
    counts = np.ones(1)
    for rank in doubled:  # how likely each sum of the ranks with a plus is; twice the ranks are whole numbers
        counts = np.concatenate([counts, np.zeros(rank)]) / 2 + np.concatenate([np.zeros(rank), counts]) / 2
    total = int(doubled.sum())
    least = min(positive := int(doubled[known > 0].sum()), total - positive)
    return float(min(1.0, 2.0 * counts[: least + 1].sum()))


def _doubled_ranks(sizes: np.ndarray) -> np.ndarray:
    """Twice the rank of each, ties sharing their mean: whole numbers."""
    _, inverse, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[inverse]


def holm(values: Sequence[float | None]) -> list[float | None]:
    """P values that hold for all of several tests at once; `None` stays, and counts for no test.

    >>> holm([0.01, 0.04, None])
    [0.02, 0.04, None]

    Reference: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.
    """
    known = sorted((value, i) for i, value in enumerate(values) if value is not None)
    out: list[float | None] = [None] * len(values)
    least = 0.0
    for done, (value, i) in enumerate(known):
        least = max(least, min(1.0, value * (len(known) - done)))
        out[i] = least
    return out


__all__ = ["holm", "signed_rank"]
