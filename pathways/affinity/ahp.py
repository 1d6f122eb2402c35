"""From losses to affinities by the analytic hierarchy process, as Taskonomy does for one target."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathways.errors import DataError

CLIP = 0.001
"""Shares of won items are kept this far from 0 and 1, so that no ratio is above 999 (Taskonomy's value)."""
_TOLERANCE = 1e-13
_SQUARINGS = 64

Array = NDArray[np.float64]


def win_rates(losses: ArrayLike) -> Array:
    """How often each source does better than each other one: w[i, j] = share of items where i's loss is below j's.

    A tie counts for neither, so w[i, j] + w[j, i] < 1 where there are some. The diagonal is 0.

    Args:
        losses: (sources, items), of one target, all on the same held-out items.

    Raises:
        DataError: no items, or losses that are not numbers.

    Example:
        >>> win_rates([[0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.4, 0.1]])
        array([[0.  , 0.5 ],
               [0.25, 0.  ]])

    Reference: Zamir et al. 2018, Taskonomy, 1804.08328, section 3.3.
    """
    table = np.asarray(losses, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        raise DataError(f"`losses` must have the shape (sources, items), at least 1 of each, found {table.shape}.")
    if np.isnan(table).any():
        rows = np.flatnonzero(np.isnan(table).any(axis=1)).tolist()
        raise DataError(f"`losses` must be numbers, found NaN in rows {rows}: leave out what was not measured.")
    return np.stack([(row < table).mean(axis=1) for row in table])


def ahp(wins: ArrayLike, *, clip: float = CLIP) -> Array:
    """The affinity of each source to one target: the principal eigenvector of the ratios of wins, of sum 1.

        W'[i, j] = clip(w[i, j]) / clip(w[j, i]),    W'[i, i] = 1,    W' v = lambda v,    sum(v) = 1

    W' is positive, so by Perron's theorem its eigenvalue of largest modulus is real and simple, with a vector of
    positive numbers; a general eigensolver returns complex arrays here. It is found by power iteration, whose matrix is
    squared each time (2^k steps for k products), until `(W' v)_i / v_i` agree for all i to 1e-13: these bound the
    eigenvalue from both sides (Collatz 1942).

    The values order the sources of one target. They are not comparable between targets: they say by how much a source
    wins over the others there, not how much it helps.

    Args:
        wins: (sources, sources), shares of won items as `win_rates` gives them; the diagonal is not read. All sources
            of the target belong in it, of first and higher order, its own network and an untrained one.
        clip: how far shares are kept from 0 and 1.

    Returns:
        (sources,), positive, of sum 1.

    Raises:
        DataError: not square, or not shares.

    Example:
        >>> ahp([[0.0, 0.8], [0.2, 0.0]])
        array([0.8, 0.2])

    Reference: Zamir et al. 2018, Taskonomy, 1804.08328, section 3.3; Saaty 1987, The analytic hierarchy process.
    """
    shares = np.asarray(wins, dtype=np.float64)
    if shares.ndim != 2 or shares.shape[0] != shares.shape[1] or not shares.size:
        raise DataError(f"`wins` must be square, (sources, sources), found {shares.shape}.")
    beside = shares[~np.eye(len(shares), dtype=bool)]
    if not ((beside >= 0) & (beside <= 1)).all():
        raise DataError("`wins` must be shares of items from 0 to 1, found others: count them by `win_rates`.")
    clipped = np.clip(shares, clip, 1 - clip)
    ratios = clipped / clipped.T
    np.fill_diagonal(ratios, 1.0)
    return _perron(ratios)


def _perron(matrix: Array) -> Array:
    """The principal eigenvector, of sum 1, of a positive matrix."""
    power = matrix / matrix.sum()
    vector = power.sum(axis=1)
    for _ in range(_SQUARINGS):
        quotients = (matrix @ vector) / vector
        if quotients.max() - quotients.min() <= _TOLERANCE * quotients.max():
            break
        power = power @ power
        power /= power.sum()
        vector = power.sum(axis=1)
    return np.asarray(vector / vector.sum())


__all__ = ["CLIP", "ahp", "win_rates"]
