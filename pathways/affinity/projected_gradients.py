"""First-order affinity from randomly projected gradients: a few numbers a task in place of a gradient."""

from __future__ import annotations

import numpy as np
import torch

from .moment import Moment, Reading, denominators, each_gradient, numbers, placed, untouched
from .projection import Projection


def projected_gradients(
    moment: Moment, *, dims: int = 512, dense: bool = False, generator: torch.Generator | None = None
) -> Reading:
    """`first_order` with each gradient projected to a few random dimensions as soon as it is made.

    ```
    Z[j, i] = η p_i · p_j / L_j,        p_i = P' g_i in R^dims,        E[p_i · p_j] = g_i · g_j
    ```

    Right on average over P; one measurement errs by about `η |g_i| |g_j| / (L_j sqrt(dims))`, so the order of pairs
    that hardly affect each other is lost first. Needs the memory of one gradient and of P's places, not of T gradients.

    Args:
        moment: what to measure.
        dims: how many numbers stand for a gradient.
        dense: whether P has entries ±1/sqrt(dims) everywhere, see `Projection`; slow for large networks.
        generator: what draws a new P for each measurement, so that errors average out over a run. When `None`, P is
            the same at every call.

    Returns:
        (T, T), rows affected, columns sources, no unit. NaN as for `first_order`.

    Raises:
        ConfigError: `dims` is less than 1.
        DataError: a loss that is negative or not finite; it names the task.

    Example:
        >>> w = torch.tensor([1.0, 0.0], requires_grad=True)
        >>> moment = Moment(("a", "b"), lambda: {"a": w[0] * 4, "b": w[0] * 2}, {"w": w}, rate=0.5)
        >>> projected_gradients(moment, dims=8)
        array([[2., 1.],
               [2., 1.]])

    Reference: the projections of Li et al. 2024 (Grad-TAG, 2409.06091), in TAG's first-order formula (2109.04617).
    """
    seed = 0 if generator is None else int(torch.randint(2**62, (), generator=generator, device=generator.device))
    projection = Projection(dims, seed, dense)
    losses, rows = {}, []
    with untouched(moment, weights=False):
        for task, loss, gradient in each_gradient(moment):
            losses[task] = loss
            named = zip(moment.shared, gradient, strict=True)
            rows.append(projection({name: part[None] for name, part in named})[0])
            del gradient
    values = numbers(losses)
    scale = np.array(list(denominators(values).values()))
    few = torch.stack(rows).double().cpu().numpy() if rows else np.zeros((0, dims))
    return placed(moment, list(values), moment.rate * (few @ few.T) / scale[:, None])


__all__ = ["projected_gradients"]
