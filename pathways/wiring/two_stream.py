"""A single stream in which all inputs meet, with a stream of each input's own on top."""

from __future__ import annotations

from collections.abc import Mapping

from pathways.modules import Port, Tokens
from pathways.path import Path

from .layout import Encoders, Layout, Said, block_of, cut


def two_stream(
    inputs: Mapping[str, Port], *, dim: int = 32, layers: int = 1, own_layers: int = 1, read: str | None = None,
    heads: int = 4, block: Said | None = None, encoders: Encoders | None = None,
) -> Path:
    """All tokens in one sequence through `layers` blocks, then cut apart again, each input with its own blocks.

    A path that reads one stream does without the steps of the others. Where an input has no real places, the others'
    streams give what the path of these inputs alone gives.

    Args:
        inputs: the port of each input; the tokens of one at most may vary in number.
        dim: numbers in each token.
        layers: that all inputs share.
        own_layers: of each input's own, above them.
        read: the input whose stream heads read; those of all, side by side, when not given.
        heads: attention heads of the usual block.
        block: the module of a layer, as plain data; a transformer block when not given.
        encoders: by input, what makes tokens of it, as plain data.

    Example:
        >>> from pathways.modules import Ids, Tokens
        >>> path = two_stream({"text": Ids(5, 20), "image": Tokens(None, 8)}, dim=8, read="text")
        >>> [name for name in path.steps if name.startswith("image")], path.ports()["text.stream"]
        ([], Tokens(length=None, dim=8))

    Reference: Lin et al. 2020, InterBERT (2003.13198).
    """
    if read is not None and read not in inputs:
        raise ValueError(f"`read` must be one of the inputs {list(inputs)}, found {read!r}")
    lay = Layout(inputs, block_of(block, heads), dim, encoders)
    tokens = {name: lay.encoded(name) for name in inputs}
    lengths = {name: port.length for name in tokens if isinstance(port := lay.port(tokens[name]), Tokens)}
    order = sorted(tokens, key=lambda name: lengths[name] is None)  # a stable sort: the one that varies comes last
    if list(lengths.values()).count(None) > 1:
        raise ValueError(f"`inputs` must have at most one of variable length, found lengths {lengths}")
    last = lay.layers("layer", layers, lay.joined("together", [tokens[name] for name in order]))
    streams, start = {}, 0
    for name in order:
        length = lengths[name]
        stop = None if length is None else start + length
        part = lay.add(f"{name}.stream", cut(start, stop), last)
        streams[name] = lay.layers(f"{name}.layer", own_layers, part)
        start = stop or start
    wanted = [read] if read is not None else list(inputs)
    return lay.path(lay.pooled({name: streams[name] for name in wanted}))


__all__ = ["two_stream"]
