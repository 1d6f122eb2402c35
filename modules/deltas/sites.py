"""Where deltas change a host: the sites it names, its output, its norms; and the code a delta knows its task by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor, nn

from ..checks import whole
from ..context import Context
from ..module import Module
from ..ports import Port, Value, split

OUTPUT = "output"
"""The place behind a host, which every host has."""

_NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d)


def places(host: Module, sites: Sequence[str] | None, default: Sequence[str]) -> dict[str, Port]:
    """The ports at `sites`; by default at those of `default` that the host has, at its output where it has none.

    Raises:
        ValueError: a site that is not there, or none.
    """
    known = {**host.site_ports, OUTPUT: host.output}
    if sites is None:
        sites = [site for site in default if site in host.site_ports] or [OUTPUT]
    if isinstance(sites, str) or not sites or len(set(sites)) < len(sites) or not set(sites) <= set(known):
        raise ValueError(f"`sites` must name places of the host, each once, of {sorted(known)}, found {sites!r}.")
    return {site: known[site] for site in sites}


def needs(host: Module, *sites: str) -> None:
    """Raise a `ValueError` where the host lacks one of `sites`."""
    if missing := [site for site in sites if site not in host.sites]:
        raise ValueError(
            f"`host` must have the sites {list(sites)}, found a host without {missing}: use a block of attention."
        )


def norm_weights(host: nn.Module, *names: str) -> list[str]:
    """The names of those parameters of the host's norms that are called one of `names` (`weight`, `bias`)."""
    return [
        f"{name}.{own}".lstrip(".")
        for name, module in host.named_modules()
        if isinstance(module, _NORMS)
        for own, _ in module.named_parameters(recurse=False)
        if own in names
    ]


class Code(nn.Module):
    """What a delta knows of its task: `size` learned numbers of its own, or what a part that reads nothing gives."""

    def __init__(self, size: int, parts: Mapping[str, nn.Module], part: str = "code") -> None:
        super().__init__()
        self.size, self.part = whole(part, size), {}
        self.numbers: nn.Parameter | None = None
        if part not in parts:
            self.numbers = nn.Parameter(torch.empty(size))
            return
        module = parts[part]
        output = getattr(module, "output", None)
        found = None if output is None or output.variable or output.integer else prod(output.shape)
        if found != size:
            raise ValueError(f"`{part}` must be the {size} numbers that the part gives, found a part of {output}.")
        self.part["part"] = module

    def forward(self) -> Tensor:
        """The numbers, (size,)."""
        if self.numbers is not None:
            return self.numbers
        value: Value = self.part["part"](context=Context())
        return split(value)[0].reshape(-1)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the own numbers from a standard normal distribution."""
        if self.numbers is not None:
            nn.init.normal_(self.numbers, generator=generator)
