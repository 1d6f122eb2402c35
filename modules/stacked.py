"""Many modules of one spec as one: their weights with two leading axes, and the affine map that they share.

A stack holds K candidates with S modules each; the S modules of a candidate read the same values. Values carry a
leading axis over candidates, of size 1 where all read the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Products of fewer rows are split otherwise along the axis that is summed (seen at 10 rows and d of 256 or more).
_ROWS = 32
_ROWS_PAY = 32  # a third of the side of the smallest product in few bits that pays (AMX; 64 x 64 x 128 is even)
_BLOCK = 512  # rows of a product of few bits: twice as fast as one product a candidate of 64 rows

# What a fused step multiplies a gradient with: one number, or (K, S, 1, 1).
Rate = float | Tensor


class Stack(Mapping[str, Tensor]):
    """The parameters and buffers of K times S modules, by name, each (K, S, ...).

    Args:
        tensors: by name as in the module's `state_dict`.
        rates: parameters that `affine` trains itself, each with the rate of its step of plain gradient descent: their
            gradients are never made. Everything else gets gradients as usual.
        low: what `affine` casts the operands of its larger products to where gradients are recorded, such as
            `torch.bfloat16`; weights, sums and values between products stay as they are.

    Example:
        >>> stack = Stack({"linear.weight": torch.ones(4, 2, 3, 5)})
        >>> stack.candidates, stack.slots
        (4, 2)
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], rates: Mapping[str, Rate] | None = None, low: torch.dtype | None = None
    ) -> None:
        self.tensors, self.low = dict(tensors), low
        self.rates = dict(rates or {})
        first = next(iter(self.tensors.values()), None)
        self.candidates, self.slots = (0, 1) if first is None else (first.shape[0], first.shape[1])

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def each(self) -> Stack:
        """The same weights as a stack of K * S candidates with one module each: for values that differ by module."""
        rates = {name: r if isinstance(r, float) else r.flatten(0, 1)[:, None] for name, r in self.rates.items()}
        return Stack({name: t.flatten(0, 1)[:, None] for name, t in self.tensors.items()}, rates, self.low)


def affine(stack: Stack, layer: str, x: Tensor, activation: str = "none") -> Tensor:
    """`activation(x W + b)` of each module's layer, as one matrix product.

    Args:
        stack: holds `layer.weight` (K, S, o, d), and `layer.bias` (K, S, o) where there is one.
        layer: the layer's name.
        x: (K, B, ..., d), or (1, B, ..., d) where all candidates read the same.
        activation: `none` or `relu`.

    Returns:
        (K, S, B, ..., o), a view of memory in which B is the innermost axis.

    Example:
        >>> stack = Stack({"linear.weight": torch.ones(4, 2, 3, 5)})
        >>> affine(stack, "linear", torch.ones(1, 7, 5)).shape
        torch.Size([4, 2, 7, 3])
    """
    weight, bias = stack[f"{layer}.weight"], stack.tensors.get(f"{layer}.bias")
    rate = stack.rates.get(f"{layer}.weight")
    if rate is not None:
        weight, bias = weight.detach(), None if bias is None else bias.detach()
    flat = x.flatten(1, -2)
    low = stack.low if torch.is_grad_enabled() and _pays(flat.shape[1], weight) else None
    y = _Affine.apply(flat, weight, bias, activation == "relu", rate, _tick(x), low)
    return y.unflatten(2, x.shape[1:-1])


def _tick(x: Tensor) -> Tensor:
    """A tensor that asks for gradients, so that backward runs where neither weights nor values do."""
    return torch.empty(0, device=x.device, requires_grad=True)


