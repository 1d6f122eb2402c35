"""Inner products of all tasks' gradients, layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from pathways.errors import ConfigError

from .moment import Array, Moment, each_gradient, numbers

Wanted = Callable[[str, Tensor], bool]


def gram(
    moment: Moment, *, wanted: Wanted = lambda name, parameter: True, lockstep: bool | None = None
) -> tuple[dict[str, float], Array]:
    """The losses of tasks that have labels now, and `K[i, j] = g_i · g_j` over shared parameters, in their order.

    Two ways, equal to rounding. In lockstep all backward passes go through the network side by side, and each layer's
    gradients (T, n) are multiplied and dropped before the next layer's are made: the memory of one layer's, and of
    activations' gradients of all tasks. That needs one graph: `moment.losses` is one function. One after another, all
    gradients are kept, T x P numbers; then operations that cannot be batched do no harm, and convolutions on a CPU are
    twice as fast.

    Args:
        moment: what to measure; the caller keeps it `untouched`.
        wanted: whether a parameter, by name, takes part.
        lockstep: which way; when `None`, lockstep where there is one graph and all parameters are vectors and matrices.

    Raises:
        ConfigError: lockstep is asked for and not possible.
        DataError: a loss that is not finite.

    Example:
        >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> gram(Moment(("a", "b"), lambda: {"a": w.square().sum(), "b": w[1] * 3}, {"w": w}, 0.1))
        ({'a': 5.0, 'b': 6.0}, array([[20., 12.],
               [12.,  9.]]))
    """
    parameters = {name: p for name, p in moment.trained.items() if wanted(name, p)}
    one_graph = not isinstance(moment.losses, Mapping)
    if lockstep is None:
        lockstep = one_graph and all(p.ndim <= 2 for p in parameters.values())
    if lockstep and not one_graph:
        raise ConfigError("`lockstep` needs `moment.losses` to be one function that gives all losses, found several.")
    return _side_by_side(moment, parameters) if lockstep else _one_by_one(moment, set(parameters))


def _one_by_one(moment: Moment, names: set[str]) -> tuple[dict[str, float], Array]:
    losses, rows = {}, []
    for task, loss, gradient in each_gradient(moment):
        losses[task] = loss
        rows.append([g.flatten() for name, g in zip(moment.shared, gradient, strict=True) if name in names])
        del gradient
    total = np.zeros((len(rows), len(rows)))
    for layer in zip(*rows, strict=True):
        total += _products(torch.stack(layer))
    return numbers(losses), total


def _side_by_side(moment: Moment, parameters: dict[str, Tensor]) -> tuple[dict[str, float], Array]:
    with torch.enable_grad():
        losses = moment.evaluate()
    values = numbers(losses)
    total = np.zeros((len(losses), len(losses)))
    parts = [loss.reshape(()).to(torch.result_type(loss, 1.0)) for loss in losses.values()]
    if not parameters or not any(part.requires_grad for part in parts):
        return values, total

    def add(rows: Tensor) -> None:
        np.add(total, _products(rows), out=total)

    stacked = torch.stack(parts)
    each = torch.eye(len(losses), dtype=stacked.dtype, device=stacked.device)
    hooks = [p.register_hook(lambda gradient: _Drop.apply(gradient, len(losses), add)) for p in parameters.values()]
    try:
        vmap(lambda weights: torch.autograd.grad(
            stacked, list(parameters.values()), weights, retain_graph=True, materialize_grads=True
        ))(each)
    except RuntimeError as error:
        if "vmap" not in str(error):
            raise
        raise ConfigError(f"`lockstep` must be False for a network with operations that cannot be batched: {error}"
                          ) from error  # fmt: skip
    finally:
        for hook in hooks:
            hook.remove()
    return values, total


class _Drop(torch.autograd.Function):
    """Shows a layer's gradients, one a task, to a function, and passes on zeros that take no memory."""

    @staticmethod
    def forward(gradient: Tensor, tasks: int, add: Callable[[Tensor], None]) -> Tensor:
        add(gradient.expand(tasks, *gradient.shape).flatten(1))  # the same for all tasks
        return gradient.new_zeros(()).expand(gradient.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Nothing is kept: nobody differentiates this."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int, None, None], gradient: Tensor, tasks: int, add: Callable[[Tensor], None]
    ) -> tuple[Tensor, int]:
        """All tasks' gradients at once."""
        rows = gradient.movedim(in_dims[0], 0)
        add(rows.flatten(1))
        return rows.new_zeros(()).expand(rows.shape), 0


def _products(rows: Tensor) -> Array:
    """(T, n) to (T, T), symmetric to the bit."""
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    products = (rows @ rows.T).to("cpu", torch.float64).numpy()
    return (products + products.T) / 2


__all__ = ["gram"]
