"""Adapters inside a frozen block whose weights one shared network makes from codes of task and layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import whole
from ..context import Context
from ..flops import product, rows
from ..module import Delta, Module, one_port
from ..ports import Port, Tokens, Value, Vector, like, split
from .sites import OUTPUT, Code, places


class AdapterGenerator(Module):
    """From codes to the weights of an adapter: `e = W2 relu(W1 z + b1) + b2`, then one linear map of `e` for each.

    What it gives is, end to end: `down` (dim, width), `up` (width, dim), `gain` (width,) and `shift` (width,) of the
    norm. All but `down` are zero at the start, whatever the code.

    Args:
        ports: one `Vector`, the codes of task and layer.
        width: numbers in each token that the adapters read.
        dim: width of the bottleneck.
        hidden: numbers in `e`.

    Raises:
        PortError: another port.
        ValueError: a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Vector, facts
        >>> facts(ModuleSpec("adapter_generator", {"width": 8, "dim": 2}), [Vector(6)]).output
        Vector(dim=48)
    """

    family = "adapter_generator"
    reference = "Mahabadi et al. 2021 (2106.04489), hypernetworks for adapters and layer norms"

    def __init__(self, ports: tuple[Port, ...], *, width: int, dim: int, hidden: int = 8) -> None:
        super().__init__()
        port = one_port(self.family, ports, Vector)
        whole("width", width), whole("dim", dim)
        self.first = nn.Linear(port.dim, whole("hidden", hidden))
        self.second = nn.Linear(hidden, hidden)
        self.down = nn.Linear(hidden, dim * width, bias=False)
        self.up = nn.Linear(hidden, width * dim, bias=False)
        self.gain = nn.Linear(hidden, width, bias=False)
        self.shift = nn.Linear(hidden, width, bias=False)
        self.output = Vector(2 * dim * width + 2 * width)
        self._flops = product(1, port.dim, hidden) + product(1, hidden, hidden + self.output.dim)
        self._spread = (width * hidden) ** -0.5

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the layers of `e` and of `down`; set the others to zero."""
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
        nn.init.normal_(self.down.weight, std=self._spread, generator=generator)
        for layer in (self.up, self.gain, self.shift):
            nn.init.zeros_(layer.weight)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Map (B, codes) to (B, numbers of an adapter)."""
        (z,) = inputs
        e = self.second(F.relu(self.first(z)))
        return torch.cat([layer(e) for layer in (self.down, self.up, self.gain, self.shift)], -1)

    def flops(self) -> int:
        """All linear maps."""
        return self._flops

    @classmethod
    def fitting(cls, ports: tuple[Port, ...]) -> Mapping[str, Any] | None:
        """By itself, from one vector: as many numbers as it reads, where these are a multiple of four."""
        fits = len(ports) == 1 and isinstance(ports[0], Vector)
        return {"width": max(1, ports[0].dim // 4), "dim": 1} if fits else None  # type: ignore[attr-defined]


class HyperAdapter(Delta):
    """At each site `h + up relu(down ((1 + gain) norm(h) + shift))`; a generator makes all four from codes.

    The code is `[z_task; z_site]`. One generator serves all sites, and as a part all blocks and all tasks: then a new
    task adds its `z_task` and nothing else. Once the codes are fixed it is a `bottleneck` without biases. Its neutral
    condition is `up` = 0, which a fresh generator makes of any code. The weights are made once a forward pass.

    Args:
        host: the module it changes.
        dim: width of the bottlenecks.
        task: numbers in the code of the task.
        site: numbers in the code of each site.
        hidden: of the own generator; not used where it is a part.
        sites: as of `bottleneck`; tokens or vectors of one width.
        parts: `task` and `site`, modules that read nothing and give the task's code and, end to end, the codes of
            the sites (`learned_tokens`); `generator`, an `adapter_generator` for Vector(task + site), the width of
            the sites and `dim`. What is left out is the delta's own.

    Raises:
        ValueError: a setting is out of range, the widths differ, or a part gives another number of numbers.

    Example:
        >>> from pathways.modules import Draft, ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(5, 8),))
        >>> make = Draft("g", ModuleSpec("adapter_generator", {"width": 8, "dim": 2}))
        >>> spec = ModuleSpec("hyper_adapter", {"dim": 2, "task": 4, "site": 3}, parts={"generator": make})
        >>> facts(spec, [], host=host).parameters  # 4 for the task, 3 for each of two sites
        10
    """

    family = "hyper_adapter"
    reference = "Mahabadi et al. 2021 (2106.04489), HyperFormer++; our norm stands in front, theirs behind"

    def __init__(
        self, host: Module, *, dim: int, task: int = 8, site: int = 4, hidden: int = 8,
        sites: Sequence[str] | None = None, parts: Mapping[str, Module] | None = None,
    ) -> None:
        super().__init__()
        ports = places(host, sites, ("attended", "transformed"))
        widths = {port.dim if isinstance(port, (Tokens, Vector)) else None for port in ports.values()}
        width = next(iter(widths))
        if len(widths) > 1 or width is None:
            found = ", ".join(map(str, ports.values()))
            raise ValueError(f"`sites` must have tokens or vectors of one width, found ({found}).")
        self.sites, self.dim, self.width, self.parts = list(ports), whole("dim", dim), width, dict(parts or {})
        self.task = Code(task, self.parts, "task")
        self.site = Code(whole("site", site) * len(ports), self.parts, "site")
        self.own: AdapterGenerator | None = None
        if "generator" not in self.parts:
            self.own = AdapterGenerator((Vector(task + site),), width=width, dim=dim, hidden=hidden)
        made, wanted = (self.own or self.parts["generator"]).output, Vector(2 * width * dim + 2 * width)
        if made != wanted:
            raise ValueError(f"`generator` must give {wanted} for `dim` {dim} and tokens of {width}, found {made}.")
        self._flops = sum(2 * product(rows(port), width, dim) for port in ports.values())

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the own codes and the own generator, whose `up` is zero."""
        for own in (self.task, self.site, self.own):
            if own is not None:
                own.initialise(generator)

    def adapters(self) -> dict[str, tuple[Tensor, Tensor, Tensor, Tensor]]:
        """By site `down`, `up`, `gain` and `shift`, as the generator makes them now."""
        task, site = self.task(), self.site().unflatten(0, (len(self.sites), -1))
        codes = torch.cat([task.expand(len(self.sites), -1), site], 1)
        made = (self.own or self.parts["generator"])(codes, context=Context())
        shapes = [(self.dim, self.width), (self.width, self.dim), (self.width,), (self.width,)]
        pieces = made.split([prod(shape) for shape in shapes], 1)
        found = {}
        for i, name in enumerate(self.sites):
            down, up, gain, shift = (piece[i].reshape(shape) for piece, shape in zip(pieces, shapes, strict=True))
            found[name] = (down, up, gain, shift)
        return found

    def inside(self, *condition: Value) -> Mapping[str, Callable[[Any], Any]]:
        """An adapter at each site within the host."""
        return {s: _adapting(*weights) for s, weights in self.adapters().items() if s != OUTPUT}

    def around(self, call: Callable[..., Value], *inputs: Value, context: Context, **condition: Any) -> Value:
        """The adapter behind the host, if there is one."""
        output = call(*inputs, context=context)
        if OUTPUT not in self.sites:
            return output
        return like(output, _adapting(*self.adapters()[OUTPUT])(split(output)[0]))

    def flops(self) -> int:
        """The two products of each adapter; its weights are made once for the batch."""
        return self._flops

    @classmethod
    def part_ports(cls, ports: tuple[Port, ...], config: Mapping[str, Any]) -> Callable[[str], tuple[Port, ...]]:
        """The generator reads both codes, which read nothing."""
        return lambda name: (Vector(config.get("task", 8) + config.get("site", 4)),) if name == "generator" else ()

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """A quarter of the host's width, at the default sites, with its own small generator."""
        port = host.output
        return {"dim": max(1, port.dim // 4), "task": 4} if isinstance(port, (Vector, Tokens)) else None


def _adapting(down: Tensor, up: Tensor, gain: Tensor, shift: Tensor) -> Callable[[Tensor], Tensor]:
    def change(x: Tensor) -> Tensor:
        normed = F.layer_norm(x, x.shape[-1:], 1 + gain, shift)
        return x + F.linear(F.relu(F.linear(normed, down)), up)

    return change
