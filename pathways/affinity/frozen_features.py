"""What estimators without training read: features of a frozen network and the targets of the same samples."""

from __future__ import annotations

import torch
from torch import Tensor

from pathways.errors import DataError


def checked(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Features and targets as estimators compute with them.

    Args:
        features: (N, D), finite.
        targets: (N,) classes where integer; (N,) or (N, n) values where floating.

    Returns:
        Features, float64 (N, D), and either classes, int64 (N,) numbered from 0 in the order of their labels without
        gaps, or values, float64 (N, n).

    Raises:
        DataError: shapes that do not fit each other, no samples, numbers that are not finite.

    Example:
        >>> checked(torch.zeros(2, 3), torch.tensor([7, 5]))[1]
        tensor([1, 0])
    """
    if features.ndim != 2 or 0 in features.shape:
        raise DataError(
            f"`features` must have the shape (samples, dimensions), at least 1 of each, found {tuple(features.shape)}: "
            f"pool or flatten what a sample has more of."
        )
    if len(targets) != len(features) or targets.ndim > (2 if targets.is_floating_point() else 1):
        raise DataError(
            f"`targets` must be ({len(features)},) classes or ({len(features)}, n) values, one for each sample of "
            f"`features`, found {tuple(targets.shape)} of {targets.dtype}."
        )
    for name, tensor in (("features", features), ("targets", targets)):
        if not bool(tensor.isfinite().all()):
            raise DataError(f"`{name}` must be finite, found NaN or infinite numbers: leave such a network out.")
    x = features.detach().double().cpu()
    if targets.is_floating_point():
        return x, targets.detach().double().cpu().reshape(len(x), -1)
    return x, targets.detach().cpu().unique(return_inverse=True)[1]


def are_classes(targets: Tensor) -> bool:
    """Whether targets that `checked` gave are classes."""
    return not targets.is_floating_point()


def indicator(classes: Tensor) -> Tensor:
    """(N, C): 1 where a sample is of the class, float64, for classes that `checked` gave."""
    return torch.nn.functional.one_hot(classes).double()


def require_classes(targets: Tensor, what: str) -> None:
    """Raise a `DataError` where targets are values and `what` is defined for classes only."""
    if not are_classes(targets):
        raise DataError(
            f"{what} is defined for classes, found values: use `logme` or `h_score`, or cut the values into classes."
        )


__all__ = ["are_classes", "checked", "indicator", "require_classes"]
