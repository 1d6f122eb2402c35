"""Attention and norms of a frozen block, conditioned on the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import whole
from ..flops import product
from ..flops import rows as row_count
from ..module import Delta, Module
from ..ports import Tokens, Value
from .sites import Code, needs, norm_weights


class ConditionalAttention(Delta):
    """`logits + blockdiag(gain(z) * M + shift(z))`: a task's code `z` shifts the logits of self-attention.

    `M` holds learned blocks (blocks, n, n), which serve all tasks that share it; FiLM, linear in `z`, makes a gain and
    a shift for each of their columns. A token that stands in another block, or behind the last, is not shifted. The
    neutral condition is a gain and a shift of zero, as at the start: plain attention, to the bit.

    Args:
        host: a block of self-attention with the site `logits`.
        blocks: how many blocks; must divide the length.
        length: tokens that the blocks cover; left out where the host's length is fixed.
        code: numbers in `z`.
        parts: `code`, a module that reads nothing and gives `code` numbers.

    Raises:
        ValueError: the host is not such a block, or a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(6, 8),))
        >>> spec = ModuleSpec("conditional_attention", {"blocks": 2, "code": 4})
        >>> facts(spec, [], host=host).parameters  # 2 * 3 * 3, the code, and its map to 2 * 2 * 3 numbers
        82
    """

    family = "conditional_attention"
    reference = "Pilault et al. 2021 (2009.09139), conditional attention"

    def __init__(
        self, host: Module, *, blocks: int = 1, length: int | None = None, code: int = 8,
        parts: Mapping[str, Module] | None = None,
    ) -> None:
        super().__init__()
        needs(host, "logits")
        if len(host.inputs) > 1:
            raise ValueError("`host` must attend to itself, found a host with two inputs: use a block with one.")
        port = host.output
        own = port.length if isinstance(port, Tokens) else None
        length = whole("length", own if length is None else length)
        if length % whole("blocks", blocks):
            raise ValueError(f"`blocks` must divide the length {length}, found {blocks}.")
        self.code = Code(code, parts or {})
        self.cells = nn.Parameter(torch.empty(blocks, length // blocks, length // blocks))
        self.film = nn.Linear(code, 2 * length)
        places = row_count(port)
        # Logits once more, and the sum of values by what changed of their weights.
        self._flops = 2 * product(places, host.site_ports["normed"].dim, places)  # type: ignore[attr-defined]

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the own code and the blocks; set FiLM to zero."""
        self.code.initialise(generator)
        nn.init.normal_(self.cells, generator=generator)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def bias(self) -> Tensor:
        """What is added to the logits, (length, length)."""
        blocks, n, _ = self.cells.shape
        gain, shift = self.film(self.code()).reshape(2, blocks, 1, n)
        return torch.block_diag(*(gain * self.cells + shift))

    def inside(self, *condition: Value) -> Mapping[str, Callable[[Any], Any]]:
        """Add the blocks to logits (B, heads, tokens, tokens), cut or padded with zeros to their number."""

        def add(logits: Tensor) -> Tensor:
            missing = logits.shape[-1] - self.cells.shape[0] * self.cells.shape[1]
            return logits + F.pad(self.bias(), (0, missing, 0, missing))

        return {"logits": add}

    def flops(self) -> int:
        """The two products of attention, once more."""
        return self._flops

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """One block over the host's length, at most 32 tokens."""
        if "logits" not in host.sites or len(host.inputs) > 1 or not isinstance(host.output, Tokens):
            return None
        return {"length": min(row_count(host.output), 32)}


class ConditionalNorm(Delta):
    """`(1 + gain(z)) * w + shift(z)` for the scale `w` of every norm of the host, by FiLM of a task's code `z`.

    The neutral condition is a gain and a shift of zero, as at the start. It can be merged, and costs no FLOPs a sample.

    Args:
        host: a module with norms.
        code: numbers in `z`.
        parts: `code`, a module that reads nothing and gives `code` numbers.

    Raises:
        ValueError: the host has no norms, or a setting is out of range.

    Example:
        >>> from pathways.modules import ModuleSpec, Tokens, facts
        >>> host = (ModuleSpec("transformer", {"heads": 2}), (Tokens(6, 8),))
        >>> facts(ModuleSpec("conditional_norm", {"code": 4}), [], host=host).parameters  # 4 + 5 * 2 * 16
        164
    """

    family = "conditional_norm"
    reference = "Pilault et al. 2021 (2009.09139), conditional layer normalization"

    def __init__(self, host: Module, *, code: int = 8, parts: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.targets = norm_weights(host, "weight")
        if not self.targets:
            raise ValueError("`host` must have norms with scales, found none: use a module that normalises.")
        self.sizes = [host.get_parameter(name).numel() for name in self.targets]
        self.code = Code(code, parts or {})
        self.film = nn.Linear(code, 2 * sum(self.sizes))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the own code; set FiLM to zero."""
        self.code.initialise(generator)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def weights(self, host: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The host's parameters, scales of its norms changed."""
        gains, shifts = (half.split(self.sizes) for half in self.film(self.code()).chunk(2))
        changed = dict(host)
        for name, gain, shift in zip(self.targets, gains, shifts, strict=True):
            changed[name] = (1 + gain) * host[name] + shift
        return changed

    @classmethod
    def fitting(cls, host: Module) -> Mapping[str, Any] | None:
        """A small code, where there are norms."""
        return {"code": 4} if norm_weights(host, "weight") else None
