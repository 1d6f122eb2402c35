"""Canonical conversions: the modules that stand between what one step gives and what another reads.

One way leads from a kind of port to another, or none:

| from | to a vector | to tokens |
|---|---|---|
| image | `flatten`: a mean would forget where things are | `as_tokens`, its pixels row by row |
| signal | `pool` (mean): it reads any length | `as_tokens`, its places |
| tokens | `pool` (mean): it reads any length | |
| ids | `embed`, then `pool` | `embed` |
| vector | | `as_tokens`, one token |

Nothing becomes an image, a signal or ids: in which order, and of which height, would be a choice. Where only the width
differs (of vectors and tokens their dim, of images their channels), a projection follows: `linear`, of images a `conv`
of one pixel. `embed` and projections have weights; all else has none. Lengths, heights and widths stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pathways.modules import (
    BUILT_IN,
    Families,
    Ids,
    Image,
    ModuleSpec,
    Port,
    PortError,
    Signal,
    Tokens,
    Vector,
    facts,
)

from .errors import PathError

_AS_TOKENS = ModuleSpec("as_tokens")
DIM = 32
"""Numbers in an embedding where nobody says how many."""

Glue = tuple[ModuleSpec, ...]


def conversion(found: Port, wanted: Port | type[Port], families: Families = BUILT_IN) -> Glue:
    """The modules that make `found` what is wanted, in order; none where it is that already.

    Args:
        found: what a step gives.
        wanted: the port that is to be read, or its kind.
        families: the families that specs may name.

    Raises:
        PathError: there is no canonical conversion; the message names both ports.

    Example:
        >>> from pathways.modules import Image, Tokens, Vector
        >>> [spec.family for spec in conversion(Image(8, 7, 7), Tokens(49, 16))]
        ['as_tokens', 'linear']
        >>> conversion(Vector(5), Vector)
        ()
        >>> conversion(Vector(5), Image(1, 5, 1))
        Traceback (most recent call last):
        pathways.errors.PathError: there is no canonical conversion from Vector(dim=5) to Image(channels=1, height=5,
        width=1): put a module between that reads the one and gives the other.
    """
    kind = wanted if isinstance(wanted, type) else type(wanted)
    width = None if isinstance(wanted, type) else width_of(wanted)
    made = _to_kind(found, kind, width or DIM)
    if made is not None and not isinstance(wanted, type):
        port = through(found, made, families)
        projection = _projection(port, wanted)
        made = None if projection is None else (*made, *projection)
    if made is None:
        name = f"any {kind.__name__}" if isinstance(wanted, type) else str(wanted)
        raise PathError(
            f"there is no canonical conversion from {found} to {name}: put a module between that reads the one and "
            f"gives the other."
        )
    return made


def ways(found: Port) -> Iterator[Glue]:
    """The conversions of `found` to every kind that it canonically becomes, that to itself first.

    >>> [[spec.family for spec in way] for way in ways(Image(8, 7, 7))]
    [[], ['as_tokens'], ['flatten']]
    """
    yield ()
    for kind in (Tokens, Vector):
        made = _to_kind(found, kind, DIM)
        if made:
            yield made


def reading(found: Port, spec: ModuleSpec, families: Families = BUILT_IN) -> Glue:
    """The modules after which `spec` reads what a step gives; an image that it can read either way is a vector.

    Raises:
        PathError: it reads nothing that `found` canonically becomes; the message names the port and what it reads.

    Example:
        >>> [glue.family for glue in reading(Tokens(None, 8), ModuleSpec("linear", {"dim": 4}))]
        []
        >>> [glue.family for glue in reading(Image(8, 7, 7), ModuleSpec("transformer", {"heads": 2}))]
        ['as_tokens']
    """
    first = ""
    for way in sorted(ways(found), key=lambda way: way[:1] == (_AS_TOKENS,)):
        try:
            facts(spec, (through(found, way, families),), families=families)
        except ValueError as error:
            first = first or str(error)
            continue
        return way
    raise PathError(
        f"there is no canonical conversion from {found} to what family `{spec.family}` reads: {first}; put a module "
        f"between that reads the one and gives the other."
    )


def through(port: Port, glue: Sequence[ModuleSpec], families: Families = BUILT_IN) -> Port:
    """The port that `port` becomes behind modules of one input each.

    >>> through(Image(8, 7, 7), conversion(Image(8, 7, 7), Vector))
    Vector(dim=392)
    """
    for spec in glue:
        output = facts(spec, (port,), families=families).output
        if output is None:
            raise PortError(f"family `{spec.family}` must be a module, found a delta")
        port = output
    return port


def width_of(port: Port) -> int | None:
    """The dim of a vector or tokens, the channels of an image or a signal; `None` of other ports."""
    name = _width(port)
    return None if name is None else getattr(port, name)


def _width(port: Port) -> str | None:
    if isinstance(port, (Vector, Tokens)):
        return "dim"
    return "channels" if isinstance(port, (Image, Signal)) else None


def _to_kind(found: Port, kind: type[Port], dim: int) -> Glue | None:
    """From a port to a kind, or `None`."""
    if type(found) is kind:
        return ()
    embed = (ModuleSpec("embed", {"dim": dim}),) if type(found) is Ids else ()
    if kind is Tokens:
        return embed or ((_AS_TOKENS,) if type(found) in (Image, Signal, Vector) else None)
    if kind is Vector:
        if type(found) is Image:
            return (ModuleSpec("flatten"),)
        return (*embed, ModuleSpec("pool")) if type(found) in (Ids, Signal, Tokens) else None
    return None


def _projection(port: Port, wanted: Port) -> Glue | None:
    """From a port to another that differs in its width only, or `None`."""
    if port == wanted:
        return ()
    name = _width(wanted)
    if name is None or type(port) is not type(wanted) or isinstance(port, Signal):
        return None
    width = getattr(wanted, name)
    if replace(port, **{name: width}) != wanted:
        return None
    if isinstance(wanted, Image):
        return (ModuleSpec("conv", {"channels": width, "kernel": 1, "activation": "none"}),)
    return (ModuleSpec("linear", {"dim": width}),)


__all__ = ["conversion", "reading", "through", "ways", "width_of"]
