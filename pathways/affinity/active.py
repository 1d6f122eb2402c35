"""Active sampling of sources: samples go where relevance says, relevance is measured again on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathways.errors import ConfigError

from .linear_representation import linear_representation
from .relevance import Norm, relevance, sampling_shares

Array = NDArray[np.float64]
Draw = Callable[[str, int], tuple[ArrayLike, ArrayLike]]
"""New samples (n, d) and targets (n,) of a source: called with its name and n."""


@dataclass(frozen=True, eq=False)
class ActiveRound:
    """One round: how many samples each source gave in it, and the relevance found afterwards.

    Args:
        counts: (M,) samples drawn in this round.
        nu: (M,) relevance to the target, from all samples so far.
        features: B (d, K), the representation from all samples so far.
        head: (K,), of the target.
    """

    counts: NDArray[np.int64]
    nu: Array
    features: Array
    head: Array


def sample_counts(nu: ArrayLike, total: int, norm: Norm = "l1", at_least: int = 0) -> NDArray[np.int64]:
    """How many of `total` samples each source gives: `at_least`, and of the rest its `sampling_shares`.

    Counts are whole and sum to `total`: what rounding down leaves goes to the largest remainders.

    Raises:
        ConfigError: the total is less than `at_least` of each source.

    >>> sample_counts([3, 0, -1], 10).tolist(), sample_counts([3, 0, -1], 10, "l2", at_least=1).tolist()
    ([8, 0, 2], [7, 1, 2])
    """
    shares = sampling_shares(nu, norm)
    free = total - at_least * len(shares)
    if free < 0 or at_least < 0:
        raise ConfigError(
            f"`total` must be at least {at_least} for each of {len(shares)} sources, found {total}: draw more."
        )
    counts = np.floor(shares * free + 1e-9).astype(np.int64)
    order = np.argsort(-(shares * free - counts), kind="stable")
    counts[order[: free - counts.sum()]] += 1
    return np.asarray(counts + at_least)


def active_sampling(
    draw: Draw,
    sources: Sequence[str],
    target: tuple[ArrayLike, ArrayLike],
    dims: int,
    *,
    budgets: Sequence[int],
    norm: Norm = "l1",
    penalty: float | None = 0.1,
    at_least: int = 0,
) -> list[ActiveRound]:
    """Alternate between drawing samples of the sources by relevance, and measuring relevance on all samples so far.

    The first round draws the same number from each source. The representation is fitted on the sources, which have
    the samples; the target's head on it, from its own few.

    Args:
        draw: gives new samples of a source.
        sources: their names.
        target: the target's samples (n, d) and targets (n,).
        dims: K, of the representation.
        budgets: samples of each round, all sources together, rising as the estimate gets better.
        norm: see `relevance`.
        penalty: see `relevance`.
        at_least: samples that every source gives in each round.

    Returns:
        The rounds.

    Reference: Wang et al. 2023 (L1-A-MTRL, 2306.02556); with `norm="l2"` Chen et al. 2022 (A-MTRL, 2202.00911).
    """
    x, y = (np.asarray(part, dtype=np.float64) for part in target)
    held: list[tuple[Array, Array]] = []
    nu: Array = np.ones(len(sources))
    rounds = []
    for number, budget in enumerate(budgets):
        counts = sample_counts(nu, budget, norm, max(at_least, 1) if number == 0 else at_least)
        new = [tuple(np.asarray(p, np.float64) for p in draw(s, int(n))) for s, n in zip(sources, counts, strict=True)]
        held = [(a, b) for a, b in new] if not held else [
            (np.concatenate([x0, x1]), np.concatenate([y0, y1])) if len(y1) else (x0, y0)
            for (x0, y0), (x1, y1) in zip(held, new, strict=True)
        ]  # fmt: skip
        features, heads = linear_representation(held, dims)
        head = np.asarray(np.linalg.lstsq(x @ features, y, rcond=None)[0], dtype=np.float64)
        nu = relevance(heads, head, norm, penalty if norm == "l1" else None)
        rounds.append(ActiveRound(counts, nu, features, head))
    return rounds


__all__ = ["ActiveRound", "active_sampling", "sample_counts"]
