"""What stands between two submodules, where it has no weights: found by comparing values bit by bit."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pathways.errors import PathError
from pathways.modules import Context, Ids, Image, ModuleSpec, Port, Signal, Tokens, Vector, build

Glue = tuple[ModuleSpec, ...]

_MEAN, _MAXIMUM = ModuleSpec("pool"), ModuleSpec("pool", {"over": "max"})
_FLAT, _TOKENS = ModuleSpec("flatten"), ModuleSpec("as_tokens")


def token(start: int, stop: int | None) -> Glue:
    """One token as a vector."""
    return (ModuleSpec("slice", {"start": start, "stop": stop, "axis": "length"}), _MEAN)  # the mean of one is itself


FIRST, LAST = token(0, 1), token(-1, None)


def _without(start: int, stop: int | None) -> Glue:
    return (ModuleSpec("slice", {"start": start, "stop": stop, "axis": "length"}),)


_PATCHES = (_without(1, None), (*_without(1, None), _MEAN), _without(0, -1))
_CANDIDATES: dict[type[Port], tuple[Glue, ...]] = {
    Image: ((), (_FLAT,), (_MEAN,), (_MAXIMUM,), (_TOKENS,)),
    Tokens: ((), FIRST, LAST, (_MEAN,), (_MAXIMUM,), (_FLAT,), *_PATCHES),
    Signal: ((), (_FLAT,), (_MEAN,), (_MAXIMUM,), (_TOKENS,)),
    Vector: ((), (_TOKENS,)),
    Ids: ((),),
}


def between(value: Tensor, port: Port, wanted: Tensor) -> Glue | None:
    """The weightless modules that make `wanted` of a value of `port`, to the bit; `None` where there are none.

    Known are: nothing at all; an image's or a signal's numbers as one vector, their mean or maximum over places, their
    places as tokens; of tokens one (the first, the last), all but that, their mean or maximum.
    """
    for glue in _CANDIDATES[type(port)]:
        for found in _run(value, port, glue):
            if found.shape == wanted.shape and found.dtype == wanted.dtype and torch.equal(found, wanted):
                return glue
    return None


def _run(value: Tensor, port: Port, glue: Glue) -> Iterator[Tensor]:
    """What glue makes of a value; nothing where it cannot read it."""
    try:
        for spec in glue:
            module = build(spec, (port,), torch.Generator())
            value, port = module(value, context=Context()), module.output  # type: ignore[assignment]
    except ValueError:  # such as one token of one
        return
    yield value


def port_of(value: Tensor, what: str) -> Port:
    """The port that a value's shape tells: images, tokens or vectors.

    Raises:
        PathError: it has another shape, or holds ids, of which only the user knows how many there are.
    """
    sizes = tuple(value.shape[1:])
    if value.dtype.is_floating_point and 1 <= len(sizes) <= 3:
        return Vector(*sizes) if len(sizes) == 1 else Tokens(*sizes) if len(sizes) == 2 else Image(*sizes)
    raise PathError(
        f"{what} must be a vector, tokens or an image for each sample, found shape {tuple(value.shape)} of "
        f"{value.dtype}: say which port it is in `ports`, or name other submodules."
    )


__all__ = ["FIRST", "LAST", "Glue", "between", "port_of"]
