"""Laying out steps: the few words that all wirings are written in.

A wiring is a function of ports and plain data that returns a headless path. Modules are said as in a preset,
`{family, config}`; with `blob: ID` beside them they are frozen modules of the pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pathways.errors import PathError
from pathways.modules import (
    BUILT_IN,
    Draft,
    Frozen,
    Ids,
    Image,
    Init,
    ModuleRef,
    ModuleSpec,
    Port,
    Signal,
    Tokens,
    Vector,
)
from pathways.path import Path, Step

Said = Mapping[str, Any]
"""A module as plain data: `family`, `config`, and `blob` where it is frozen."""
Encoders = Mapping[str, Sequence[Said]]
"""By input, the modules that make tokens of it, one behind the other."""

POOL: Said = {"family": "pool"}
AS_TOKENS: Said = {"family": "as_tokens"}
ANY_LENGTH: Said = {"family": "any_length"}
JOIN: Said = {"family": "concat", "config": {"axis": "length"}}
BESIDE: Said = {"family": "concat"}


class Layout:
    """The steps of a path in the making.

    Args:
        inputs: the port of each input.
        block: the module of one layer, which reads tokens and, in places that say so, other tokens.
        dim: numbers in each token.
        encoders: by input, what makes tokens of it; see `encoded`.
    """

    def __init__(self, inputs: Mapping[str, Port], block: Said, dim: int, encoders: Encoders | None) -> None:
        self.inputs, self.block, self.dim, self.encoders = dict(inputs), block, dim, dict(encoders or {})
        self.steps: dict[str, Step] = {}
        if not self.inputs:
            raise ValueError("`inputs` must hold at least one port, found none")
        if unknown := sorted(set(self.encoders) - set(self.inputs)):
            raise ValueError(f"`encoders` must be of inputs {list(self.inputs)}, found {unknown}")

    def add(self, name: str, said: Said, *reads: str, module: str | None = None) -> str:
        """A step of one module; steps whose modules have one name share it. Returns the step's name."""
        self.steps[name] = Step((made(said, module or name),), reads)
        return name

    def chain(self, name: str, modules: Sequence[Said], read: str, module: str | None = None) -> str:
        """Modules one behind the other, steps `name1`, `name2` and on; returns the last, or `read`."""
        for i, said in enumerate(modules, 1):
            read = self.add(f"{name}{i}", said, read, module=f"{module}{i}" if module else None)
        return read

    def layers(self, name: str, count: int, read: str, module: str | None = None) -> str:
        """So many blocks, one behind the other."""
        if type(count) is not int or count < 0:
            raise ValueError(f"`layers` must be whole numbers of at least 0, found {count!r}")
        return self.chain(name, [self.block] * count, read, module)

    def encoded(self, name: str) -> str:
        """An input as tokens of `dim` numbers: by its encoder, or else as its port suggests."""
        last = self.chain(f"{name}.encoder", self.encoders.get(name, usual(self.inputs[name], self.dim)), name)
        return self.as_tokens(f"{name}.tokens", last)

    def as_tokens(self, name: str, read: str, module: str | None = None) -> str:
        """Whatever a step gives as tokens of `dim` numbers."""
        if isinstance(self.port(read), (Image, Signal, Vector)):
            read = self.add(name, AS_TOKENS, read, module=module)
        port = self.port(read)
        if isinstance(port, Tokens) and port.dim != self.dim:
            read = self.add(f"{name}.dim", linear(self.dim), read, module=f"{module}.dim" if module else None)
        return read

    def length(self, name: str) -> int:
        """How many tokens a step gives."""
        port = self.port(name)
        if not isinstance(port, Tokens) or port.length is None:
            raise ValueError(f"{name!r} must give a fixed number of tokens, found {port}")
        return port.length

    def joined(self, name: str, reads: Sequence[str], said: Said = JOIN) -> str:
        """Several values end to end; one alone stays as it is."""
        return reads[0] if len(reads) == 1 else self.add(name, said, *reads)

    def pooled(self, reads: Mapping[str, str]) -> str:
        """The mean of each step's tokens, side by side: what heads read."""
        return self.joined("joined", [self.add(f"{name}.pooled", POOL, read) for name, read in reads.items()], BESIDE)

    def port(self, name: str) -> Port:
        """What a step gives."""
        return self.inputs[name] if name in self.inputs else self.path(name).ports(BUILT_IN)[name]

    def path(self, output: str) -> Path:
        """The path up to a step."""
        if output in self.inputs:
            raise PathError(f"a path needs a step, found none behind input {output!r}: ask for a layer or an encoder.")
        return Path(self.inputs, self.steps, output)


def made(said: Said, name: str) -> ModuleRef:
    """The module that plain data says."""
    unknown = set(said) - {"family", "config", "blob"}
    if unknown or "family" not in said:
        raise ValueError(f"a module has `family`, `config` and `blob`, found {sorted(said)}")
    spec = ModuleSpec(said["family"], said.get("config") or {})
    return Frozen(said["blob"], spec) if said.get("blob") else Draft(name, spec, Init())


def linear(dim: int) -> Said:
    """A linear map to so many numbers."""
    return {"family": "linear", "config": {"dim": dim}}


def cut(start: int, stop: int | None) -> Said:
    """The tokens from one place up to another."""
    return {"family": "slice", "config": {"start": start, "stop": stop, "axis": "length"}}


def block_of(block: Said | None, heads: int) -> Said:
    """The module of one layer: a transformer block where none is said."""
    return block or {"family": "transformer", "config": {"heads": heads, "ff": 2}}


def usual(port: Port, dim: int) -> list[Said]:
    """The encoder of an input for which none is said: `patches` of an image, `embed` of ids, `linear` of a vector."""
    if isinstance(port, Image):
        sizes = [s for s in range(1, 9) if port.height % s == port.width % s == 0 and s < min(port.height, port.width)]
        return [{"family": "patches", "config": {"size": max(sizes, default=1), "dim": dim}}]
    if isinstance(port, Ids):
        return [{"family": "embed", "config": {"dim": dim}}]
    return [linear(dim)] if isinstance(port, Vector) else []


__all__ = ["Encoders", "Layout", "Said", "block_of", "cut", "linear", "made", "usual"]
