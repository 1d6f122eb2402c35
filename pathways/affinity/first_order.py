"""First-order lookahead: TAG's effect of a step, from gradients alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .gram import gram
from .moment import Array, Moment, Reading, denominators, gradient_of, numbers, placed, untouched


def first_order(moment: Moment, *, second_order: bool = False, lockstep: bool | None = None) -> Reading:
    """The relative fall of each task's loss by a step on another's, to first order in the learning rate.

    ```
    Z[j, i] = η g_i · g_j / L_j        second order:  - η² / 2 · g_i' H_j g_i / L_j
    ```

    What `lookahead` measures, as η goes to 0, from one forward and T backward passes and the Gram matrix of the
    gradients; with the second-order term, exact for losses that are quadratic in the shared parameters. Momentum and
    weight decay would add a constant to each row and are left out.

    Args:
        moment: what to measure.
        second_order: whether curvature counts. It takes T² products with a Hessian, more than `lookahead` itself, and
            keeps all gradients: for studies of small networks.
        lockstep: how the Gram matrix is made, see `gram`; without the second-order term.

    Returns:
        (T, T), rows affected, columns sources, no unit. NaN in the row and column of a task without labels, and in the
        row of a task whose loss is 0.

    Raises:
        ConfigError: lockstep is asked for and not possible.
        DataError: a loss that is negative or not finite; it names the task.

    Example:
        >>> w = torch.tensor([1.0, 1.0], requires_grad=True)
        >>> losses = {"a": lambda: 0.5 * w[0] ** 2, "b": lambda: 0.5 * (w[0] + w[1]) ** 2}
        >>> first_order(Moment(("a", "b"), losses, {"w": w}, rate=0.5))
        array([[1. , 2. ],
               [0.5, 2. ]])
        >>> first_order(Moment(("a", "b"), losses, {"w": w}, rate=0.5), second_order=True)
        array([[0.75  , 1.    ],
               [0.4375, 1.    ]])

    Reference: the expansion of Fifty et al. 2021 (2109.04617), section 3.1.
    """
    with untouched(moment, weights=False):
        losses, change = _curved(moment) if second_order else _straight(moment, lockstep)
    scale = np.array(list(denominators(losses).values()))
    return placed(moment, list(losses), change / scale[:, None])


def _straight(moment: Moment, lockstep: bool | None) -> tuple[dict[str, float], Array]:
    losses, products = gram(moment, lockstep=lockstep)
    return losses, moment.rate * products


def _curved(moment: Moment) -> tuple[dict[str, float], Array]:
    """η g_i · g_j - η²/2 g_i' H_j g_i, by row j."""
    with torch.enable_grad():
        losses = moment.evaluate()
        slopes = {task: gradient_of(loss, moment, create_graph=True) for task, loss in losses.items()}
        steps = [tuple(moment.rate * g.detach() for g in slopes[task]) for task in losses]
        change = np.empty((len(losses), len(losses)))
        for row, task in enumerate(losses):
            for column, step in enumerate(steps):
                along = _inner(slopes[task], step)
                curvature = _inner(gradient_of(along, moment), step)
                change[row, column] = float(along.detach()) - float(curvature) / 2
    return numbers(losses), change


def _inner(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(one, other, strict=True)]).sum()


__all__ = ["first_order"]
