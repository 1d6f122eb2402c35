"""Mutations of paths: plain functions that take a path and give a valid path; frozen modules are never changed.

Reference: Gesmundo & Dean 2022, muNet, arXiv 2205.10937, section 3: layers are cloned, adapters inserted, the top
moved, hyperparameters stepped along their lists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pathways.errors import PathError
from pathways.modules import BUILT_IN, Draft, Families, Frozen, Init, ModuleRef, ModuleSpec, Warm
from pathways.path import Path, Step

from .fitted import free
from .outline import adapter_of, bare_top, blocks, chain, end_of, is_addition, is_glue, layers, reads_input, up_to


def clone(
    path: Path, step: str, optimizers: Mapping[str, str] | None = None, only: Collection[str] | None = None
) -> Path:
    """Make the frozen modules of a step trainable copies, which start from their blobs; all else stays shared.

    Deltas, the router and parts are copied too; of a module whose part is copied, so is the module itself.

    Args:
        path: any path.
        step: the step's name.
        optimizers: for blobs whose optimizer state is to be taken over, its blob.
        only: the blobs to copy; all of the step where it is not given.
    """
    refs = list(path.steps[step].refs())
    names = {ref: step if len(refs) == 1 else f"{step}.{i}" for i, ref in enumerate(refs)}
    taken = set(path.drafts())

    def change(ref: ModuleRef) -> ModuleRef:
        copied = any(isinstance(part, Draft) for part in ref.spec.parts.values())  # its id says what its parts are
        if not isinstance(ref, Frozen) or (only is not None and ref.id not in only and not copied):
            return ref
        name = free(names.get(ref, f"{step}.{ref.id[:8]}"), taken)
        return Draft(name, ref.spec, Warm(ref.id, (optimizers or {}).get(ref.id)))

    return replace_step(path, step, path.steps[step].map_refs(change))


def insert(path: Path, after: str, spec: ModuleSpec, name: str) -> Path:
    """Put a fresh module behind a step; all that read the step read the module instead.

    Args:
        path: any path.
        after: the step it reads.
        spec: of a module whose output port is its input port, such as an `adapter`.
        name: of the new step and its draft.

    Raises:
        PathError: the name is taken, or `after` is no step.
    """
    if name in path.steps or name in path.inputs:
        raise PathError(f"`name` must be new in the path, found {name!r}, which it has already.")
    if after not in path.steps:
        raise PathError(f"`after` must name a step of the path, one of {list(path.steps)}, found {after!r}.")
    draft = Draft(free(name, set(path.drafts())), spec, Init())
    steps: dict[str, Step] = {}
    for key, step in path.steps.items():
        steps[key] = step.map_reads(lambda read: name if read == after else read)
        if key == after:
            steps[name] = Step((draft,), (after,))
    return Path(path.inputs, steps, name if path.output == after else path.output)


def add_adapter(path: Path, after: str, spec: ModuleSpec, families: Families = BUILT_IN) -> Path | None:
    """Insert an adapter behind a layer; `None` where there is one, or where it cannot read what the layer gives."""
    if adapter_of(after) in path.steps:
        return None
    longer = insert(path, after, spec, adapter_of(after))
    try:
        longer.ports(families)
    except PathError:
        return None
    return longer


def drop_top(trunk: Path, families: Families = BUILT_IN) -> Path | None:
    """A headless path without its last layer, that layer's adapter and what stood behind it.

    Returns:
        The shorter path, or `None` where no layer would be left that reads an input.
    """
    if len(found := layers(trunk, families)) < 2:
        return None
    row = chain(trunk)
    below = [name for name in row[: row.index(found[-1])] if name in blocks(trunk, families)]
    shorter = up_to(trunk, end_of(trunk, below[-1]))
    return shorter if reads_input(shorter) else None


def add_top(
    trunk: Path, models: Iterable[Path], families: Families = BUILT_IN, named: Iterable[Path] | None = None
) -> Path | None:
    """A headless path with one more layer on top: a longer model's, as it is there, else a fresh one like its last.

    A model's layer fits where it stands on the same layer, the same by content or else by name, and reads
    the same port. Its blobs are shared, not copied.

    Args:
        trunk: a headless path.
        models: headless paths whose layers may be taken, best first (the root, champions).
        families: the families that specs may name.
        named: those of them whose layers may fit by name; all when not given.

    Returns:
        The longer path, or `None` where no layer fits.
    """
    if not layers(trunk, families):
        return None
    bare = bare_top(trunk, families)
    for by_name in (False, True):
        for model in models if named is None or not by_name else named:
            if longer := _grafted(bare, model, by_name, families):
                return longer
    last = bare.steps[layers(bare, families)[-1]].modules[0]
    number = 1
    while {f"top{number}", adapter_of(f"top{number}")} & {*bare.steps, *bare.inputs, *bare.drafts()}:
        number += 1
    fresh = Step((Draft(f"top{number}", last.spec, Init()),), (bare.output,))
    return _extended(bare, {f"top{number}": fresh}, families)


def step_along(values: Sequence[Any], current: Any, direction: int) -> Any:
    """The neighbour of `current` in an ordered list, staying at the ends.

    A number that is not listed goes to the next listed one in that direction, anything else to the first value.

    >>> step_along([1, 2, 5], 2, +1), step_along([1, 2, 5], 5, +1), step_along([1, 2, 5], 3, -1)
    (5, 5, 2)
    """
    if current in values:
        index = list(values).index(current)
        return values[min(max(index + direction, 0), len(values) - 1)]
    if not all(isinstance(value, (int, float)) for value in [current, *values]):
        return values[0]
    beyond = [value for value in values if (value > current if direction > 0 else value < current)]
    return (min if direction > 0 else max)(beyond, default=current)


def replace_step(path: Path, name: str, step: Step) -> Path:
    """The path with one step replaced."""
    return Path(path.inputs, {**path.steps, name: step}, path.output)


def _grafted(bare: Path, model: Path, by_name: bool, families: Families) -> Path | None:
    """The path with the next layer of `model` and the weightless steps before it; `None` where none fits."""
    top, row, found = layers(bare, families)[-1], chain(model), layers(model, families)
    for below, above in pairwise(found):
        same = below == top if by_name else model.step_hashes[below] == bare.step_hashes[top]
        between = [
            name for name in row[row.index(below) + 1 : row.index(above) + 1]
            if not is_addition(name, model.steps) or is_glue(name, above, "in")
        ]  # fmt: skip
        if not same or any(name in bare.steps or len(model.steps[name].all_reads()) != 1 for name in between):
            continue
        # Its weights were made for the port that it read there.
        if model.ports(families)[model.steps[between[0]].reads[0]] != bare.ports(families)[bare.output]:
            continue
        steps, last = {}, bare.output
        for name in between:
            steps[name] = model.steps[name].map_reads(lambda read, last=last: last)  # type: ignore[misc]
            last = name
        if longer := _extended(bare, steps, families):
            return longer
    return None


def _extended(path: Path, steps: Mapping[str, Step], families: Families) -> Path | None:
    try:
        longer = Path(path.inputs, {**path.steps, **steps}, list(steps)[-1])
        longer.ports(families)
    except PathError:
        return None
    return longer


__all__ = ["add_adapter", "add_top", "blocks", "clone", "drop_top", "insert", "replace_step", "step_along"]
