"""Two towers whose outputs are compared: matching pairs are told from all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathways.modules import Port
from pathways.path import Path

from .layout import ANY_LENGTH, POOL, Encoders, Layout, Said, block_of, linear


def two_tower(
    inputs: Mapping[str, Port], *, dim: int = 32, layers: int = 2, heads: int = 4, shared: bool = False,
    match: Mapping[str, Any] | None = None, block: Said | None = None, encoders: Encoders | None = None,
) -> Path:
    """`exp(t) cos(f_a(x_a), f_b(x_b))`, trained by the contrastive loss of `match`; the step `match` is the output.

    The embeddings are the steps `NAME.embedded`: an image's class is the prompt whose embedding is nearest to its own.

    Args:
        inputs: two ports.
        dim: numbers in each token, and in each embedding.
        layers: of each tower.
        heads: attention heads of the usual block.
        shared: whether both inputs go through one tower, behind encoders of their own.
        match: the settings of the family `match`.
        block: the module of a layer, as plain data; a transformer block when not given.
        encoders: by input, what makes tokens of it, as plain data.

    Example:
        >>> from pathways.modules import Ids, Image
        >>> inputs = {"image": Image(1, 8, 8), "text": Ids(5, 20)}
        >>> two, one = two_tower(inputs, dim=8), two_tower(inputs, dim=8, shared=True)
        >>> two.ports()["match"], len(one.drafts()) < len(two.drafts())
        (Vector(dim=1), True)

    Reference: Radford et al. 2021, CLIP (2103.00020), section 2.3; one tower: MA-CLIP, withdrawn from ICLR 2022.
    """
    if len(inputs) != 2:
        raise ValueError(f"`inputs` must be two, which are compared, found {list(inputs)}")
    lay = Layout(inputs, block_of(block, heads), dim, encoders)
    for name in inputs:
        last = lay.encoded(name)
        if shared:  # one module reads one port: both sequences may have any length
            last = lay.add(f"{name}.any_length", ANY_LENGTH, last)
        last = lay.layers(f"{name}.layer", layers, last, module="tower" if shared else None)
        pooled = lay.add(f"{name}.pooled", POOL, last)
        lay.add(f"{name}.embedded", linear(dim), pooled, module="embedded" if shared else None)
    pair = [f"{name}.embedded" for name in inputs]
    return lay.path(lay.add("match", {"family": "match", "config": dict(match or {})}, *pair))


__all__ = ["two_tower"]
