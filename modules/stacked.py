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

# Up to so many samples that all candidates read, a product for each candidate is faster than one for all: its tiles
# stay in the processor's cache (0.73 against 0.97 ms for 64 candidates of 60 x 784 weights and 16 samples).
_FEW = 32

# What a layer multiplies a gradient with when it descends: (K, S, 1, 1), or 1.0 for all. (No other number: whether
# all modules have one rate depends on who is in the stack, and to scale a product is not to scale what goes into it.)
Rate = float | Tensor


class Stack(Mapping[str, Tensor]):
    """The parameters and buffers of K times S modules, by name, each (K, S, ...).

    Args:
        tensors: by name as in the module's `state_dict`.
        rate: where it is given, `affine` trains its layers itself, by plain gradient descent of that rate in the
            backward pass: their gradients are never made, which spares two of the three passes over memory that bound
            small stacks. Everything else gets gradients as usual.
        low: what the operands of larger products are cast to in training, such as `torch.bfloat16`; weights, sums and
            values between products stay as they are.

    Example:
        >>> stack = Stack({"linear.weight": torch.ones(4, 2, 3, 5)})
        >>> stack.candidates, stack.slots
        (4, 2)
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], rate: Rate | None = None, low: torch.dtype | None = None
    ) -> None:
        self.tensors = dict(tensors)
        self.rate, self.low = rate, low
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
        tensors = {name: t.flatten(0, 1)[:, None] for name, t in self.tensors.items()}
        rate = self.rate.flatten(0, 1)[:, None] if isinstance(self.rate, Tensor) else self.rate
        return Stack(tensors, rate, self.low)


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
    if stack.rate is not None:
        # Autograd must reach the product all the same, where neither weights nor values ask for gradients.
        tick = torch.empty(0, device=x.device, requires_grad=True)
        weight, bias = weight.detach(), None if bias is None else bias.detach()
    else:
        tick = None
    train = torch.is_grad_enabled()
    y = _Affine.apply(x.flatten(1, -2), weight, bias, tick, stack, layer, activation == "relu", train)
    return y.unflatten(2, x.shape[1:-1])


class _Affine(torch.autograd.Function):
    """`product` and `pull_back` for autograd."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, tick: Tensor | None, stack: Stack, layer: str,
        relu: bool, train: bool,
    ) -> Tensor:
        x = in_few_bits(stack, layer, x) if train else x
        y = product(stack, layer, x, relu)
        ctx.save_for_backward(x, weight, *([y] if relu else []))
        ctx.stack, ctx.layer, ctx.biased = stack, layer, bias is not None
        return y.transpose(2, 3)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, _, *output = ctx.saved_tensors
        g = grad.transpose(2, 3)
        if output:
            g = torch.ops.aten.threshold_backward(g, output[0], 0)
        down = pull_back(ctx.stack, ctx.layer, x, g) if ctx.needs_input_grad[0] else None
        if ctx.stack.rate is None:
            return down, _outer(g, x), g.sum(3) if ctx.biased else None, None, None, None, None, None
        take_step(ctx.stack, ctx.layer, x, g)
        return down, None, None, None, None, None, None, None


def product(stack: Stack, layer: str, x: Tensor, relu: bool) -> Tensor:
    """`x W + b`, with `relu` cut off below zero, with features before samples in memory: nothing is ever copied.

    Args:
        stack: as in `affine`.
        layer: as in `affine`.
        x: (K or 1, B, d), float32; or in few bits, and so is the product.
        relu: whether to.

    Returns:
        (K, S, o, B), float32.
    """
    weight, bias = stack[f"{layer}.weight"], stack.tensors.get(f"{layer}.bias")
    k, s, o, d = weight.shape
    if x.dtype != weight.dtype:
        y = _low_product(weight.to(x.dtype), x)
        y = y if bias is None else y.add_(bias.reshape(k, s * o, 1))
    elif x.shape[0] == 1 and x.shape[1] > _FEW:
        w, v = weight.reshape(k * s * o, d), x[0].t()
        y = _tall(w, v) if bias is None else _tall(w, v, bias.reshape(-1, 1))
    else:
        w, v = weight.reshape(k, s * o, d), x.transpose(1, 2)
        v = v.contiguous().expand(k, -1, -1) if x.shape[0] == 1 else v
        y = torch.bmm(w, v) if bias is None else torch.baddbmm(bias.reshape(k, s * o, 1), w, v)
    y = y.reshape(k, s, o, -1)
    return y.relu_() if relu else y


