"""The quantise family: each vector becomes the nearest of a few learned ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import number, whole
from ..context import Context
from ..flops import product, rows
from ..module import Module, one_port
from ..ports import Port, Tokens, Value, Vector, like, split


class Quantise(Module):
    """`q(x) = c[argmin_k |x - c[k]|^2]`; the gradient of the output goes to `x` as if nothing had happened.

    In training it adds the loss `weight (|sg(x) - q|^2 + commitment |x - sg(q)|^2)`, a mean over numbers and real
    places, `sg` without gradient: the first term moves codes to inputs, the second inputs to codes.

    Args:
        ports: one `Vector` or `Tokens`; a mask passes through.
        codes: how many vectors there are.
        commitment: of the second term.
        weight: of the loss.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("quantise", {"codes": 32}), [Tokens(4, 8)]).output
        Tokens(length=4, dim=8)
    """

    family = "quantise"
    reference = "van den Oord et al. 2017, VQ-VAE (1711.00937), section 3.2, equations 1 to 3"

    def __init__(
        self, ports: tuple[Port, ...], *, codes: int, commitment: float = 0.25, weight: float = 1.0
    ) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector, Tokens)
        self.output = port
        self.commitment, self.weight = number("commitment", commitment), number("weight", weight)
        for name, value in (("commitment", self.commitment), ("weight", self.weight)):
            if value < 0:
                raise ValueError(f"`{name}` must be at least 0, found {value}.")
        self.codes = nn.Parameter(torch.empty(whole("codes", codes), port.dim))
        self._flops = product(rows(port), port.dim, codes)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the codes from a standard normal distribution."""
        nn.init.normal_(self.codes, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, ..., dim) to codes of the same shape."""
        (value,) = inputs
        x, mask = split(value)
        codes = self.codes[self.ids(x)]
        if self.training and self.weight > 0:
            context.add_loss("quantise", self.weight * self._loss(x, codes, mask))
        # Exactly the codes, since the difference is exactly zero.
        return like(value, codes.detach() + (x - x.detach()))

    def ids(self, x: Tensor) -> Tensor:
        """The number of the nearest code (B, ...), the discrete token of each vector (B, ..., dim)."""
        return (self.codes.square().sum(1) - 2 * x.detach() @ self.codes.T).argmin(-1)

    def _loss(self, x: Tensor, codes: Tensor, mask: Tensor | None) -> Tensor:
        to_codes = (x.detach() - codes).square().mean(-1)
        loss = to_codes + self.commitment * (x - codes.detach()).square().mean(-1)
        return loss.mean() if mask is None else loss[mask].mean()

    def flops(self) -> int:
        """The distances to all codes."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """64 codes."""
        return {"codes": 64} if len(ports) == 1 and isinstance(ports[0], (Vector, Tokens)) else None


def code_entropy(ids: Tensor, codes: int) -> float:
    """The entropy in nats of how often codes are used: log(codes) where all are alike, 0 where only one is.

    >>> code_entropy(torch.tensor([0, 1, 0, 1]), 2) == torch.tensor(2.0).log().item()
    True
    """
    shares = torch.bincount(ids.flatten(), minlength=codes) / ids.numel()
    return float(torch.special.entr(shares).sum())
