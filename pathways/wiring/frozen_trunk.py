"""One trunk for unlike tasks, frozen or tuned, in which an input is looked at in the light of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pathways.modules import Port
from pathways.path import Path

from .layout import ANY_LENGTH, POOL, Encoders, Layout, Said, block_of


def frozen_trunk(
    inputs: Mapping[str, Port], *, trunk: Sequence[Said] = (), layers: int = 2, asks: str | None = None, dim: int = 32,
    heads: int = 4, encoders: Encoders | None = None,
) -> Path:
    """All inputs go through one trunk; with `asks`, `norm(x + attend(x, text))` looks at all others in its light.

    The trunk's modules are called the same whatever the inputs, so that tasks trained together share it; one with
    `blob` is frozen.

    Args:
        inputs: the port of each input.
        trunk: its modules, as plain data, one behind the other; transformer blocks when not given.
        layers: how many of these.
        asks: the input, such as a question, that the others are looked at by; `None` reads the trunk's tokens.
        dim: numbers in each token that the trunk reads and gives.
        heads: attention heads.
        encoders: by input, what makes tokens of it, as plain data.

    Example:
        >>> from pathways.modules import Ids, Image
        >>> path = frozen_trunk({"image": Image(1, 8, 8), "text": Ids(5, 20)}, asks="text", dim=8)
        >>> path.steps["looked"].reads
        ('image.any_length', 'text.trunk2')

    Reference: Bakshandaeva et al. 2021, Fusion Brain (2111.10974).
    """
    if asks is not None and (asks not in inputs or len(inputs) < 2):
        raise ValueError(f"`asks` must be one of at least two inputs, found {asks!r} of {list(inputs)}")
    lay = Layout(inputs, block_of(None, heads), dim, encoders)
    modules = trunk or [lay.block] * layers
    read = {}
    for name in inputs:
        tokens = lay.encoded(name)
        read[name] = lay.add(f"{name}.any_length", ANY_LENGTH, tokens)
    if asks is None:
        all_of = lay.joined(f"{'+'.join(read)}.together", list(read.values()))
        last = lay.chain("trunk", modules, all_of, module="trunk")
        return lay.path(lay.add("pooled", POOL, last))
    text = lay.chain(f"{asks}.trunk", modules, read[asks], module="trunk")
    rest = [name for name in read if name != asks]
    others = lay.joined(f"{'+'.join(rest)}.together", [read[name] for name in rest])
    looked = lay.add("looked", {"family": "cross_attention", "config": {"heads": heads}}, others, text)
    return lay.path(lay.add("pooled", POOL, looked))


__all__ = ["frozen_trunk"]
