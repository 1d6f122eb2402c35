"""The precision of training steps: float32, or products and convolutions in bfloat16."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

_log = logging.getLogger("pathways.trainer")


def products_in(precision: str, device: str = "cpu") -> AbstractContextManager[object]:
    """The context of a forward pass whose products and convolutions, and their gradients, are of a precision.

    Weights stay float32: they are cast for each product (Micikevicius et al. 2018, 1710.03740; bfloat16 needs no
    scaling of losses: Kalamkar et al. 2019, 1905.12322).

    Args:
        precision: `float32` or `bfloat16`.
        device: where the pass runs.

    Example:
        >>> with products_in("bfloat16"):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    if precision == "float32":
        return nullcontext()
    _warn_where_slow(device)
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def fast_bfloat16(device: str = "cpu") -> bool:
    """Whether the processor has instructions for products in bfloat16."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Names that torch keeps to itself may go; then nothing is known, and that is said.
    return any(getattr(torch.cpu, name, bool)() for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"))


@cache
def _warn_where_slow(device: str) -> None:
    if not fast_bfloat16(device):
        _log.warning("`precision: bfloat16` may be slower than float32 here: the processor has no instructions for it")


__all__ = ["fast_bfloat16", "products_in"]
