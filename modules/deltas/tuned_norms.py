"""The norms of a frozen module, tuned: all that a frozen trunk learns of a new task but its input and output nets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..module import Delta, Module
from .sites import norm_weights


class TunedNorms(Delta):
    """`w + change` for scales and shifts of all norms of the host, and for other parameters that are named.

    Its neutral condition is `change` = 0, at which it starts: tuning starts from the host's own values. It can be
    merged into the weights, and costs no FLOPs a sample.

    Args:
        host: the module it changes; only the shapes of its parameters are read.
        others: names of further parameters to tune, such as the `position.weight` of `embed`.

    Raises:
        ValueError: the host has neither norms nor such parameters.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(5, 8),))
        >>> facts(ModuleSpec("tuned_norms"), [], host=host).parameters  # two norms, scale and shift
        32
    """

    family = "tuned_norms"
    reference = "Lu et al. 2021 (2103.05247), section 2"

    def __init__(self, host: Module, *, others: Sequence[str] = ()) -> None:
        super().__init__()
        shapes = {name: parameter.shape for name, parameter in host.named_parameters()}
        self.targets = list(dict.fromkeys([*norm_weights(host, "weight", "bias"), *others]))
        if not self.targets or not set(self.targets) <= set(shapes):
            raise ValueError(
                f"`others` must name parameters of the host where it has no norm, of {sorted(shapes)}, "
                f"found {list(others)}."
            )
        self.changes = nn.ParameterList(torch.empty(shapes[name]) for name in self.targets)

    def initialise(self, generator: torch.Generator) -> None:
        """Set every change to zero."""
        for change in self.changes:
            nn.init.zeros_(change)

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters, the tuned ones changed."""
        return {**host, **{n: host[n] + change for n, change in zip(self.targets, self.changes, strict=True)}}

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """The norms alone, where there are some."""
        return {} if norm_weights(host, "weight", "bias") else None
