"""Fusion through a few bottleneck tokens."""

from __future__ import annotations

from collections.abc import Mapping

from pathways.modules import Port
from pathways.path import Path, Step

from .layout import Encoders, Layout, Said, block_of, cut, made

MODES = ("mean", "sequential")


def bottleneck(
    inputs: Mapping[str, Port], *, dim: int = 32, layers: int = 2, fuse_from: int = 0, bottlenecks: int = 4,
    mode: str = "mean", heads: int = 4, block: Said | None = None, encoders: Encoders | None = None,
) -> Path:
    """From layer `fuse_from` on, each input attends to its own tokens and to `bottlenecks` tokens that all share.

    `[z_m; x_m] <- block([z; x_m])` for each input `m`, then `z <- mean_m z_m` (as the published code has it), or, one
    after another, `z <- z_m` (as the text may be read). Nothing else passes between the inputs.

    Args:
        inputs: the port of each input.
        dim: numbers in each token.
        layers: how many each input has.
        fuse_from: the first layer with bottlenecks, from 0; at `layers` there is none.
        bottlenecks: how many; at 0 the inputs never meet.
        mode: `mean` or `sequential`.
        heads: attention heads of the usual block.
        block: the module of a layer, as plain data; a transformer block when not given.
        encoders: by input, what makes tokens of it, as plain data.

    Example:
        >>> from pathways.modules import Tokens
        >>> path = bottleneck({"a": Tokens(3, 8), "b": Tokens(4, 8)}, dim=8, fuse_from=1)
        >>> path.ports()["b.layer1"], path.ports()["b.layer2"]
        (Tokens(length=4, dim=8), Tokens(length=8, dim=8))

    Reference: Nagrani et al. 2021, Attention bottlenecks for multimodal fusion (2107.00135), section 3.2.
    """
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {MODES}, found {mode!r}")
    if not 0 <= fuse_from <= layers:
        raise ValueError(f"`fuse_from` must be in [0, {layers}], the layers, found {fuse_from!r}")
    if type(bottlenecks) is not int or bottlenecks < 0:
        raise ValueError(f"`bottlenecks` must be a whole number of at least 0, found {bottlenecks!r}")
    lay = Layout(inputs, block_of(block, heads), dim, encoders)
    own = {name: lay.encoded(name) for name in inputs}
    if bottlenecks:
        z = lay.add("bottlenecks", {"family": "learned_tokens", "config": {"length": bottlenecks, "dim": dim}})
    for i in range(1, layers + 1):
        given: list[str] = []
        for name in inputs:
            if i <= fuse_from or not bottlenecks:
                own[name] = lay.add(f"{name}.layer{i}", lay.block, own[name])
                continue
            read = lay.add(f"{name}.with{i}", {"family": "concat", "config": {"axis": "length"}}, z, own[name])
            both = lay.add(f"{name}.layer{i}", lay.block, read)
            own[name] = lay.add(f"{name}.own{i}", cut(bottlenecks, None), both)
            given.append(lay.add(f"{name}.bottlenecks{i}", cut(0, bottlenecks), both))
            if mode == "sequential":
                z = given[-1]
        if given and mode == "mean":
            z = _mean(lay, f"bottlenecks{i}", given, bottlenecks)
    return lay.path(lay.pooled(own))


def _mean(lay: Layout, name: str, given: list[str], count: int) -> str:
    """The mean of the inputs' bottlenecks: a step combines what its modules give, so each takes one input's part."""
    joined = lay.joined(f"{name}.all", given)
    parts = [made(cut(i * count, (i + 1) * count), f"{name}.{i}") for i in range(len(given))]
    lay.steps[name] = Step(tuple(parts), (joined,), "mean")
    return name


__all__ = ["MODES", "bottleneck"]
