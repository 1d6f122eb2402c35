"""A group of related samples that attend to one another."""

from __future__ import annotations

from collections.abc import Mapping

from pathways.modules import Port, Tokens
from pathways.path import Path

from .layout import BESIDE, POOL, Encoders, Layout, Said, block_of, cut, usual


def group(
    inputs: Mapping[str, Port], *, members: int | None = None, joint: bool = True, dim: int = 32, layers: int = 2,
    heads: int = 4, block: Said | None = None, encoders: Encoders | None = None,
) -> Path:
    """A sample is a group of n members; each has the base model, and attention is over the tokens of all of them.

    Members share every module. In a layer their tokens are one sequence of n N, then each goes on with its own N. With
    one member, or without `joint`, this is the base model.

    Args:
        inputs: one port for each member, all alike; or one of tokens, n times as many as a member has.
        members: into how many one input of tokens is cut; by default each input is a member.
        joint: whether members attend to one another.
        dim: numbers in each token.
        layers: how many.
        heads: attention heads of the usual block.
        block: the module of a layer, as plain data; a transformer block when not given.
        encoders: for `member`, what makes tokens of each, as plain data.

    Example:
        >>> from pathways.modules import Tokens
        >>> path = group({"images": Tokens(12, 8)}, members=3, dim=8)
        >>> path.ports()["layer1"], path.ports()["joined"], list(path.drafts())[-1]
        (Tokens(length=12, dim=8), Vector(dim=24), 'joined')

    Reference: Huang et al. 2024, Group diffusion transformers (2410.15027).
    """
    own = dict(inputs)
    lay = Layout(own, block_of(block, heads), dim, None)
    if members is not None:
        own = _cut(lay, own, members)
    if len(set(own.values())) != 1:
        raise ValueError(f"`inputs` must be members of one port, found {list(map(str, own.values()))}")
    said = (encoders or {}).get("member")
    last = {}
    for name, port in own.items():
        modules = said if said is not None else usual(port, dim)
        encoded = lay.chain(f"{name}.encoder", modules, name, module="encoder")
        last[name] = lay.as_tokens(f"{name}.tokens", encoded, module="tokens")
    count = lay.length(next(iter(last.values())))
    for i in range(1, layers + 1):
        if not joint:
            last = {name: lay.add(f"{name}.layer{i}", lay.block, read, module=f"layer{i}")
                    for name, read in last.items()}
            continue
        all_of = lay.add(f"layer{i}", lay.block, lay.joined(f"together{i}", list(last.values())))
        if len(own) > 1:
            last = {name: lay.add(f"{name}.own{i}", cut(k * count, (k + 1) * count), all_of, module=f"own{i}.{k}")
                    for k, name in enumerate(own)}
        else:
            last = dict.fromkeys(own, all_of)
    pooled = [lay.add(f"{name}.pooled", POOL, read, module="pooled") for name, read in last.items()]
    return lay.path(lay.joined("joined", pooled, BESIDE))


def _cut(lay: Layout, inputs: Mapping[str, Port], members: int) -> dict[str, Port]:
    """The members that one input of tokens holds, each a step."""
    name, port = next(iter(inputs.items()))
    if len(inputs) != 1 or not isinstance(port, Tokens) or port.length is None:
        raise ValueError(f"`members` must be left out unless one input of tokens holds them, found {list(inputs)}")
    if type(members) is not int or members < 1 or port.length % members:
        raise ValueError(f"`members` must divide the length {port.length} of {name!r}, found {members!r}")
    count = port.length // members
    if members == 1:
        return {name: port}
    own = [lay.add(f"{name}.{i}", cut(i * count, (i + 1) * count), name) for i in range(members)]
    return {step: lay.port(step) for step in own}


__all__ = ["group"]
