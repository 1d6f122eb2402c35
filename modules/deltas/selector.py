"""A selector of the fields that a frozen module reads, one for each task, decided sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import whole
from ..context import Context
from ..flops import product
from ..module import Delta, Module, initialise_layer
from ..ports import Tokens, Value


class Selector(Delta):
    """The host reads `x * s(x, indicator)`: one factor in (0, 2) for each field, a token of the host's first input.

    Fields attend to the fields of their group: `h = softmax(q k^T / sqrt(dim)) v`. Each is squeezed to one number
    by the task's indicator, `r = h . indicator / sqrt(dim)`, and all together are excited: `s = 2 sigmoid(up
    relu(down r))`. Its neutral condition is `up` = 0, as at the start, where every factor is 1.

    Args:
        host: a module whose first input are `Tokens` of fixed length, the fields.
        dim: width of queries, keys, values and of the indicator.
        groups: how many groups of neighbouring fields; must divide their number.
        hidden: width between `down` and `up`.

    Raises:
        ValueError: the host does not read fields, or a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("flatten"), (Tokens(6, 8),))
        >>> facts(ModuleSpec("selector", {"dim": 4}), [], host=host).parameters  # 96 + 4, and 6 * 4 + 4 * 6 + 10
        158
    """

    family = "selector"
    reference = "APEM (2301.02494), abstract; excitation: Hu et al. 2018 (1709.01507), section 3"

    def __init__(self, host: Module, *, dim: int, groups: int = 1, hidden: int = 4) -> None:
        super().__init__()
        port = host.inputs[0] if host.inputs else None
        if not isinstance(port, Tokens) or port.length is None:
            raise ValueError(f"`host` must read fields, Tokens of fixed length, found a host that reads {port}.")
        fields = port.length
        if fields % whole("groups", groups):
            raise ValueError(f"`groups` must divide the {fields} fields, found {groups}.")
        self.groups = groups
        self.attention = nn.Linear(port.dim, 3 * whole("dim", dim), bias=False)
        self.indicator = nn.Parameter(torch.empty(dim))
        self.down = nn.Linear(fields, whole("hidden", hidden))
        self.up = nn.Linear(hidden, fields)
        attention = product(fields, port.dim, 3 * dim) + 2 * product(fields, dim, fields // groups)
        self._flops = attention + product(fields, dim, 1) + 2 * product(1, fields, hidden)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw attention, indicator and `down`; set `up` to zero."""
        nn.init.normal_(self.attention.weight, std=self.attention.in_features**-0.5, generator=generator)
        nn.init.normal_(self.indicator, generator=generator)
        initialise_layer(self.down, generator)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def factors(self, x: Tensor) -> Tensor:
        """The factors (B, fields) of fields (B, fields, d)."""
        grouped = self.attention(x).unflatten(1, (self.groups, -1))
        mixed = F.scaled_dot_product_attention(*grouped.chunk(3, -1)).flatten(1, 2)
        squeezed = mixed @ self.indicator * len(self.indicator) ** -0.5
        return 2 * torch.sigmoid(self.up(F.relu(self.down(squeezed))))

    def around(self, call: Callable[..., Value], *inputs: Value, context: Context, **condition: Any) -> Value:
        """Weight the fields that go in."""
        x: Tensor = inputs[0]  # type: ignore[assignment]
        return call(x * self.factors(x)[:, :, None], *inputs[1:], context=context)

    def flops(self) -> int:
        """Attention within groups, the squeeze and the excitation."""
        return self._flops

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """Narrow attention over all fields."""
        port = host.inputs[0] if host.inputs else None
        return {"dim": 4} if isinstance(port, Tokens) and port.length is not None else None
