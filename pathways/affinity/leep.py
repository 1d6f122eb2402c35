"""LEEP: how well a source classifier's probabilities tell the target's classes."""

from __future__ import annotations

import torch
from torch import Tensor

from pathways.errors import DataError

from .frozen_features import checked, indicator, require_classes

_SUM = 1e-4


def leep(probabilities: Tensor, targets: Tensor) -> float:
    """The mean log-likelihood of the target's classes by a classifier made of a source's probabilities, at most 0.

        P(y, z) = mean over samples of [y_n = y] p_nz,    P(y | z) = P(y, z) / sum_y P(y, z)
        LEEP = mean over n of log sum_z P(y_n | z) p_nz

    It is 0 where each source class that is ever given belongs to one target class and is given without doubt, and
    at least minus the entropy of the target's classes.

    Args:
        probabilities: (N, Z): what the source's softmax gives for the target's samples; rows sum to 1.
        targets: (N,) classes of the target.

    Raises:
        DataError: rows that are no probabilities, shapes that do not fit, values for targets.

    The numbers of LEEP in the LogME paper come from code that its authors call wrong; this is LEEP's own equation.

    Example:
        >>> leep(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), torch.tensor([0, 1, 1]))
        0.0

    Reference: Nguyen et al. 2020, LEEP, 2002.12462, section 3, equations 1 and 2.
    """
    p, y = checked(probabilities, targets)
    require_classes(y, "LEEP")
    if bool((p < 0).any()) or bool(((p.sum(1) - 1).abs() > _SUM).any()):
        raise DataError(
            f"`probabilities` must be at least 0 and sum to 1 in each row, found sums from {float(p.sum(1).min()):.3g} "
            f"to {float(p.sum(1).max()):.3g}: pass scores through a softmax first."
        )
    joint = indicator(y).T @ p / len(p)
    given = joint / joint.sum(0).clamp_min(torch.finfo(p.dtype).tiny)  # a class that is never given adds nothing
    return float((given[y] * p).sum(1).log().mean())


__all__ = ["leep"]