class _Affine(torch.autograd.Function):
    """The product, with features before samples in memory: no operand and no result is ever copied.

    With a rate, `backward` takes the step `W -= rate * gradient` in place as one product: plain gradient descent
    without the gradient, which spares two of the three passes over memory that bound small stacks.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, relu: bool, rate: Rate | None, tick: Tensor,
        low: torch.dtype | None,
    ) -> Tensor:
        k, s, o, d = weight.shape
        if low is not None:
            x = x.to(low)
            y = _low_product(weight.to(low), x)
            y = y if bias is None else y.add_(bias.reshape(k, s * o, 1))
        elif x.shape[0] == 1:
            w, v = weight.reshape(k * s * o, d), x[0].t()
            y = _tall(w, v) if bias is None else _tall(w, v, bias.reshape(-1, 1))
        else:
            w, v = weight.reshape(k, s * o, d), x.transpose(1, 2)
            y = torch.bmm(w, v) if bias is None else torch.baddbmm(bias.reshape(k, s * o, 1), w, v)
        y = y.reshape(k, s, o, -1)
        if relu:
            y.relu_()
        ctx.save_for_backward(x, weight, *([y] if relu else []))
        ctx.bias, ctx.rate, ctx.low = bias, rate, low
        return y.transpose(2, 3)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight, *output = ctx.saved_tensors
        k, s, o, d = weight.shape
        g = grad.transpose(2, 3)
        if output:
            g = torch.ops.aten.threshold_backward(g, output[0], 0)
        down = None
        if ctx.needs_input_grad[0]:
            w, h = (weight, g) if ctx.low is None else (weight.to(ctx.low), g.to(ctx.low))
            down = torch.bmm(w.reshape(k, s * o, d).transpose(1, 2), h.reshape(k, s * o, -1)).transpose(1, 2)
            down = down.to(weight.dtype)
            down = down.sum(0, keepdim=True) if x.shape[0] == 1 else down
        if ctx.rate is None:
            return down, _outer(g, x, weight), None if ctx.bias is None else g.sum(3), None, None, None, None
        _descend(g, x, weight, ctx.bias, ctx.rate)
        return down, None, None, None, None, None, None


def _tall(w: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product `w v [+ bias]`, with as many rows as make each row's bits independent of how many there are."""
    rows = len(w)
    if rows < _ROWS:
        times = -(-_ROWS // rows)
        w, bias = w.repeat(times, 1), None if bias is None else bias.repeat(times, 1)
    y = torch.mm(w, v) if bias is None else torch.addmm(bias, w, v)
    return y[:rows]


def _outer(g: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the weights."""
    k, s, o = weight.shape[:3]
    if x.dtype != weight.dtype:
        return _low_outer(g.reshape(k, s * o, -1).to(x.dtype), x).view_as(weight)
    if x.shape[0] == 1:
        return torch.mm(g.reshape(k * s * o, -1), x[0]).view_as(weight)
    return torch.bmm(g.reshape(k, s * o, -1), x).view_as(weight)


def _pays(rows: int, weight: Tensor) -> bool:
    """Whether a product in few bits spares more time than casting takes: by one candidate's part of it."""
    _, s, o, d = weight.shape
    return 1 / rows + 1 / (s * o) + 1 / d < 1 / _ROWS_PAY


def _low_product(w: Tensor, x: Tensor) -> Tensor:
    """(K, S, o, d) by (K or 1, B, d) in few bits, as float32 (K, S * o, B)."""
    k, s, o, d = w.shape
    if x.shape[0] > 1:
        return torch.bmm(w.reshape(k, s * o, d), x.transpose(1, 2)).float()
    return _in_blocks(w.reshape(k * s * o, d), x[0].t(), s * o).float().view(k, s * o, -1)


def _low_outer(g: Tensor, x: Tensor) -> Tensor:
    """(K, S * o, B) by (K or 1, B, d) in few bits, as float32 (K, S * o, d)."""
    if x.shape[0] > 1:
        return torch.bmm(g, x).float()
    return _in_blocks(g.flatten(0, 1), x[0], g.shape[1]).float().view(*g.shape[:2], -1)


def _in_blocks(left: Tensor, right: Tensor, own: int) -> Tensor:
    """A product in blocks of one number of rows, whole candidates of `own` rows each.

    How products of few bits are split along the axis that is summed depends on their number of rows, also where there
    are many; so all have the same, whoever is in the stack.
    """
    rows, block = len(left), own * max(1, _BLOCK // own)
    if rows % block:
        left = F.pad(left, (0, 0, 0, block - rows % block))
    blocks = [torch.mm(part, right) for part in left.split(block)]
    return blocks[0][:rows] if len(blocks) == 1 else torch.cat(blocks)[:rows]


def _descend(g: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, rate: Rate) -> None:
    """One step of gradient descent on weights and bias, in place."""
    k, s, o, d = weight.shape
    alpha = -1.0
    if isinstance(rate, float):
        alpha = -rate
    else:
        g = g * rate
    if x.dtype != weight.dtype:
        weight.add_(_outer(g, x, weight), alpha=alpha)
    elif x.shape[0] == 1:
        weight.view(k * s * o, d).addmm_(g.reshape(k * s * o, -1), x[0], alpha=alpha)
    else:
        weight.view(k, s * o, d).baddbmm_(g.reshape(k, s * o, -1), x, alpha=alpha)
    if bias is not None:
        bias.add_(g.sum(3), alpha=alpha)


def layer_norm(stack: Stack, layer: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    """Layer norm over the last axis of (K or 1, B, ..., d), each module with its own gain and shift.

    Returns:
        (K, S, B, ..., d).
    """
    normed = F.layer_norm(x, x.shape[-1:], eps=eps)[:, None]
    ones = (1,) * (x.ndim - 2)
    gain, shift = (stack[f"{layer}.{name}"].unflatten(2, (*ones, -1)) for name in ("weight", "bias"))
    return normed * gain + shift


__all__ = ["Rate", "Stack", "affine", "layer_norm"]
