"""The arithmetic that gates share: which experts a score chooses, how they are weighted, and what keeps them busy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..checks import number, whole
from ..ports import Port, PortError, Tokens, Vector, split


def gate_dim(family: str, ports: Sequence[Port]) -> int:
    """The dim of all that a gate reads, joined: vectors, or tokens of length 1 such as a learned code."""
    if not ports or not all(isinstance(p, Vector) or (isinstance(p, Tokens) and p.length == 1) for p in ports):
        found = ", ".join(map(str, ports))
        raise PortError(f"family `{family}` reads Vectors, or Tokens of length 1, found ({found})")
    return sum(port.dim for port in ports)  # type: ignore[attr-defined]


def fitting_gate(ports: tuple[Port, ...], **more: Any) -> dict[str, Any] | None:
    """Two experts, of which one runs, for a gate that can read `ports`."""
    try:
        gate_dim("gate", ports)
    except PortError:
        return None
    return {"experts": 2, "k": 1, **more}


def joined(inputs: Sequence[Any]) -> Tensor:
    """What a gate reads, as one value (B, d); a value of one sample, such as a learned code, goes to all."""
    flat = [split(value)[0].flatten(1) for value in inputs]
    if len(flat) == 1:
        return flat[0]
    rows = torch.broadcast_shapes(*(value.shape[:1] for value in flat))[0]
    return torch.cat([value.expand(rows, -1) for value in flat], 1)


def checked_k(k: int, experts: int) -> int:
    """`k`, a whole number of at least 1 and at most `experts`."""
    if whole("k", k) > whole("experts", experts):
        raise ValueError(f"`k` must be at most `experts`, found {k} of {experts}.")
    return k


def weight_of(name: str, value: float) -> float:
    """The weight of a loss, a number of at least 0."""
    if number(name, value) < 0:
        raise ValueError(f"`{name}` must be at least 0, found {value!r}.")
    return float(value)


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal noise of the shape of `like`."""
    drawn = torch.randn(like.shape, generator=generator, device=generator.device, dtype=like.dtype)
    return drawn.to(like.device)


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of the shape of `like`, uniform above 0 and below 1."""
    drawn = torch.rand(like.shape, generator=generator, device=generator.device, dtype=like.dtype)
    return drawn.clamp(1e-7, 1 - 1e-7).to(like.device)


def falling(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (B, experts) in falling order, and whose they are; of equal scores the first expert's comes first.

    A stable sort, unlike `topk`, says which of equal scores comes first.
    """
    return torch.sort(scores, dim=1, descending=True, stable=True)


def softmax_of_top(scores: Tensor, k: int) -> Tensor:
    """The softmax over the `k` highest of each row, zero elsewhere."""
    ordered, order = falling(scores)
    return torch.zeros_like(scores).scatter(1, order[:, :k], ordered[:, :k].softmax(1))


def top_of(weights: Tensor, k: int, scores: Tensor | None = None, *, renormalise: bool = False) -> Tensor:
    """The weights of the `k` experts with the highest `scores` (or weights), zero elsewhere."""
    chosen = falling(weights if scores is None else scores)[1][:, :k]
    kept = weights.gather(1, chosen)
    if renormalise:
        kept = kept / kept.sum(1, keepdim=True)
    return torch.zeros_like(weights).scatter(1, chosen, kept)


def squared_variation(x: Tensor) -> Tensor:
    """The squared coefficient of variation, variance over squared mean."""
    return x.var(unbiased=False) / (x.mean().square() + 1e-10)


def chances(clean: Tensor, noisy: Tensor, deviation: Tensor, k: int) -> Tensor:
    """The chance of each expert to be among the top `k` if its own noise were drawn again (Shazeer 2017, appendix A).

    An expert must beat the k-th highest of the others: that is the k-th of all where it stands below it, and the
    (k+1)-th where it is among the top k. It needs k below the number of experts.
    """
    ordered, _ = falling(noisy)
    kth, following = ordered[:, k - 1 : k], ordered[:, k : k + 1]
    threshold = torch.where(noisy > following, following, kth)
    # Tiny deviations would divide by zero.
    return torch.special.ndtr((clean - threshold) / deviation.clamp_min(1e-6))


def entropy(p: Tensor) -> Tensor:
    """`-sum p log p` over the last axis, in nats."""
    return torch.special.entr(p).sum(-1)


def mutual_information(rows: Tensor) -> Tensor:
    """`I = H(mean_t p(e|t)) - mean_t H(p(e|t))` of the rows p(e|t), (tasks, experts), all tasks equally likely.

    That is `sum p(t,e) log p(t,e) / (p(t) p(e))`: how much a task says of its experts, from 0 to log(tasks).

    >>> round(float(mutual_information(torch.eye(2))), 4), float(mutual_information(torch.ones(2, 2) / 2))
    (0.6931, 0.0)
    """
    return entropy(rows.mean(0)) - entropy(rows).mean()
