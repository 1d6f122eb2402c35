"""What every mutation must leave: a valid path, another one, whose weights are used on what they were made for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pathways.errors import PathError
from pathways.modules import Delta, Draft, Families, Frozen, ModuleRef, ModuleSpec, Port, Warm
from pathways.modules.build import is_delta, part_ports, shell
from pathways.path import Path, Step

from .fitted import What, family_of
from .outline import reads_input


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


__all__ = ["checked", "is_head", "require_place", "require_step"]
