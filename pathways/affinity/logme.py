"""LogME: the evidence that a linear model on frozen features gives to the targets."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pathways.errors import DataError

from .frozen_features import are_classes, checked, indicator
from .readout import Scaling

_POINTS = 65
_ROUNDS = 8
_RANGE = 30.0  # powers of e around the mean squared singular value; beyond it the evidence is flat to rounding
_PERFECT = 1e-12  # a share of the targets' squares


def logme(features: Tensor, targets: Tensor, *, standardised: bool = False) -> float:
    """The largest evidence of a linear model with Gaussian weights and noise, per sample; higher is better.

        LogME = mean over columns y of  max over a, b of  log p(y | F, a, b) / N
        p(y | F, a, b) = Normal(y; 0, I / b + F F' / a)

    Each class is a column of ones and zeros, each value a column as it is. With t = a / b the best b is N / Q(t),
    Q(t) = y' (I + F F' / t)^-1 y, so

        log p = N/2 (log(N / Q(t)) - log 2 pi - 1) - 1/2 sum_k log(1 + s_k^2 / t)

    with the singular values s of F. The paper finds a point where t repeats itself by a fixed-point iteration; here the
    same function of one number is searched over its whole range in ever finer grids, all columns at once, which cannot
    stop early or at a lesser maximum.

    Where reimplementations differ: the authors' released fixed-point code counts D terms `log a` but only min(N, D)
    of the determinant, which is wrong by `(D - N) / 2 log a` where D > N; it also adds 1e-5 to two denominators, so
    that its result depends on the features' scale, and stops after 11 rounds. This is the evidence itself, for any D.

    Args:
        features: (N, D). They are not centred: the model has no intercept, as in the paper.
        targets: (N,) classes, one against the rest, or (N,) or (N, n) values.
        standardised: take each feature less its mean and divided by its standard deviation, which the paper does not.

    Raises:
        DataError: shapes or numbers that cannot be worked with, or values that are all zero.

    With fewer directions than samples a perfect fit has no largest evidence: there the residual counts as at least
    1e-12 of the targets' squares.

    Example:
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> labels = (x[:, 0] > 0).long()
        >>> logme(torch.cat([x.sign(), x * 0 + 1], 1), labels) > logme(torch.cat([x * 0 + 1, x.abs()], 1), labels)
        True

    Reference: You et al. 2021, LogME, 2102.11005, sections 4.2 and 4.3; the fixed point in one number: You et al.
    2022, 2110.10545, algorithm 3.
    """
    x, y = checked(features, targets)
    x = Scaling.of(x)(x) if standardised else x
    columns = indicator(y) if are_classes(y) else y
    total = columns.square().sum(0)
    if not bool((total > 0).all()):
        raise DataError("`targets` must not be zero for all samples: leave that value out.")
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    kept = s > max(x.shape) * torch.finfo(x.dtype).eps * s[0]
    power = s[kept].square()
    along = (u[:, kept].T @ columns).square()  # (k, columns): what of the targets lies along each direction
    # Where features span all samples nothing is left over, and the evidence of a perfect fit has a limit.
    rest = torch.maximum(total - along.sum(0), _PERFECT * total) if len(power) < len(x) else torch.zeros_like(total)
    return float(_largest(power, along, rest, len(x)).mean()) / len(x)


def _largest(power: Tensor, along: Tensor, rest: Tensor, n: int) -> Tensor:
    """The largest log evidence of each column, (columns,)."""
    middle = math.log(float(power.mean())) if len(power) else 0.0
    centre = torch.full_like(rest, middle)
    width, best = _RANGE, torch.full_like(rest, -math.inf)
    for _ in range(_ROUNDS):
        logs = centre + width * torch.linspace(-1, 1, _POINTS, dtype=rest.dtype)[:, None]  # (points, columns)
        found, where = _evidence(logs.exp(), power, along, rest, n).max(0)
        best = torch.maximum(best, found)
        centre = logs.gather(0, where[None])[0]
        width *= 4.0 / _POINTS
    return best


def _evidence(t: Tensor, power: Tensor, along: Tensor, rest: Tensor, n: int) -> Tensor:
    """The log evidence at t = a / b, (points, columns), where b is the best one."""
    t = t[:, None]  # (points, 1, columns) beside (k, columns)
    q = (along * t / (t + power[:, None])).sum(1) + rest
    determinant = torch.log1p(power[:, None] / t).sum(1)
    return 0.5 * (n * (math.log(n) - q.log() - math.log(2 * math.pi) - 1) - determinant)


__all__ = ["logme"]
