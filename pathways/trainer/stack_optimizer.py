"""Optimizers of a stack: every candidate has its own rates, momenta and decays, as vectors.

Reference: SGD as in Sutskever et al. 2013 with momentum and Nesterov's, in torch's form; AdamW of Loshchilov and
Hutter 2019 (1711.05101), algorithm 2, with the decay of `torch.optim.AdamW`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pathways.candidate import Training

from .optimizer import multipliers
from .stack import Slots

BETA1, EPSILON = 0.9, 1e-8  # as torch's defaults, which `make_optimizer` keeps


@dataclass(eq=False)
class _Trained:
    """One parameter of one layer: which optimizer state it has."""

    layer: Slots
    name: str
    state: dict[str, Tensor] = field(default_factory=dict)

    @property
    def tensor(self) -> Tensor:
        return self.layer.stack[self.name]

    @property
    def grad(self) -> Tensor:
        """Its gradient, where there is one."""
        assert self.tensor.grad is not None
        return self.tensor.grad

    @property
    def decays(self) -> bool:
        return self.tensor.ndim > 3  # biases and norms are of one axis behind (K, S)


class StackOptimizer:
    """Trains the layers of a stack, each candidate as `make_optimizer` would train it alone, to rounding.

    Plain gradient descent (no momentum, decay or clipping) is fused into the backward pass: a candidate's loss is
    scaled by its learning rate, and each product takes its step itself (`modules.stacked.affine`).

    Args:
        layers: of the stack.
        trainings: of its candidates; all of one optimizer and number of steps.
    """

    def __init__(self, layers: Iterable[Slots], trainings: Sequence[Training]) -> None:
        self.trainings = list(trainings)
        self.parameters = [_Trained(layer, name) for layer in layers for name in layer.parameters]
        self.kind = trainings[0].optimizer
        some = self.parameters[0].tensor if self.parameters else torch.empty(0)
        self._device = some.device
        self._idle = torch.zeros(len(trainings), dtype=torch.bool)
        self._stale = True  # whether the layers must be told their rates anew
        self._vectors()
        self.fused = self.kind == "sgd" and not any(t.momentum or t.weight_decay or t.clip for t in trainings)

    def _vectors(self) -> None:
        """What depends on the candidates that are left."""
        trainings = self.trainings
        self._shares: dict[int, Tensor] = {}

        def column(values: Iterable[float]) -> Tensor:
            return torch.tensor(list(values), device=self._device)

        self._rates = torch.tensor(
            [[t.lr * factor for factor in multipliers(t.schedule, t.warmup, t.steps)] for t in trainings],
            device=self._device,
        ).t().contiguous()
        self._head = column(t.head_lr for t in trainings)
        self._decay = column(t.weight_decay for t in trainings)
        self._momentum = column(t.momentum for t in trainings)
        self._beta2 = column(t.beta2 for t in trainings)
        self._corrections: tuple[Tensor, Tensor] | None = None
        self._clip = column(t.clip for t in trainings)
        self._decays, self._clips = any(t.weight_decay for t in trainings), any(t.clip for t in trainings)
        self._moves = any(t.momentum for t in trainings)

    # -- a step -------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Tell the layers their rates, where these changed; steps that are captured come after one that did."""
        if not self._stale:
            return
        for layer in {id(p.layer): p.layer for p in self.parameters}.values() if self.fused else ():
            rate = self._share(layer)[..., None, None]
            layer.stack.rate = 1.0 if bool((rate == 1).all()) else rate
        self._stale = False

    def begin(self, step: int | Tensor) -> Tensor | None:
        """Prepare a step; returns by what each candidate's loss must be scaled, (K,), or `None`.

        Args:
            step: its number; or (1,) that holds it, so that a captured graph reads it at every replay.
        """
        self._prepare()
        return _row(self._rates, step) if self.fused else None

    def step(self, step: int | Tensor) -> None:
        """Take the step, after the gradients are there, and drop them."""
        left = [p for p in self.parameters if p.tensor.grad is not None]
        with torch.no_grad():
            self._clip_gradients(left)
            for p in left:
                if self.fused:
                    p.tensor.sub_(_like(self._share(p.layer), p.tensor) * p.grad)
                else:
                    self._step(p, step)
                p.tensor.grad = None

    def _share(self, layer: Slots) -> Tensor:
        """The learning rate of each module of a layer relative to its candidate's, (K, S)."""
        known = self._shares.get(id(layer))
        if known is None:
            known = layer.trained * (~self._idle).to(self._device)[:, None]
            known = self._shares[id(layer)] = known * self._head[:, None] if layer.shell.head else known
        return known

    def _clip_gradients(self, parameters: Sequence[_Trained]) -> None:
        if not self._clips:
            return
        squares = [
            (p.grad.square() * _like(p.layer.trained, p.tensor)).flatten(1).sum(1) for p in parameters
        ]
        norm = torch.stack(squares).sum(0).sqrt()
        factor = (self._clip / (norm + 1e-6)).clamp(max=1.0)
        factor = torch.where(self._clip > 0, factor, torch.ones_like(factor))
        for p in parameters:
            p.grad.mul_(_column(factor, p.tensor))

    def _step(self, p: _Trained, step: int | Tensor) -> None:
        tensor, grad = p.tensor, p.grad
        rate = _like(_row(self._rates, step)[:, None] * self._share(p.layer), tensor)
        decay = _column(self._decay, tensor) if p.decays and self._decays else None
        if self.kind == "sgd":
            grad = grad if decay is None else grad + decay * tensor
            if self._moves:
                momentum = _column(self._momentum, tensor)
                known = p.state.get("momentum")
                buffer = grad.clone() if known is None else torch.addcmul(grad, known, momentum, out=known)
                p.state["momentum"] = buffer
                grad = torch.addcmul(grad, buffer, momentum) if self.trainings[0].nesterov else buffer
            tensor.addcmul_(grad, rate, value=-1)
            return
        if not p.state:
            p.state = {"mean": torch.zeros_like(tensor), "square": torch.zeros_like(tensor)}
        beta2, rest = _column(self._beta2, tensor), _column(1 - self._beta2, tensor)
        p.state["mean"].lerp_(grad, 1 - BETA1)
        p.state["square"].mul_(beta2).addcmul_(grad * rest, grad)
        if decay is not None:
            tensor.mul_(1 - rate * decay)
        if isinstance(step, Tensor):
            means, squares = (_row(table, step) for table in self._bias_corrections())
            spread = p.state["square"].sqrt().div_(_column(squares, tensor)).add_(EPSILON)
            tensor.addcdiv_((p.state["mean"] * rate).mul_(means), spread)
            return
        spread = p.state["square"].sqrt().div_((1 - beta2 ** (step + 1)).sqrt()).add_(EPSILON)
        tensor.addcdiv_(p.state["mean"] * rate, spread, value=-1 / (1 - BETA1 ** (step + 1)))

    def _bias_corrections(self) -> tuple[Tensor, Tensor]:
        """AdamW's, of every step: of the mean, (steps,), and of the square, (steps, K)."""
        if self._corrections is None:
            steps = range(1, self.trainings[0].steps + 1)
            means = torch.tensor([-1 / (1 - BETA1**step) for step in steps], device=self._device)
            squares = torch.stack([(1 - self._beta2**step).sqrt() for step in steps])
            self._corrections = means, squares
        return self._corrections

    # -- who is left --------------------------------------------------------------------------------------

    def stop(self, places: Iterable[int]) -> None:
        """Train the candidates at these places no further."""
        self._idle[list(places)] = True
        self._stale = True
        self._shares.clear()

    def select(self, kept: Tensor) -> None:
        """Go on with the candidates at these places only, after the layers were told."""
        self.trainings = [self.trainings[k] for k in kept.tolist()]
        self._idle = self._idle[kept.cpu()]
        for p in self.parameters:
            p.state = {name: value[kept] for name, value in p.state.items()}
        self._vectors()
        self._stale = True


def _row(table: Tensor, step: int | Tensor) -> Tensor:
    """The row of a step."""
    return table[step] if isinstance(step, int) else table.index_select(0, step)[0]


def _like(share: Tensor, tensor: Tensor) -> Tensor:
    """(K, S) as something that multiplies (K, S, ...)."""
    return share.view(*share.shape, *[1] * (tensor.ndim - 2))


def _column(values: Tensor, tensor: Tensor) -> Tensor:
    """(K,) as something that multiplies (K, ...)."""
    return values.view(-1, *[1] * (tensor.ndim - 1))


__all__ = ["StackOptimizer"]
