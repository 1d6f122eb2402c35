"""A cache in time and a cache in space, into which all inputs are put, and a decoder that reads both."""

from __future__ import annotations

from collections.abc import Mapping

from pathways.modules import Image, Port
from pathways.path import Path

from .layout import ANY_LENGTH, AS_TOKENS, JOIN, POOL, Encoders, Layout, Said, block_of


def cache(
    inputs: Mapping[str, Port], *, task: str = "task", dim: int = 32, layers: int = 1, queries: int = 1,
    heads: int = 4, block: Said | None = None, encoders: Encoders | None = None,
) -> Path:
    """Each input is laid down by step in time and place in space; a task's token reads time, which gates space.

    An image is one step in time (the mean of its places) and has places in space; all else is a step for each token
    and has no places. Images come first in both caches; what is read does not depend on the order of inputs.

    Args:
        inputs: the port of each input.
        task: what the task's tokens are called.
        dim: numbers in each token.
        layers: of the decoder.
        queries: how many tokens ask.
        heads: attention heads.
        block: what reads the temporal cache where no input is an image; a transformer block when not given.
        encoders: by input, what makes tokens of it, as plain data.

    Example:
        >>> from pathways.modules import Ids, Image
        >>> path = cache({"image": Image(1, 8, 8), "text": Ids(5, 20)}, dim=8)
        >>> path.ports()["temporal"], path.ports()["spatial"]
        (Tokens(length=6, dim=8), Tokens(length=4, dim=8))

    Reference: Pramanik et al. 2019, OmniNet (1907.07804), sections 3.1 and 3.2.
    """
    lay = Layout(inputs, block_of(block, heads), dim, encoders)
    seen = [name for name, port in inputs.items() if isinstance(port, Image)]
    space = {name: lay.encoded(name) for name in seen}
    time = [lay.add(f"{name}.step", AS_TOKENS, lay.add(f"{name}.mean", POOL, read)) for name, read in space.items()]
    time += [lay.encoded(name) for name in inputs if name not in seen]
    # What reads the caches may be one module in paths of several tasks, whatever their inputs: its ports are alike.
    temporal = lay.add("time", ANY_LENGTH, lay.add("temporal", JOIN, *time, module=f"temporal/{'+'.join(inputs)}"),
                       module=f"time/{'+'.join(inputs)}")
    asks = {"family": "learned_tokens", "config": {"length": queries, "dim": dim}}
    last = lay.add("queries", asks, module=f"queries/{task}")
    if not seen:
        for i in range(1, layers + 1):
            last = lay.add(f"read{i}", lay.block, last, temporal, module=f"read.time{i}")
        return lay.path(lay.add("pooled", POOL, last))
    places = [lay.length(read) for read in space.values()]
    spatial = lay.add("spatial", JOIN, *space.values(), module=f"spatial/{'+'.join(seen)}")
    gated = {"family": "gated_attention", "config": {"heads": heads, "places": places}}
    for i in range(1, layers + 1):
        last = lay.add(f"read{i}", gated, last, temporal, spatial, module=f"read.{places}{i}")
    return lay.path(lay.add("pooled", POOL, last))


__all__ = ["cache"]
