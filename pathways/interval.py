"""A number with its interval, and the mean's: what reports of all kinds say how sure they are by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Args:
        value: the estimate; NaN where there is nothing to estimate it from.
        low, high: its interval; NaN where there is too little to give one.
        n: how many observations it is from.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def sure(self) -> bool:
        """Whether it has an interval."""
        return self.low == self.low and self.high == self.high

    @property
    def sign(self) -> int:
        """1 or -1 where the whole interval is on one side of 0, else 0."""
        return int(self.low > 0) - int(self.high < 0) if self.sure else 0


def mean_interval(values: Sequence[float] | Array, level: float = 0.95) -> Estimate:
    """The mean with Student's t interval: `mean ± t(level, n - 1) · s / √n`; what is NaN is left out.

    >>> mean_interval([1.0, 2.0, 3.0])
    Estimate(value=2.0, low=-0.484..., high=4.484..., n=3)
    >>> mean_interval([1.0]).sure
    False

    Reference: Student 1908.
    """
    from scipy.special import stdtrit  # `scipy.stats` takes a second to import

    known = np.asarray(values, dtype=np.float64).ravel()
    known = known[np.isfinite(known)]
    n = len(known)
    if n < 2:
        return Estimate(float(known[0]) if n else nan, nan, nan, n)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * known.std(ddof=1) / sqrt(n)
    return Estimate(float(known.mean()), float(known.mean() - half), float(known.mean() + half), n)


__all__ = ["Estimate", "mean_interval"]
