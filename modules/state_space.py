"""The state-space family: a recurrence whose memory is written and read as the input decides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import flag, number, whole
from .context import Context
from .flops import nominal, product
from .module import Module, one_port
from .ports import Port, Tokens, Value, like, split


class StateSpace(Module):
    """`x + down(silu(z) * scan(silu(conv(u))))` with `u, z = up(norm(x))`; it reads only what came before.

    The scan is `h_t = exp(step A) h_(t-1) + step B u_t`, `y_t = C h_t + D u_t`, with a state of `state` numbers for
    each inner channel. `step`, `B` and `C` are made from `u_t` where it is selective, and learned numbers otherwise;
    then the scan is the convolution with the kernel `C exp(step A)^t step B`. Padded places leave the state as it is.
    The scan goes place by place: traced programs (export, compile) are for one length.

    Args:
        ports: one `Tokens`; the output has the same port.
        state: numbers in the state of each channel.
        expand: inner channels, in multiples of the dim.
        kernel: taps of the causal depthwise convolution.
        selective: whether what is written and read depends on the input.
        residual_scale: factor on the initial weights of `down`; at 0 the block starts as the identity.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("state_space", {"state": 4}), [Tokens(None, 8)]).output
        Tokens(length=None, dim=8)
    """

    family = "state_space"
    reference = (
        "Gu and Dao 2023, Mamba (2312.00752), algorithm 2 and section 3.4; "
        "not selective: Gu et al. 2022, S4D-Real (2206.11893)"
    )

    def __init__(
        self, ports: tuple[Port, ...], *, state: int = 8, expand: int = 2, kernel: int = 4, selective: bool = True,
        residual_scale: float = 1.0,
    ) -> None:
        super().__init__()
        port: Tokens = one_port(self.family, ports, Tokens)
        dim, inner = port.dim, whole("expand", expand) * port.dim
        self.state, self.selective = whole("state", state), flag("selective", selective)
        self.residual_scale = number("residual_scale", residual_scale)
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * inner)
        self.conv = nn.Conv1d(inner, inner, whole("kernel", kernel), groups=inner)
        self.log_decay = nn.Parameter(torch.empty(inner, state))
        self.through = nn.Parameter(torch.empty(inner))
        self.step_bias = nn.Parameter(torch.empty(inner))
        rank = -(-dim // 16)
        if selective:
            self.choose = nn.Linear(inner, rank + 2 * state, bias=False)
            self.step = nn.Linear(rank, inner, bias=False)
        else:
            self.write = nn.Parameter(torch.empty(state))
            self.read = nn.Parameter(torch.empty(state))
        self.down = nn.Linear(inner, dim)
        self.output = port
        length = nominal(port.length)
        chosen = product(length, inner, 2 * rank + 2 * state) if selective else 0
        convolved = product(length, inner, kernel + state)
        self._flops = product(length, dim, 2 * inner) + convolved + chosen + product(length, inner, dim)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the layers, and steps between 0.001 and 0.1; the states of a channel decay at rates 1, 2, 3, ..."""
        super().initialise(generator)
        with torch.no_grad():
            self.down.weight.mul_(self.residual_scale)
            rates = torch.arange(1, self.state + 1, dtype=self.log_decay.dtype)
            self.log_decay.copy_(rates.log().expand_as(self.log_decay))
            nn.init.ones_(self.through)
            nn.init.uniform_(self.step_bias, math.log(0.001), math.log(0.1), generator=generator)
            self.step_bias.copy_(self.step_bias.exp().expm1().log())  # softplus of it is the step
        if not self.selective:
            nn.init.normal_(self.write, generator=generator)
            nn.init.normal_(self.read, generator=generator)

    def forward(self, *inputs: Any, context: Context) -> Value:
        """Map (B, length, dim) to the same; masks pass through."""
        (value,) = inputs
        x, mask = split(value)
        u, z = self.up(self.norm(x)).chunk(2, dim=-1)
        if mask is not None:
            u = u.masked_fill(~mask[..., None], 0.0)
        before = (self.conv.kernel_size[0] - 1, 0)
        u = F.silu(self.conv(F.pad(u.transpose(1, 2), before)).transpose(1, 2))
        y = scan(*self._coefficients(u, mask)) + self.through * u
        return like(value, x + self.down(y * F.silu(z)))

    def _coefficients(self, u: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """How much of the state stays, what is added to it, and how it is read, at each place."""
        if self.selective:
            rank = self.step.in_features
            low, write, read = self.choose(u).split((rank, self.state, self.state), dim=-1)
            step = F.softplus(self.step(low) + self.step_bias)
        else:
            write, read = (numbers.expand(*u.shape[:2], -1) for numbers in (self.write, self.read))
            step = F.softplus(self.step_bias).expand_as(u)
        if mask is not None:
            step = step.masked_fill(~mask[..., None], 0.0)
        stays = torch.exp(-step[..., None] * self.log_decay.exp())
        return stays, (step * u)[..., None] * write[:, :, None], read

    def flops(self) -> int:
        """The projections, the convolution, and reading the state."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """A block that starts as the identity."""
        return {"residual_scale": 0.0} if len(ports) == 1 and isinstance(ports[0], Tokens) else None


def scan(stays: Tensor, added: Tensor, read: Tensor) -> Tensor:
    """`h_t = stays_t h_(t-1) + added_t`, from zero, and `y_t = <read_t, h_t>`.

    Args:
        stays: (B, length, channels, state).
        added: (B, length, channels, state).
        read: (B, length, state).

    Returns:
        (B, length, channels).
    """
    h = torch.zeros_like(added[:, 0])
    states = []
    for kept, new in zip(stays.unbind(1), added.unbind(1), strict=True):
        h = kept * h + new
        states.append(h)
    return (torch.stack(states, 1) @ read[..., None]).squeeze(-1)
