"""Mutations that put changes inside frozen modules, and take them out.

Reference: Houlsby et al. 2019 (1902.00751) and Hu et al. 2022 (2106.09685): a few weights inside frozen modules
for each task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pathways.errors import PathError
from pathways.modules import BUILT_IN, Delta, Draft, Families, Frozen, ModuleSpec, Port, facts
from pathways.modules.build import shell
from pathways.path import DeltaRef, Path, Step

from .fitted import What, family_of, free, fresh_draft, glue_draft
from .mutated import checked, require_step

CODE = ModuleSpec("learned_tokens", {"length": 1, "dim": 8})
"""A task's code, for deltas that read a condition where none is named."""


def add_delta(
    path: Path, step: str, what: What, host: int = 0, families: Families = BUILT_IN, reads: Sequence[str] = ()
) -> Path:
    """Put a fresh delta on a frozen module of a step, behind those that it has; at its start it changes nothing.

    Args:
        path: any path.
        step: whose module it changes.
        what: the name of a delta family, which says what fits the module, or a spec.
        host: the position of the module.
        families: the families that specs may name.
        reads: its condition. Where it must read one and none is named, it reads a fresh code: the step `<step>+code`,
            a vector of learned numbers (`<step>+code.vector`), or one learned token.

    Raises:
        PathError: the module is not frozen, or the delta does not fit it.

    Example:
        >>> from pathways.modules import Frozen, Vector
        >>> linear = Frozen("0" * 64, ModuleSpec("linear", {"dim": 8}))
        >>> path = Path({"x": Vector(4)}, {"a": Step((linear,), ("x",))}, "a")
        >>> add_delta(path, "a", ModuleSpec("lora", {"rank": 1})).steps["a"].deltas[0].module.spec.family
        'lora'
    """
    held, family = require_step(path, step), family_of(what)
    if not issubclass(families[family], Delta):
        raise PathError(f"`what` must be a delta, found family `{family}`: `insert_block` puts a module into a path.")
    if not 0 <= host < len(held.modules) or not isinstance(held.modules[host], Frozen):
        frozen = [i for i, ref in enumerate(held.modules) if isinstance(ref, Frozen)]
        raise PathError(f"`host` must be a frozen module of step {step!r}, one of {frozen}, found {host}.")
    ports = path.ports(families)
    inside = held.modules[host].spec, tuple(ports[read] for read in held.reads)
    refusals = []
    for condition, codes in [(tuple(reads), {})] if reads else _conditions(path, step):
        known = {**ports, **(Path(path.inputs, codes, condition[0]).ports(families) if codes else {})}
        found = tuple(known[read] for read in condition)
        for spec in _specs(what, inside, families):
            try:
                facts(spec, found, host=inside, families=families)
            except ValueError as error:
                refusals.append(str(error).rstrip("."))
                continue
            new = (ref for code in codes.values() for ref in code.refs())
            taken = {*path.drafts(), *(ref.name for ref in new if isinstance(ref, Draft))}
            delta = DeltaRef(host, fresh_draft(f"{step}+{family}", spec, taken), condition)
            changed = replace(held, deltas=(*held.deltas, delta))
            return checked(path, Path(path.inputs, {**path.steps, **codes, step: changed}, path.output), families)
    why = refusals[0] if refusals else f"family `{family}` has no configuration for it"
    raise PathError(f"delta `{family}` does not fit `{inside[0].family}` in step {step!r}: {why}.")


def drop_delta(path: Path, step: str, index: int = -1, families: Families = BUILT_IN) -> Path:
    """Take a delta out of a step, by default the last; a code that nothing else reads goes with it.

    Raises:
        PathError: there is none at that position.
    """
    deltas = require_step(path, step).deltas
    if not -len(deltas) <= index < len(deltas):
        raise PathError(f"`index` must name a delta of step {step!r}, which has {len(deltas)}, found {index}.")
    left = tuple(delta for i, delta in enumerate(deltas) if i != index % len(deltas))
    steps = {**path.steps, step: replace(path.steps[step], deltas=left)}
    return checked(path, Path(path.inputs, steps, path.output), families)


def _specs(what: What, host: tuple[ModuleSpec, tuple[Port, ...]], families: Families) -> Iterator[ModuleSpec]:
    if isinstance(what, ModuleSpec):
        yield what
        return
    cls = families[what]
    config = cls.fitting(shell(*host, families))  # type: ignore[arg-type]
    if config is not None:
        yield ModuleSpec(what, config, cls.version)


def _conditions(path: Path, step: str) -> Iterator[tuple[tuple[str, ...], dict[str, Step]]]:
    """No condition, then a vector of learned numbers, then one learned token; with the steps that make them."""
    yield (), {}
    taken = set(path.drafts())
    code = free(f"{step}+code", {*path.steps, *path.inputs})
    vector = f"{code}.vector"
    learned = {code: Step((fresh_draft(code, CODE, taken),))}
    yield (vector,), {**learned, vector: Step((glue_draft(vector, ModuleSpec("pool"), taken),), (code,))}
    yield (code,), learned


__all__ = ["add_delta", "drop_delta"]
