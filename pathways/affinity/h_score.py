"""H-score: how much of the variance of frozen features lies between the classes, on their own scale."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from pathways.errors import ConfigError

from .frozen_features import are_classes, checked, indicator


def h_score(features: Tensor, targets: Tensor, *, shrinkage: float | Literal["ledoit-wolf"] = 0.0) -> float:
    """The H-score of frozen features for a task; higher is better.

        H = tr(cov(f)^-1 cov(E[f | y]))                    from 0 to min(classes - 1, D)
        H_a = (1 - a) tr(((1 - a) cov(f) + a s I)^-1 cov(E[f | y])),    s = tr(cov(f)) / D

    H is the sum of squared canonical correlations of features and targets. It does not change when features are
    mapped by an invertible linear map, and is `classes - 1` where they separate the classes perfectly. With
    D >= N - 1 nearly any features do so in the sample: compare networks by the shrunk form then.

    Where reimplementations differ: both covariances are divided by N (several released codes divide one by N - 1, so
    that H_a of perfect features is not `(1 - a) (classes - 1)` in the limit); the inverse is over the directions in
    which features vary beyond rounding, so constant and repeated features change nothing.

    Args:
        features: (N, D).
        targets: (N,) classes, or (N,) or (N, n) values, for which E[f | y] is the best linear prediction of f from y.
        shrinkage: a, from 0 (the definition) to below 1, or `ledoit-wolf` for the one that fits the sample.

    Raises:
        ConfigError: another `shrinkage`.
        DataError: shapes or numbers that cannot be worked with.

    Example:
        >>> features = torch.tensor([[0.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
        >>> round(h_score(features, torch.tensor([0, 0, 1])), 9)
        1.0

    Reference: Bao et al. 2019, An information-theoretic approach to transferability in task transfer learning, ICIP,
    definition 2; the shrunk form: Ibrahim et al. 2021, 2110.06893, section 3.
    """
    if shrinkage != "ledoit-wolf" and (isinstance(shrinkage, str) or not 0 <= shrinkage < 1):
        raise ConfigError(f"`shrinkage` must be from 0 to below 1, or 'ledoit-wolf', found {shrinkage!r}.")
    x, y = checked(features, targets)
    offset = x - x.mean(0)
    u, s, _ = torch.linalg.svd(offset, full_matrices=False)
    eps = torch.finfo(features.dtype).eps if features.is_floating_point() else 0.0
    floor = max(x.shape) * max(eps * float(s[0]), torch.finfo(x.dtype).eps * float(x.norm()))
    kept = s > floor
    variances = s[kept].square() / len(x)
    explained = (u[:, kept].T @ _basis(y)).square().sum(1)  # of each direction's variance, from 0 to 1
    a = ledoit_wolf(offset) if shrinkage == "ledoit-wolf" else shrinkage
    spread = variances.sum() / x.shape[1]
    return float(((1 - a) * variances * explained / ((1 - a) * variances + a * spread)).sum())


def ledoit_wolf(offset: Tensor) -> float:
    """The share of shrinkage towards a multiple of the identity with the least expected squared error.

    Args:
        offset: (N, D), centred.

    Reference: Ledoit and Wolf 2004, A well-conditioned estimator for large-dimensional covariance matrices, lemma 3.3.
    """
    n, d = offset.shape
    squares = offset.square().sum(1)
    mean_variance = squares.sum() / n / d
    smaller = offset if n < d else offset.T
    size = (smaller @ smaller.T).square().sum() / n**2  # of the covariance, its squared Frobenius norm
    distance = size / d - mean_variance**2
    error = (squares.square().sum() / n - size) / n / d
    return float((torch.minimum(error, distance) / distance).clamp(0, 1)) if distance > 0 else 0.0


def _basis(y: Tensor) -> Tensor:
    """An orthonormal basis of what functions of classes, or linear functions of values, span over the samples."""
    if are_classes(y):
        members = indicator(y)
        return members / members.sum(0).sqrt()
    u, s, _ = torch.linalg.svd(y - y.mean(0), full_matrices=False)
    return u[:, s > max(y.shape) * torch.finfo(y.dtype).eps * y.norm()]


__all__ = ["h_score", "ledoit_wolf"]
