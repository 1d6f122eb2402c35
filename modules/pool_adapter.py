"""The pool-adapter family: a square grid of tokens, averaged over blocks, that keeps what is where."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from .checks import whole
from .context import Context
from .flops import product
from .module import Module, PortError, one_port
from .ports import Port, Tokens


class PoolAdapter(Module):
    """`down(gelu(up(block means)))`: s x s tokens, row by row, become `side` x `side`, then pass two layers.

    Args:
        ports: one `Tokens(s * s, d)`, a grid without a class token.
        side: rows and columns of the output's grid; must divide s.
        dim: numbers in each token of the output, which is read by another model.
        hidden: width between the two layers; `None` is `dim`.

    Raises:
        PortError: another port, a variable length, or one that is not a square.
        ValueError: a setting is out of range, or `side` does not divide s.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> facts(ModuleSpec("pool_adapter", {"side": 2, "dim": 8}), [Tokens(36, 16)]).output
        Tokens(length=4, dim=8)
    """

    family = "pool_adapter"
    reference = "Zhou et al. 2023, InfMLLM (2311.06791), section 3"

    def __init__(self, ports: tuple[Port, ...], *, side: int, dim: int, hidden: int | None = None) -> None:
        super().__init__()
        port: Tokens = one_port(self.family, ports, Tokens)
        if port.length is None or isqrt(port.length) ** 2 != port.length:
            raise PortError(f"family `pool_adapter` reads a square grid of tokens, found {port}: leave others out")
        grid = isqrt(port.length)
        if grid % whole("side", side):
            raise ValueError(f"`side` must divide the {grid} rows of the grid, found {side}.")
        self.side, self.block = side, grid // side
        inner = whole("dim", dim) if hidden is None else whole("hidden", hidden)
        self.up = nn.Linear(port.dim, inner)
        self.down = nn.Linear(inner, dim)
        self.output = Tokens(side * side, dim)
        self._flops = product(side * side, inner, port.dim + dim)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, s * s, d) to (B, side * side, dim)."""
        (x,) = inputs
        blocks = x.unflatten(1, (self.side, self.block, self.side, self.block))
        return self.down(F.gelu(self.up(blocks.mean((2, 4)).flatten(1, 2))))

    def flops(self) -> int:
        """The two products; means do not count."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """The next smaller grid that divides this one, with tokens of the same dim."""
        port = ports[0] if len(ports) == 1 else None
        if not isinstance(port, Tokens) or port.length is None or isqrt(port.length) ** 2 != port.length:
            return None
        grid = isqrt(port.length)
        return {"side": next((p for p in range(grid - 1, 0, -1) if grid % p == 0), 1), "dim": port.dim}
