"""Gradient cosine: the angle between tasks' gradients over what they share."""

from __future__ import annotations

import numpy as np

from .gram import gram
from .moment import Moment, Reading, placed, untouched


def gradient_cosine(moment: Moment, *, matrices_only: bool = False, lockstep: bool | None = None) -> Reading:
    """The cosine of the angle between two tasks' gradients over the shared parameters, taken as one vector.

    ```
    Z[j, i] = g_i · g_j / (|g_i| |g_j|)
    ```

    Symmetric, from -1 to 1, the same whatever a task's loss is multiplied by: it says whether two tasks pull the same
    way, not how much a step of one changes the other. Its mean over a run is the baseline that TAG is compared with.

    Args:
        moment: what to measure.
        matrices_only: whether only parameters of more than one axis count, as in the released code; then biases and
            scales of normalisation do not.
        lockstep: how the Gram matrix is made, see `gram`.

    Returns:
        (T, T), no unit. NaN in the row and column of a task without labels or with a gradient of zero.

    Raises:
        ConfigError: lockstep is asked for and not possible.
        DataError: a loss that is not finite; it names the task.

    Example:
        >>> import torch
        >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
        >>> moment = Moment(("a", "b"), lambda: {"a": w[0] * 5, "b": w.sum()}, {"w": w}, rate=0.5)
        >>> gradient_cosine(moment).round(3)
        array([[1.   , 0.707],
               [0.707, 1.   ]])

    Reference: Fifty et al. 2021 (2109.04617), section 5, after Du et al. 2018 (1812.02224).
    """
    with untouched(moment, weights=False):
        losses, products = gram(
            moment, wanted=lambda _, parameter: not matrices_only or parameter.ndim > 1, lockstep=lockstep
        )
    lengths = np.sqrt(np.diag(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        return placed(moment, list(losses), products / np.outer(lengths, lengths))


__all__ = ["gradient_cosine"]
