"""Relevance: which few source tasks a target's linear weights can be made of, and so what to sample from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pathways.errors import ConfigError, DataError
from pathways.seeds import numpy_generator

from .linear_representation import linear_representation
from .matrix import Affinity

Array = NDArray[np.float64]
Norm = Literal["l1", "l2"]
Data = Mapping[str, tuple[ArrayLike, ArrayLike]]
"""By task, samples (N, d) and targets (N,)."""


def relevance(sources: ArrayLike, target: ArrayLike, norm: Norm = "l1", penalty: float | None = None) -> Array:
    """How the weights of a target are made of those of the sources: the smallest ν with `Wᵀ ν = w`.

    `norm="l1"` takes the smallest `‖ν‖₁`, which is sparse: at most K sources get a weight. Where weights are only
    estimated, a penalty takes the Lasso in its place, `argmin ½ ‖Wᵀ ν − w‖² + λ ‖ν‖₁`, with `λ = penalty ‖W w‖_∞`:
    at a penalty of 1 and above nothing is relevant. `norm="l2"` takes the smallest `‖ν‖₂`, `ν = (Wᵀ)⁺ w`, which
    spreads over all sources.

    Args:
        sources: W (M, K), the weights of M source tasks on K shared features.
        target: w (K,), those of the target.
        norm: which is smallest.
        penalty: a share of the smallest λ at which nothing is relevant, between 0 and 1; `None` for the exact
            solution. For `l1` only.

    Returns:
        ν (M,). Its sign says whether a source points along or against the target; either way it is worth samples.

    Raises:
        DataError: shapes that do not fit, or a target that no combination of sources gives, for `l1`.
        ConfigError: an unknown norm, or a penalty that is none.

    Example:
        >>> relevance([[1, 0], [0, 1], [1, 1]], [2, 2]).round(6).tolist() == [0, 0, 2]
        True
        >>> relevance([[1, 0], [0, 1], [1, 1]], [2, 2], "l2").round(3).tolist()
        [0.667, 0.667, 1.333]

    Reference: Wang et al. 2023 (L1-A-MTRL, 2306.02556) for `l1`; Chen et al. 2022 (A-MTRL, 2202.00911) for `l2`.
    """
    weights, wanted = np.asarray(sources, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if weights.ndim != 2 or wanted.shape != weights.shape[1:] or not len(weights):
        raise DataError(f"`sources` must be (M, K) and `target` (K,), found {weights.shape} and {wanted.shape}.")
    if norm not in ("l1", "l2") or (penalty is not None and (norm == "l2" or not 0 < penalty < 1)):
        raise ConfigError(
            f"`norm` must be 'l1' or 'l2', and `penalty` None or, for 'l1', between 0 and 1; "
            f"found {norm!r} and {penalty!r}."
        )
    if norm == "l2":
        return np.asarray(np.linalg.pinv(weights.T) @ wanted)
    return _smallest_l1(weights.T, wanted) if penalty is None else _lasso(weights.T, wanted, penalty)


def task_relevance(
    data: Data,
    dims: int,
    *,
    targets: Sequence[str] | None = None,
    norm: Norm = "l1",
    penalty: float | None = 0.1,
    repeats: int = 1,
    seed: int = 0,
) -> Affinity:
    """From tasks' samples to a matrix of relevance: a joint linear representation, then `relevance` of each target.

    Tasks may have different numbers of samples. A row is what `sampling_shares` makes of ν: the share of samples that
    the target should take from each source. Heads of all tasks are fitted on one representation
    (`linear_representation`), so the method knows tasks of one number each; classes need one task for each of them.

    Args:
        data: by task, samples (N, d) and targets (N,).
        dims: K, of the representation; at most the number of other tasks for the exact solution.
        targets: the affected tasks; all where not given.
        norm: see `relevance`.
        penalty: see `relevance`; ignored for `l2`.
        repeats: how many samples of the data, drawn with replacement, are fitted; 1 takes the data as they are.
        seed: of these draws.

    Returns:
        A matrix of kind `transfer`, whose diagonal is NaN: a target is not its own source.

    Raises:
        DataError: a target that is no task, samples that do not fit, or no solution.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> weights = {"a": [1, 0, 0], "b": [0, 1, 0], "both": [1, 1, 0]}
        >>> found = task_relevance({name: (x, x @ np.array(w)) for name, w in weights.items()}, 2, targets=["both"])
        >>> found.values.round(2).tolist()
        [[0.5, 0.5, nan]]

    Reference: as `relevance`.
    """
    names = tuple(data)
    affected = names if targets is None else tuple(targets)
    unknown = [name for name in affected if name not in data]
    if unknown:
        raise DataError(f"`targets` must name some of {list(names)}, found {unknown[0]!r}.")
    readings = np.full((repeats, 1, len(affected), len(names)), np.nan)
    for r in range(repeats):
        drawn = data if repeats == 1 else _resampled(data, seed, r)
        _, heads = linear_representation(list(drawn.values()), dims)
        for row, name in enumerate(affected):
            others = [i for i, other in enumerate(names) if other != name]
            nu = relevance(heads[others], heads[names.index(name)], norm, penalty if norm == "l1" else None)
            readings[r, 0, row, others] = sampling_shares(nu, norm)
    return Affinity(
        affected, names, "transfer", "relevance", "share of samples", readings,
        about={"norm": norm, "penalty": penalty if norm == "l1" else None, "dims": dims, "seed": seed},
    )  # fmt: skip


def sampling_shares(nu: ArrayLike, norm: Norm = "l1") -> Array:
    """The share of samples of each source: `abs(ν_m) / Σ abs(ν)` for `l1`, `ν_m² / Σ ν²` for `l2`; equal where ν is 0.

    >>> sampling_shares([3, 0, -1]).tolist(), sampling_shares([3, 0, -1], "l2").tolist()
    ([0.75, 0.0, 0.25], [0.9, 0.0, 0.1])
    """
    size = np.abs(np.asarray(nu, dtype=np.float64)) ** (1 if norm == "l1" else 2)
    return np.asarray(size / size.sum() if size.sum() > 0 else np.full(len(size), 1 / len(size)))


def _smallest_l1(columns: Array, wanted: Array) -> Array:
    """`argmin ‖ν‖₁ s.t. columns ν = wanted`, as a linear program in the positive and negative parts of ν."""
    from scipy.optimize import linprog

    m = columns.shape[1]
    found = linprog(np.ones(2 * m), A_eq=np.hstack([columns, -columns]), b_eq=wanted, bounds=(0, None), method="highs")
    if found.x is None:
        raise DataError(
            f"`target` must be a combination of the {m} sources, found none that gives it: "
            f"give `penalty`, for example 0.1, or use more sources than the {len(wanted)} dimensions."
        )
    nu = np.asarray(found.x[:m] - found.x[m:])
    off = np.abs(columns @ nu - wanted).max()  # solvers have called infeasible points optimal
    if off > 1e-6 * max(1.0, np.abs(wanted).max()):
        raise DataError(f"the linear program must give `target`, found a solution that is off by {off:.1e}: rescale.")
    return nu


def _lasso(columns: Array, wanted: Array, penalty: float) -> Array:
    from sklearn.linear_model import Lasso

    largest = np.abs(columns.T @ wanted).max()
    if largest == 0:
        return np.zeros(columns.shape[1])
    # Scikit-learn divides the squares by the number of rows; it draws a number even where its order is fixed.
    alpha = penalty * largest / len(wanted)
    model = Lasso(alpha, fit_intercept=False, tol=1e-10, max_iter=100_000, random_state=0)
    return np.asarray(model.fit(columns, wanted).coef_, dtype=np.float64)


def _resampled(data: Data, seed: int, repeat: int) -> Data:
    drawn = {}
    for name, (x, y) in data.items():
        rows = numpy_generator("relevance", name, seed, repeat).integers(len(np.asarray(y)), size=len(np.asarray(y)))
        drawn[name] = (np.asarray(x)[rows], np.asarray(y)[rows])
    return drawn


__all__ = ["relevance", "sampling_shares", "task_relevance"]
