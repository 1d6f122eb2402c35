"""Early, middle and late fusion: where several inputs meet.

Reference: Baltrušaitis et al. 2019, Multimodal machine learning (1705.09406), model-agnostic fusion.
"""

from __future__ import annotations

from collections.abc import Mapping

from pathways.modules import Port
from pathways.path import Path

from .layout import Encoders, Layout, Said, block_of


def early(
    inputs: Mapping[str, Port], *, dim: int = 32, layers: int = 2, heads: int = 4, block: Said | None = None,
    encoders: Encoders | None = None,
) -> Path:
    """`f([x_a; x_b])`: the tokens of all inputs are one sequence, which one net reads.

    Example:
        >>> from pathways.modules import Tokens
        >>> early({"a": Tokens(3, 8), "b": Tokens(4, 8)}, dim=8).ports()["layer2"]
        Tokens(length=7, dim=8)
    """
    return middle(
        inputs, dim=dim, layers=layers, fuse_from=0, heads=heads, block=block, encoders=encoders
    )


def middle(
    inputs: Mapping[str, Port], *, dim: int = 32, layers: int = 2, fuse_from: int = 1, heads: int = 4,
    block: Said | None = None, encoders: Encoders | None = None,
) -> Path:
    """`g(f_a(x_a), f_b(x_b))`: each input has its own net up to layer `fuse_from`, then all have one.

    Args:
        inputs: the port of each input.
        dim: numbers in each token.
        layers: how many in all.
        fuse_from: the first layer that reads all inputs, from 0; each input has its own layers before it.
        heads: attention heads of the usual block.
        block: the module of a layer, as plain data; a transformer block when not given.
        encoders: by input, what makes tokens of it, as plain data.
    """
    if not 0 <= fuse_from <= layers:
        raise ValueError(f"`fuse_from` must be in [0, {layers}], the layers, found {fuse_from!r}")
    lay = Layout(inputs, block_of(block, heads), dim, encoders)
    own = [lay.layers(f"{name}.layer", fuse_from, lay.encoded(name)) for name in inputs]
    last = lay.layers("layer", layers - fuse_from, lay.joined("together", own))
    return lay.path(lay.add("pooled", {"family": "pool"}, last))


def late(
    inputs: Mapping[str, Port], *, dim: int = 32, layers: int = 2, heads: int = 4, block: Said | None = None,
    encoders: Encoders | None = None,
) -> Path:
    """`h_a(x_a) + h_b(x_b)`: each input has its own net; nothing but a linear head reads more than one.

    What they give stands side by side, so that a linear head adds one decision for each input.

    Example:
        >>> from pathways.modules import Vector
        >>> late({"a": Vector(3), "b": Vector(4)}, dim=8).ports()["joined"]
        Vector(dim=16)
    """
    lay = Layout(inputs, block_of(block, heads), dim, encoders)
    return lay.path(lay.pooled({name: lay.layers(f"{name}.layer", layers, lay.encoded(name)) for name in inputs}))


__all__ = ["early", "late", "middle"]