def pull_back(stack: Stack, layer: str, x: Tensor, g: Tensor) -> Tensor:
    """The gradient of what a layer reads, (K or 1, B, d) as `x`, from that of what its product gives, (K, S, o, B)."""
    weight = stack[f"{layer}.weight"]
    k, s, o, d = weight.shape
    w, h = weight.to(x.dtype).reshape(k, s * o, d), g.to(x.dtype).reshape(k, s * o, -1)
    down = torch.bmm(w.transpose(1, 2), h).transpose(1, 2).to(weight.dtype)
    return down.sum(0, keepdim=True) if x.shape[0] == 1 else down


def take_step(stack: Stack, layer: str, x: Tensor, g: Tensor) -> None:
    """Train a layer, after `pull_back`: by a step of the stack's rate, or else by setting its parameters' gradients."""
    weight, bias = stack[f"{layer}.weight"], stack.tensors.get(f"{layer}.bias")
    if stack.rate is None:
        weight.grad = _outer(g, x)
        if bias is not None:
            bias.grad = g.sum(3)
        return
    k, s, o, d = weight.shape
    g = g if isinstance(stack.rate, float) else g * stack.rate
    if x.dtype != weight.dtype:
        weight.sub_(_outer(g, x))
    else:
        weight.view(k, s * o, d).baddbmm_(g.reshape(k, s * o, -1), x.expand(k, -1, -1), alpha=-1.0)
    if bias is not None:
        bias.sub_(g.sum(3))


def _tall(w: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product `w v [+ bias]`, with as many rows as make each row's bits independent of how many there are."""
    rows = len(w)
    if rows < _ROWS:
        times = -(-_ROWS // rows)
        w, bias = w.repeat(times, 1), None if bias is None else bias.repeat(times, 1)
    y = torch.mm(w, v) if bias is None else torch.addmm(bias, w, v)
    return y[:rows]


def _outer(g: Tensor, x: Tensor) -> Tensor:
    """The gradient of the weights, (K, S, o, d)."""
    k, s, o = g.shape[:3]
    if x.dtype != g.dtype:
        return _low_outer(g.reshape(k, s * o, -1).to(x.dtype), x).view(k, s, o, -1)
    return torch.bmm(g.reshape(k, s * o, -1), x.expand(k, -1, -1)).view(k, s, o, -1)


def in_few_bits(stack: Stack, layer: str, x: Tensor) -> Tensor:
    """What a layer reads in training, cast where the stack asks for it and that spares more time than it takes.

    Whether it does is told by one candidate's part of the product.
    """
    _, s, o, d = stack[f"{layer}.weight"].shape
    pays = 1 / x.shape[1] + 1 / (s * o) + 1 / d < 1 / _ROWS_PAY
    return x if stack.low is None or not pays else x.to(stack.low)


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


def layer_norm(stack: Stack, layer: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    """Layer norm over the last axis of (K or 1, B, ..., d), each module with its own gain and shift.

    Returns:
        (K, S, B, ..., d).
    """
    normed = F.layer_norm(x, x.shape[-1:], eps=eps)[:, None]
    ones = (1,) * (x.ndim - 2)
    gain, shift = (stack[f"{layer}.{name}"].unflatten(2, (*ones, -1)) for name in ("weight", "bias"))
    return normed * gain + shift


__all__ = ["Rate", "Stack", "affine", "in_few_bits", "layer_norm", "product", "pull_back", "take_step"]
