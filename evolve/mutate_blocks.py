"""Mutations that put modules of any family into a path, in place of others, or take them out.

Plain functions that take a path and give a valid one, or raise a `PathError` that says why there is none. Between
ports that differ stand the modules of `pathways.convert`; where these do not lead there, the error names both ports.
Frozen modules are never changed. All that a mutation puts somewhere starts from random weights, and of a family that
offers a configuration of its own (`Module.fitting`) mostly as the identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from pathways.convert import Glue, conversion, through, ways
from pathways.errors import PathError
from pathways.modules import BUILT_IN, Families, ModuleSpec, Port, Tokens
from pathways.path import Path, Step

from .fitted import What, family_of, free, fresh_draft, glue_draft, glue_name, offers, put, refused, spliced
from .mutated import checked, require_place, require_step
from .outline import bare, end_of


def insert_block(
    path: Path, after: str, what: What, families: Families = BUILT_IN, also: Sequence[str] = ()
) -> Path:
    """Put a fresh module behind a step; all that read the step read the module instead.

    Its step is called `<after>+<family>`, its glue `<after>+<family>+in1`, `+out1` and so on. Behind it stands what
    makes its output the step's port again. Where nothing does, the readers are given what it gives if that is of the
    same kind and they can use their weights on it, such as more tokens. Behind the end of a headless path it may be any
    port.

    Args:
        path: any path.
        after: the step, or the input, that it reads first.
        what: a family's name or a spec. A family that reads nothing (`learned_tokens`) is joined to the end of the
            step's tokens.
        families: the families that specs may name.
        also: what else it reads; where it must read a second value and nothing is named, the nearest earlier one that
            fits, the path's inputs last.

    Returns:
        The longer path.

    Raises:
        PathError: it fits nowhere there; the message names the ports.

    Example:
        >>> from pathways.modules import Draft, ModuleSpec, Vector
        >>> path = Path({"x": Vector(4)}, {"a": Step((Draft("a", ModuleSpec("linear", {"dim": 8})),), ("x",))}, "a")
        >>> list(insert_block(path, "a", ModuleSpec("transformer", {"heads": 2})).steps)
        ['a', 'a+transformer+in1', 'a+transformer', 'a+transformer+out1']
    """
    ports = path.ports(families)
    if after not in ports:
        raise PathError(f"`after` must name a step or an input, one of {list(ports)}, found {after!r}.")
    require_place(path, after, what, families)
    place = end_of(path, after)
    name = free(f"{after}+{family_of(what)}", {*path.steps, *path.inputs})
    refusals: list[str] = []
    for others in [tuple(also)] if also else [(), *((other,) for other in _earlier(path, place))]:
        reads = (place, *others)
        for glue, spec, output in _readings(reads, ports, what, ports[place], families):
            try:
                behind = _behind(path, place, output, ports[place], families)
                return checked(path, put(path, name, spec, glue, behind, place), families)
            except PathError as error:
                refusals.append(str(error))
    if not also and (joined := _joined(path, place, name, what, families)) is not None:
        return joined
    raise refused(what, after, [ports[read] for read in (place, *also)], refusals, families)


def replace_block(path: Path, step: str, what: What, families: Families = BUILT_IN) -> Path:
    """Put a fresh module in place of a step's modules; it reads what they read, or the first of it.

    The step keeps its name, its readers the port that they read; its deltas and its router are gone.

    Args:
        path: any path.
        step: whose modules to replace.
        what: a family's name or a spec.
        families: the families that specs may name.

    Raises:
        PathError: it does not fit there; the message names the ports.
    """
    require_step(path, step)
    require_place(path, step, what, families)
    ports = path.ports(families)
    # Behind what reads nothing stands no glue of its own but what joins it to others.
    end, without = (end_of(path, step), bare(path, step)) if path.steps[step].reads else (step, path)
    reads, wanted = without.steps[step].reads, ports[end]
    refusals: list[str] = []
    for chosen in dict.fromkeys([reads, reads[:1]]):
        for glue, spec, output in _readings(chosen, ports, what, wanted, families):
            try:
                behind = _behind(path, end, output, wanted, families)
                return checked(path, put(without, step, spec, glue, behind, step), families)
            except PathError as error:
                refusals.append(str(error))
    raise refused(what, step, [ports[read] for read in reads], refusals, families, wanted)


def drop_block(path: Path, step: str, families: Families = BUILT_IN) -> Path:
    """Take a step out, with its glue; its readers read what it has read.

    Args:
        path: any path.
        step: what is taken out: of what it reads, its readers get the first that they can use.
        families: the families that specs may name.

    Raises:
        PathError: nothing that it reads is what its readers need, or no step would be left.
    """
    require_step(path, step)
    require_place(path, step, None, families)
    ports, end = path.ports(families), end_of(path, step)
    without = bare(path, step)
    if step not in without.steps:  # tokens that were joined to others
        return checked(path, without, families)
    refusals = []
    for read in without.steps[step].reads:
        if not _usable(path, end, ports[read], ports[end]):
            refusals.append(f"there is no canonical conversion from {ports[read]} to {ports[end]} without weights")
        elif without.output == step and read in path.inputs:
            refusals.append(f"no step would be left that reads {read!r}")
        else:
            try:
                return checked(path, spliced(without, {}, step, read), families)
            except PathError as error:
                refusals.append(str(error))
    raise PathError(
        f"step {step!r} cannot be dropped: {'; '.join(refusals) or 'it reads nothing'}: put another module there "
        f"instead (`replace_block`)."
    )


def _readings(
    reads: tuple[str, ...], ports: dict[str, Port], what: What, wanted: Port, families: Families
) -> Iterator[tuple[tuple[tuple[str, Glue], ...], ModuleSpec, Port]]:
    """The ways in which it can read these values: the modules before each, the spec, what it gives."""
    for way in product(*(list(ways(ports[read])) for read in reads)):
        try:
            found = tuple(through(ports[read], glue, families) for read, glue in zip(reads, way, strict=True))
        except ValueError:
            continue
        for spec, output in offers(what, found, wanted, families):
            yield tuple(zip(reads, way, strict=True)), spec, output


def _behind(path: Path, place: str, output: Port, wanted: Port, families: Families) -> Glue:
    """What stands between an output and the readers of `place`."""
    try:
        return conversion(output, wanted, families)
    except PathError:
        if _usable(path, place, output, wanted):
            return ()
        raise


def _usable(path: Path, place: str, output: Port, wanted: Port) -> bool:
    """Whether readers may be tried on another port: of one kind, or behind the end of a headless path."""
    read = any(place in step.all_reads() for step in path.steps.values())
    return type(output) is type(wanted) or (path.output == place and not read)


def _earlier(path: Path, step: str) -> list[str]:
    """What a module behind a step can read beside it without a circle, nearest first, inputs last."""
    order = list(path.canonical_order)
    upto = order[: order.index(step)] if step in order else []
    return [*reversed(upto), *(name for name in path.inputs if name != step), step]


def _joined(path: Path, after: str, name: str, what: What, families: Families) -> Path | None:
    """A step's tokens with those of a module that reads nothing behind them; `None` where that does not fit."""
    port = path.ports(families)[after]
    if not isinstance(port, Tokens):
        return None
    for spec, output in offers(what, (), port, families):
        if not isinstance(output, Tokens) or output.dim != port.dim:
            continue
        taken = set(path.drafts())
        source = Step((fresh_draft(name, spec, taken),))
        both = glue_name(name, "out", path.steps)
        join = Step((glue_draft(both, ModuleSpec("concat", {"axis": "length"}), taken),), (after, name))
        try:
            return checked(path, spliced(path, {name: source, both: join}, after, both), families)
        except PathError:
            continue
    return None


__all__ = ["drop_block", "insert_block", "replace_block"]
