"""TransRate: how many more bits frozen features take than the features within each class."""

from __future__ import annotations

import torch
from torch import Tensor

from pathways.errors import ConfigError

from .frozen_features import checked, require_classes


def trans_rate(
    features: Tensor, targets: Tensor, *, eps: float = 1e-4, normalised: bool = False, centred: bool = False
) -> float:
    """The mutual information of features and classes by coding rates, in nats; higher is better.

        TrR = R(Z) - sum_c n_c / N R(Z_c),    R(Z) = 1/2 log det(I + Z' Z / (n eps))

    with Z the features less their mean, and Z_c the rows of class c in it.

    Where reimplementations differ: the listing in the paper's appendix divides the sum over classes by their number,
    which is its equation only where classes are equally large; this is the equation. Some codes scale features first.

    Two limits of the paper's form, each with an option that removes it. A network of larger features takes more bits:
    choose `normalised` to compare networks whose features are of different scales. And Z_c keeps its distance from the
    common mean: two equally large classes of equal spread get 0 however far apart they are. Choose `centred` for few
    classes.

    Args:
        features: (N, D).
        targets: (N,) classes.
        eps: the distortion that is allowed, in squared units of the features.
        normalised: scale the centred features to a mean squared length of 1 first.
        centred: take each class's own mean from its rows.

    Raises:
        ConfigError: `eps` is not above 0.
        DataError: shapes or numbers that cannot be worked with, or values for targets.

    Example:
        >>> features, labels = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]]), torch.tensor([0, 0, 1, 1])
        >>> trans_rate(features, labels), round(trans_rate(features, labels, centred=True), 4)
        (0.0, 4.6052)

    Reference: Huang et al. 2022, Frustratingly easy transferability estimation, 2106.09362, section 3.
    """
    if not eps > 0:
        raise ConfigError(f"`eps` must be above 0, found {eps!r}.")
    x, y = checked(features, targets)
    require_classes(y, "TransRate")
    z = x - x.mean(0)
    size = z.square().sum() / len(z)
    if normalised and size > 0:
        z = z / size.sqrt()
    parts = [z[y == c] for c in y.unique()]
    return _rate(z, eps) - sum(len(rows) / len(z) * _rate(rows - rows.mean(0) * centred, eps) for rows in parts)


def _rate(z: Tensor, eps: float) -> float:
    """The coding rate of the rows."""
    return 0.5 * float(torch.log1p(torch.linalg.svdvals(z).square() / (len(z) * eps)).sum())


__all__ = ["trans_rate"]
