"""Adapters inside a frozen block, one at each of its sites."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from ..adapter import Adapter
from ..context import Context
from ..module import Delta, Module
from ..ports import Image, Tokens, Value, Vector
from .sites import OUTPUT, places


class Bottleneck(Delta):
    """At each site `h + up(activation(down(norm(h))))`, with `up` zero at the start.

    Its neutral condition is `up` = 0. Two of them on one host are a stack: the second reads what the first gives,
    `task(language(h))` at every site, so that the lower one can be exchanged under the upper (MAD-X).

    Args:
        host: the module it changes.
        dim: width of the bottlenecks.
        sites: where they stand: sites of the host whose values have a port, or `output`; by default where the two
            branches of a block are done (`attended` and `transformed`), behind other hosts.
        activation: `none`, `relu`, `gelu`, `silu` or `tanh`.

    Raises:
        PortError: a value that is no vector, tokens or image.
        ValueError: a setting is out of range, or the host has no such site.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(5, 8),))
        >>> facts(ModuleSpec("bottleneck", {"dim": 2}), [], host=host).parameters  # twice 16 + 18 + 24
        116
    """

    family = "bottleneck"
    reference = "Houlsby et al. 2019 (1902.00751), section 2.1; stacks: Pfeiffer et al. 2020 (2005.00052)"

    def __init__(
        self, host: Module, *, dim: int, sites: Sequence[str] | None = None, activation: str = "relu"
    ) -> None:
        super().__init__()
        ports = places(host, sites, ("attended", "transformed"))
        self.adapters = nn.ModuleDict({s: Adapter((p,), dim=dim, activation=activation) for s, p in ports.items()})

    def initialise(self, generator: torch.Generator) -> None:
        """Draw each `down`; set each `up` to zero."""
        for adapter in self._by_site().values():
            adapter.initialise(generator)

    def inside(self, *condition: Value) -> Mapping[str, Callable[[Any], Any]]:
        """An adapter at each site within the host."""
        return {s: partial(adapter, context=Context()) for s, adapter in self._by_site().items() if s != OUTPUT}

    def around(self, call: Callable[..., Value], *inputs: Value, context: Context, **condition: Any) -> Value:
        """The adapter behind the host, if there is one."""
        output = call(*inputs, context=context)
        return self.adapters[OUTPUT](output, context=context) if OUTPUT in self.adapters else output

    def flops(self) -> int:
        """The two products of each."""
        return sum(adapter.flops() for adapter in self._by_site().values())

    def _by_site(self) -> dict[str, Adapter]:
        return dict(self.adapters.items())  # type: ignore[arg-type]

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """A quarter of the host's width, at the default sites."""
        port = host.output
        if not isinstance(port, (Vector, Tokens, Image)):
            return None
        return {"dim": max(1, (port.channels if isinstance(port, Image) else port.dim) // 4)}
