"""Routing by agreement: capsules send what they hold to those whose content their predictions agree with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import flag, whole
from ..context import Context
from ..flops import product
from ..module import Module, PortError, one_port
from ..ports import Port, Tokens


class Agreement(Module):
    """From tokens `u_i` to capsules `v_j = squash(sum_i c_ij U_ij)`, `U_ij = u_i W_ij`, by rounds of agreement.

    Couplings `c_i = softmax(b_i)` of each token sum to 1 over the capsules. `b` starts at zero and every round but the
    last adds `b_ij += U_ij . v_j`: a token's weight goes to capsules that its prediction agrees with. `squash` keeps a
    vector's direction and makes its length `|s|^2 / (1 + |s|^2)`. Residual, the capsules are added to the tokens,
    times a gain that starts at zero: it then starts as the identity.

    Args:
        ports: one `Tokens` of fixed length.
        capsules: how many are given out.
        dim: numbers in each.
        rounds: of routing, at least 1.
        residual: whether they are added to the tokens, which must be as many and as large.

    Raises:
        PortError: not one `Tokens` of fixed length, or of another shape than residual capsules.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("agreement", {"capsules": 3, "dim": 4}), [Tokens(6, 8)])
        Facts(output=Tokens(length=3, dim=4), parameters=576, buffers=0, flops=1872)
    """

    family = "agreement"
    reference = "Sabour, Frosst and Hinton 2017 (1710.09829), section 2 and procedure 1"

    def __init__(
        self, ports: tuple[Port, ...], *, capsules: int, dim: int, rounds: int = 3, residual: bool = False,
    ) -> None:
        super().__init__()
        port: Tokens = one_port(self.family, ports, Tokens)
        if port.length is None:
            raise PortError(f"family `agreement` reads Tokens of fixed length, found {port}")
        self.rounds = whole("rounds", rounds)
        self.output = Tokens(whole("capsules", capsules), whole("dim", dim))
        if flag("residual", residual) and self.output != port:
            raise PortError(f"family `agreement` with `residual` reads {self.output}, found {port}")
        self.weight = nn.Parameter(torch.empty(port.length, capsules, dim, port.dim))
        self.gain = nn.Parameter(torch.empty(dim)) if residual else None
        predictions = port.length * product(1, port.dim, capsules * dim)
        each = port.length * product(1, capsules, dim)
        self._flops = predictions + (2 * rounds - 1) * each

    def initialise(self, generator: torch.Generator) -> None:
        """Draw predictions of variance 1/d; set the gain to zero."""
        nn.init.normal_(self.weight, std=self.weight.shape[3] ** -0.5, generator=generator)
        if self.gain is not None:
            nn.init.zeros_(self.gain)

    def route(self, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The capsules (B, capsules, dim), and the couplings (B, tokens, capsules) of every round."""
        predicted = torch.einsum("bid,ijod->bijo", tokens, self.weight)
        scores = predicted.new_zeros(predicted.shape[:3])
        couplings: list[Tensor] = []
        capsules = predicted
        for i in range(self.rounds):
            couplings.append(scores.softmax(2))
            capsules = squash(torch.einsum("bij,bijo->bjo", couplings[-1], predicted))
            if i + 1 < self.rounds:
                scores = scores + torch.einsum("bijo,bjo->bij", predicted, capsules)
        return capsules, couplings

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, tokens, d) to (B, capsules, dim)."""
        capsules, _ = self.route(inputs[0])
        return capsules if self.gain is None else inputs[0] + self.gain * capsules

    def flops(self) -> int:
        """The predictions; in each round the capsules and, but for the last, the agreement."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """As many capsules as tokens, residual."""
        fits = len(ports) == 1 and isinstance(ports[0], Tokens) and ports[0].length is not None
        return {"capsules": ports[0].length, "dim": ports[0].dim, "residual": True} if fits else None  # type: ignore[attr-defined]


def squash(s: Tensor) -> Tensor:
    """A vector of the same direction, whose length `|s|^2 / (1 + |s|^2)` is below 1."""
    square = s.square().sum(-1, keepdim=True)
    return s * (square + 1e-12).sqrt() / (1 + square)
