"""Two streams that read each other."""

from __future__ import annotations

from collections.abc import Mapping

from pathways.modules import Port
from pathways.path import Path

from .layout import Encoders, Layout, Said, block_of


def co_attention(
    inputs: Mapping[str, Port], *, dim: int = 32, layers: int = 1, co_layers: int = 1, heads: int = 4,
    block: Said | None = None, encoders: Encoders | None = None,
) -> Path:
    """Each stream's queries read the other's keys and values, then its own tokens: `co_layers` times.

    `a' = block(a, b); b' = block(b, a); a <- block(a'); b <- block(b')`, after `layers` blocks of each stream's own.
    Without co-attention it is late fusion.

    Args:
        inputs: two ports.
        dim: numbers in each token.
        layers: of each stream's own, before the streams meet.
        co_layers: how many times each reads the other.
        heads: attention heads of the usual block.
        block: the module of a layer, which reads one value or two; a transformer block when not given.
        encoders: by input, what makes tokens of it, as plain data.

    Example:
        >>> from pathways.modules import Image, Ids
        >>> path = co_attention({"image": Image(1, 8, 8), "text": Ids(5, 20)}, dim=8)
        >>> path.steps["image.co1"].reads
        ('image.layer1', 'text.layer1')

    Reference: Lu et al. 2019, ViLBERT (1908.02265), section 2.2.
    """
    if len(inputs) != 2:
        raise ValueError(f"`inputs` must be two, which read each other, found {list(inputs)}")
    if type(co_layers) is not int or co_layers < 0:
        raise ValueError(f"`co_layers` must be a whole number of at least 0, found {co_layers!r}")
    lay = Layout(inputs, block_of(block, heads), dim, encoders)
    first, second = inputs
    own = {name: lay.layers(f"{name}.layer", layers, lay.encoded(name)) for name in inputs}
    for i in range(1, co_layers + 1):
        read = {name: lay.add(f"{name}.co{i}", lay.block, own[name], own[other])
                for name, other in ((first, second), (second, first))}
        own = {name: lay.add(f"{name}.after{i}", lay.block, step) for name, step in read.items()}
    return lay.path(lay.pooled(own))


__all__ = ["co_attention"]
