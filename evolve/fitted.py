"""What a mutation is told to put somewhere, made to fit its place, and what it puts around it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from pathways.convert import Glue, width_of
from pathways.errors import PathError
from pathways.modules import (
    Delta,
    Draft,
    Families,
    Frozen,
    FrozenDict,
    Init,
    ModuleRef,
    ModuleSpec,
    Port,
    Warm,
    facts,
)
from pathways.modules.build import is_delta, part_ports, shell
from pathways.path import Path, Step

from .outline import reads_input

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


def checked(before: Path, after: Path, families: Families) -> Path:
    """The mutated path, where it is valid and another one, and all that has weights can still use them.

    Raises:
        PathError: it is not.
    """
    old, new = before.ports(families), after.ports(families)
    for name, step in after.steps.items():
        was = before.steps.get(name)
        if was is None or [old[read] for read in was.all_reads()] == [new[read] for read in step.all_reads()]:
            continue
        known = dict(_tensors(was, old, families))
        for key, shapes in _tensors(step, new, families):
            if shapes != known.get(key, shapes):
                reads = ", ".join(str(new[read]) for read in step.reads)
                raise PathError(
                    f"step {name!r} has weights for ({', '.join(str(old[read]) for read in was.reads)}), found "
                    f"({reads}) before it: put a module between that converts."
                )
    was_given, given = old[before.output], new[after.output]
    if before.output == after.output and is_head(after, after.output, families) and was_given != given:
        raise PathError(f"the head must give {was_given} as before, found {given}: put another head there.")
    if not reads_input(after):
        raise PathError(f"a path must read an input, one of {list(before.inputs)}, found none read.")
    _check_shared(after, new)
    if after.hash == before.hash:
        raise PathError("a mutation must change the path, found one that is the same: put another module there.")
    return after


def _check_shared(path: Path, ports: Mapping[str, Port]) -> None:
    """A draft that stands in several steps reads the same ports in each."""
    seen: dict[str, tuple[Port, ...]] = {}
    for name, step in path.steps.items():
        reads = tuple(ports[read] for read in step.reads)
        for ref in step.modules:
            if isinstance(ref, Draft) and seen.setdefault(ref.name, reads) != reads:
                raise PathError(
                    f"draft {ref.name!r} must read the same ports wherever it is, found others at {name!r}."
                )


def is_head(path: Path, step: str, families: Families) -> bool:
    """Whether a step is a head."""
    return any(getattr(families[ref.spec.family], "head", False) for ref in path.steps[step].modules)


def require_place(path: Path, step: str, what: What | None, families: Families) -> None:
    """Raise a `PathError` where a step is a head, or what is put there is a head or a delta."""
    if step in path.steps and is_head(path, step, families):
        raise PathError(f"step {step!r} must not be a head, found one: `replace_head` puts another head there.")
    family = None if what is None else family_of(what)
    if family is not None and issubclass(families[family], Delta):
        raise PathError(f"family `{family}` must be a module, found a delta: `add_delta` puts it inside one.")
    if family is not None and getattr(families[family], "head", False):
        raise PathError(f"family `{family}` must not be a head, found one: `replace_head` puts it at the end.")


def require_step(path: Path, step: str) -> Step:
    """The step of that name; a `PathError` lists those there are."""
    if step not in path.steps:
        raise PathError(f"`step` must name a step of the path, one of {list(path.steps)}, found {step!r}.")
    return path.steps[step]


Host = tuple[ModuleSpec, tuple[Port, ...]]
Shapes = tuple[tuple[str, tuple[int, ...]], ...]


def _tensors(step: Step, ports: Mapping[str, Port], families: Families) -> Iterator[tuple[str, Shapes]]:
    """By module of a step that has weights already, the shapes of its tensors where it stands."""

    def visit(ref: ModuleRef, reads: tuple[Port, ...], host: Host | None = None) -> Iterator[tuple[str, Shapes]]:
        inside = part_ports(ref.spec, reads, families)
        for name, part in ref.spec.parts.items():
            yield from visit(part, inside(name), host if is_delta(part.spec, families) else None)
        blob = ref.id if isinstance(ref, Frozen) else ref.start.blob if isinstance(ref.start, Warm) else None
        if blob is not None:
            module = shell(ref.spec, reads, families, None if host is None else shell(*host, families))
            yield blob, tuple((key, tuple(tensor.shape)) for key, tensor in module.state_dict().items())

    reads = tuple(ports[read] for read in step.reads)
    for ref in step.modules:
        yield from visit(ref, reads)
    for delta in step.deltas:
        conditions = tuple(ports[read] for read in delta.reads)
        yield from visit(delta.module, conditions, (step.modules[delta.host].spec, reads))
    if not isinstance(step.combine, str):
        yield from visit(step.combine, tuple(ports[read] for read in step.gated_by))
