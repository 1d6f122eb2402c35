"""What a mutation is told to put somewhere, made to fit its place, and what it puts around it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pathways.convert import Glue, width_of
from pathways.errors import PathError
from pathways.modules import (
    Draft,
    Families,
    FrozenDict,
    Init,
    ModuleSpec,
    Port,
    facts,
)
from pathways.path import Path, Step

What = str | ModuleSpec
"""A family's name, where the family says which configuration fits, or a spec."""


def family_of(what: What) -> str:
    """The family's name."""
    return what if isinstance(what, str) else what.family


def offers(
    what: What, ports: tuple[Port, ...], wanted: Port | None, families: Families
) -> Iterator[tuple[ModuleSpec, Port]]:
    """The specs to try for these input ports, with the port that each gives; those that give `wanted` first.

    A spec is offered as it is. Of a family, its own `fitting`, before that with the width that is wanted.
    """
    found: list[tuple[ModuleSpec, Port]] = []
    for spec in _specs(what, ports, wanted, families):
        try:
            output = facts(spec, ports, families=families).output
        except ValueError:
            continue
        if output is not None:
            found.append((spec, output))
    yield from sorted(found, key=lambda each: each[1] != wanted)


def _specs(what: What, ports: tuple[Port, ...], wanted: Port | None, families: Families) -> Iterator[ModuleSpec]:
    if isinstance(what, ModuleSpec):
        yield what
        return
    cls = families[what]
    config = cls.fitting(ports)  # type: ignore[arg-type]
    if config is None:
        return
    yield ModuleSpec(what, config, cls.version)
    width = None if wanted is None else width_of(wanted)
    for name in ("dim", "channels"):
        if width is not None and config.get(name, width) != width:
            yield ModuleSpec(what, {**config, name: width}, cls.version)


def why_not(what: What, ports: Sequence[Port], families: Families) -> str:
    """Why nothing is offered for these ports."""
    if isinstance(what, str):
        return f"family `{what}` has no configuration for them"
    try:
        facts(what, tuple(ports), families=families)
    except ValueError as error:
        return str(error).rstrip(".")
    return f"family `{what.family}` gives what nothing behind it reads"


def refused(
    what: What, place: str, found: Sequence[Port], refusals: Sequence[str], families: Families,
    wanted: Port | None = None,
) -> PathError:
    """The error that names a family, what it is given, what it must give, and the first reason why it does not fit."""
    given = ", ".join(map(str, found)) or "nothing"
    there = f" and must give {wanted}" if wanted is not None else ""
    why = refusals[0] if refusals else why_not(what, found, families)
    return PathError(
        f"family `{family_of(what)}` does not fit at {place!r}, where it is given ({given}){there}: {why.rstrip('.')}."
    )


def put(
    path: Path, name: str, spec: ModuleSpec, reads: Sequence[tuple[str, Glue]], behind: Glue, place: str
) -> Path:
    """The path with a fresh module in a step `name`, and glue before and behind it.

    Args:
        path: any path.
        name: of the step, new or that of the step that it replaces.
        spec: of the module.
        reads: what it reads, each with the modules between.
        behind: the modules behind it.
        place: the step or input whose readers read the module instead.
    """
    taken = set(path.drafts())
    made: dict[str, Step] = {}

    def chained(last: str, glue: Glue, side: str) -> str:
        for each in glue:
            step = glue_name(name, side, {*path.steps, *made})
            made[step] = Step((glue_draft(step, each, taken),), (last,))
            last = step
        return last

    lasts = tuple(chained(read, glue, "in") for read, glue in reads)
    made[name] = Step((fresh_draft(name, spec, taken),), lasts)
    return spliced(path, made, place, chained(name, behind, "out"))


def spliced(path: Path, made: Mapping[str, Step], place: str, end: str) -> Path:
    """The path with new steps, in which what read `place` reads `end` instead."""
    others = {
        key: step.map_reads(lambda read: end if read == place else read)
        for key, step in path.steps.items() if key not in made
    }  # fmt: skip
    return Path(path.inputs, {**others, **made}, end if path.output == place else path.output)


def glue_name(step: str, side: str, taken: Collection[str]) -> str:
    """The name of the next module `in` front of or behind (`out`) a step.

    >>> glue_name("block1", "in", []), glue_name("block1", "out", ["block1+out1"])
    ('block1+in1', 'block1+out2')
    """
    number = 1
    while f"{step}+{side}{number}" in taken:
        number += 1
    return f"{step}+{side}{number}"


def glue_draft(name: str, spec: ModuleSpec, taken: set[str]) -> Draft:
    """A draft of a module of `pathways.convert`; `taken` gets its name."""
    name = free(name, taken)
    taken.add(name)
    # What has no weights starts from a fixed seed, so that it is one blob in every task.
    return Draft(name, spec, Init() if spec.family in ("embed", "linear", "conv") else Init(0))


def fresh_draft(name: str, spec: ModuleSpec, taken: set[str]) -> Draft:
    """A draft from random weights, whose own name and those of its parts are new; `taken` gets them."""

    def renamed(spec: ModuleSpec, inside: str) -> ModuleSpec:
        if not spec.parts:
            return spec
        parts = {}
        for key, part in spec.parts.items():
            part = replace(part, spec=renamed(part.spec, f"{inside}.{key}"))
            if isinstance(part, Draft):
                if part.name not in new:
                    new[part.name] = free(f"{inside}.{key}", taken)
                    taken.add(new[part.name])
                part = replace(part, name=new[part.name])
            parts[key] = part
        return replace(spec, parts=FrozenDict(parts))

    new: dict[str, str] = {}  # parts of one name stay one module
    found = free(name, taken)
    taken.add(found)
    return Draft(found, renamed(spec, found), Init())


def free(name: str, taken: Collection[str]) -> str:
    """`name`, marked where another has it: drafts of one name are one module.

    >>> free("block1", ["block1"])
    "block1'"
    """
    while name in taken:
        name += "'"
    return name


__all__ = [
    "What", "family_of", "free", "fresh_draft", "glue_draft", "glue_name", "offers", "put", "refused", "spliced",
    "why_not",
]
