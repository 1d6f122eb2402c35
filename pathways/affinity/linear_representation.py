"""A joint linear representation: features that tasks share, and a head of each, by alternating least squares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathways.errors import DataError

Array = NDArray[np.float64]


def linear_representation(
    data: Sequence[tuple[ArrayLike, ArrayLike]], dims: int, rounds: int = 100, tolerance: float = 1e-8
) -> tuple[Array, Array]:
    """Features B and heads W that fit all tasks: `argmin Σ_m ‖X_m B w_m − y_m‖² / N_m`, with orthonormal B.

    It begins with the `dims` leading directions of the tasks' own least-squares weights, then solves for the heads
    with B held and for B with the heads held (conjugate gradients on the normal equations), until the loss changes by
    less than `tolerance` of itself.

    Args:
        data: M tasks' samples (N_m, d) and targets (N_m,); numbers of samples may differ.
        dims: K, at most d and M.
        rounds: of alternation, at most.
        tolerance: see above.

    Returns:
        B (d, K) and W (M, K); they are unique up to a rotation of the K features, which relevance does not see.

    Raises:
        DataError: shapes that do not fit.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(3, 50, 4))
        >>> truth = np.array([[1, 0], [0, 1], [2, 1]]) @ np.eye(2, 4)
        >>> B, W = linear_representation([(x[m], x[m] @ truth[m]) for m in range(3)], 2)
        >>> np.allclose(W @ B.T, truth)
        True

    Reference: the empirical risk of Du et al. 2020 (2002.09434) that Wang et al. 2023 (2306.02556) and
    Chen et al. 2022 (2202.00911) estimate heads by.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    pairs = [(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)) for x, y in data]
    d = pairs[0][0].shape[-1]
    for x, y in pairs:
        if x.ndim != 2 or x.shape[1] != d or y.shape != x.shape[:1] or not len(y):
            raise DataError(f"each task must have samples (N, {d}) and targets (N,), found {x.shape} and {y.shape}.")
    if not 0 < dims <= min(d, len(pairs)):
        raise DataError(f"`dims` must be from 1 to {min(d, len(pairs))}, of features and of tasks, found {dims}.")
    grams = np.stack([x.T @ x / len(y) for x, y in pairs])
    moments = np.stack([x.T @ y / len(y) for x, y in pairs])
    own = np.stack([np.linalg.lstsq(gram, moment, rcond=None)[0] for gram, moment in zip(grams, moments, strict=True)])
    features = np.linalg.svd(own.T, full_matrices=False)[0][:, :dims]
    power, before = sum(float(y @ y) / len(y) for _, y in pairs), np.inf
    for _ in range(rounds):
        heads = _heads(grams, moments, features)

        def normal(flat: Array, heads: Array = heads) -> Array:
            weights = heads @ flat.reshape(d, -1).T  # (M, d); in this order it takes M d², all at once M d² K²
            return np.asarray((np.einsum("mde,me->md", grams, weights).T @ heads).ravel())

        step = LinearOperator((d * dims, d * dims), matvec=normal, dtype=np.float64)
        solved, _ = cg(step, (moments.T @ heads).ravel(), x0=features.ravel(), maxiter=50)
        features = np.linalg.qr(solved.reshape(d, dims))[0]
        heads = _heads(grams, moments, features)
        loss = power - float(np.einsum("mk,dk,md->", heads, features, moments))
        if before - loss <= tolerance * max(abs(loss), 1e-12 * power):
            break
        before = loss
    return features, heads


def _heads(grams: Array, moments: Array, features: Array) -> Array:
    """(M, K): each task's least squares on the features."""
    return np.stack([
        np.linalg.lstsq(features.T @ gram @ features, features.T @ moment, rcond=None)[0]
        for gram, moment in zip(grams, moments, strict=True)
    ])


__all__ = ["linear_representation"]
