"""IA3: learned factors on what layers of a frozen module give or read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..module import Delta, Module

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


class IA3(Delta):
    """`(l * W x, l * b)` for layers whose outputs are scaled, `W (l * x)` for layers whose inputs are.

    In a transformer block `l` scales keys, values and the hidden units of the feed-forward part. Its neutral
    condition is `l` = 1. The factors go into the weights, so that merging them is exact and a sample costs nothing.

    Args:
        host: the module it changes; only its layers' shapes are read.
        outputs: names of linear or convolutional layers of the host whose outputs are scaled.
        inputs: names of such layers whose inputs are scaled. With both left out: outputs of every `key_value` and
            inputs of every `down`, as blocks of attention and feed-forward parts name them, else the outputs of the
            host's last such layer.

    Raises:
        ValueError: a name is not that of such a layer, or no layer is named.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(5, 8),))
        >>> facts(ModuleSpec("ia3"), [], host=host).parameters  # keys 8, values 8, hidden units 32
        48
    """

    family = "ia3"
    reference = "Liu et al. 2022 (2205.05638), section 3.3"

    def __init__(
        self, host: Module, *, outputs: Sequence[str] | None = None, inputs: Sequence[str] | None = None
    ) -> None:
        super().__init__()
        layers = {name: layer for name, layer in host.named_modules() if isinstance(layer, _LAYERS)}
        if outputs is None and inputs is None and layers:
            outputs, inputs = ([n for n in layers if n.split(".")[-1] == own] for own in ("key_value", "down"))
            outputs = outputs if outputs or inputs else [list(layers)[-1]]
        self.outputs, self.inputs = tuple(outputs or ()), tuple(inputs or ())
        named = [*self.outputs, *self.inputs]
        if not named or not set(named) <= set(layers):
            raise ValueError(
                f"`outputs` and `inputs` must name layers of the host, one at least, of {list(layers)}, found {named}."
            )
        shapes = [layers[name].weight.shape for name in named]
        axes = [0] * len(self.outputs) + [1] * len(self.inputs)
        self.factors = nn.ParameterList(torch.empty(s[axis]) for s, axis in zip(shapes, axes, strict=True))

    def initialise(self, generator: torch.Generator) -> None:
        """Set every factor to 1."""
        for factor in self.factors:
            nn.init.ones_(factor)

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters, rows or columns of the named layers scaled."""
        changed = dict(host)
        factors = list(self.factors)
        for layer, factor in zip(self.outputs, factors, strict=False):
            weight, bias = changed[f"{layer}.weight"], changed.get(f"{layer}.bias")
            changed[f"{layer}.weight"] = factor.reshape(-1, *[1] * (weight.ndim - 1)) * weight
            if bias is not None:
                changed[f"{layer}.bias"] = factor * bias
        for layer, factor in zip(self.inputs, factors[len(self.outputs) :], strict=True):
            weight = changed[f"{layer}.weight"]
            changed[f"{layer}.weight"] = factor.reshape(-1, *[1] * (weight.ndim - 2)) * weight
        return changed

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """The default layers."""
        return {} if any(isinstance(layer, _LAYERS) for layer in host.modules()) else None
