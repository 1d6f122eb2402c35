"""Mutations that put a module beside those of a step, and take it away again.

Reference: the sum of active modules is PathNet's, Fernando et al. 2017 (1701.08734), section 2; a router between what
is frozen and what is new is mu4Net's, Gesmundo 2023 (2302.02721), section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pathways.convert import reading, through
from pathways.errors import PathError
from pathways.modules import BUILT_IN, Delta, Families, ModuleSpec, Port, Vector, facts
from pathways.path import Path, Step

from .fitted import What, family_of, fresh_draft, glue_draft, glue_name, offers, why_not
from .mutated import checked, require_place, require_step


def add_branch(
    path: Path, step: str, what: What, router: What | None = None, families: Families = BUILT_IN
) -> Path:
    """Put a fresh module beside those of a step; it reads what they read and gives the port that they give.

    Without a router their outputs are added, and the step starts off by what the fresh module gives. A router weights
    the old module, which stands first, and the fresh one: how much of the old output is left at the start is the
    router's to say. A top-k gate is given `k` = 1, so that at first, equal scores going to the first module, the old
    output stays as it is in evaluation; a softmax that starts even gives the mean of both.

    Args:
        path: any path.
        step: whose modules it joins. Where its outputs are averaged, joined end to end or weighted by a router already,
            it can be joined by none; by a router only a single module.
        what: a family's name or a spec.
        router: the name of a router's family or a spec. It reads what the modules read, made a vector where it must be
            (the steps `<step>+gate1` and on).
        families: the families that specs may name.

    Raises:
        PathError: it does not fit; the message names the ports.

    Example:
        >>> from pathways.modules import Draft, Vector
        >>> path = Path({"x": Vector(4)}, {"a": Step((Draft("a", ModuleSpec("linear", {"dim": 8})),), ("x",))}, "a")
        >>> made = add_branch(path, "a", ModuleSpec("linear", {"dim": 8}), "topk_router")
        >>> len(made.steps["a"].modules), made.steps["a"].combine.spec.config["experts"]
        (2, 2)
    """
    held = require_step(path, step)
    require_place(path, step, what, families)
    ports = path.ports(families)
    reads, wanted = tuple(ports[read] for read in held.reads), ports[step]
    if len(held.modules) > 1 and (held.combine != "sum" or router is not None):
        joined = held.combine if isinstance(held.combine, str) else f"router `{held.combine.spec.family}`"
        raise PathError(
            f"step {step!r} must hold one module, or without a router modules that are summed, found "
            f"{len(held.modules)} joined by {joined}."
        )
    found = [spec for spec, output in offers(what, reads, wanted, families) if output == wanted]
    if not found:
        raise PathError(
            f"family `{family_of(what)}` does not fit beside the modules of step {step!r}, which read "
            f"({', '.join(map(str, reads))}) and give {wanted}: {why_not(what, reads, families)}."
        )
    taken, name = set(path.drafts()), family_of(what)
    wider = replace(held, modules=(*held.modules, fresh_draft(f"{step}+{name}", found[0], taken)), combine="sum")
    if router is None:
        return checked(path, Path(path.inputs, {**path.steps, step: wider}, path.output), families)
    gate, before, spec = _gate(path, step, router, taken, families)
    routed = replace(wider, combine=fresh_draft(f"{step}+{spec.family}", spec, taken), gate=gate)
    return checked(path, Path(path.inputs, {**path.steps, **before, step: routed}, path.output), families)


def drop_branch(path: Path, step: str, index: int = -1, families: Families = BUILT_IN) -> Path:
    """Take one of a step's modules away, by default the last, with its deltas; of two, their router goes too.

    Raises:
        PathError: it is the only one, or a router weights more than two.
    """
    held = require_step(path, step)
    modules = held.modules
    if len(modules) < 2 or not -len(modules) <= index < len(modules):
        raise PathError(f"`index` must name one of several modules of step {step!r}, found {index} of {len(modules)}.")
    if not isinstance(held.combine, str) and len(modules) > 2:
        raise PathError(f"step {step!r} must hold two modules where a router weights them, found {len(modules)}.")
    gone = index % len(modules)
    deltas = tuple(
        replace(delta, host=delta.host - (delta.host > gone)) for delta in held.deltas if delta.host != gone
    )
    left = (*modules[:gone], *modules[gone + 1 :])
    combine = held.combine if isinstance(held.combine, str) else "sum"
    steps = {**path.steps, step: Step(left, held.reads, combine, deltas)}
    return checked(path, Path(path.inputs, steps, path.output), families)


def _gate(
    path: Path, step: str, router: What, taken: set[str], families: Families
) -> tuple[tuple[str, ...] | None, dict[str, Step], ModuleSpec]:
    """What a router of two modules reads, the steps before it, and its spec."""
    ports = path.ports(families)
    reads = path.steps[step].reads
    found = tuple(ports[read] for read in reads)
    for spec in _routers(router, found, families):
        return None, {}, spec
    if not reads:
        raise PathError(f"step {step!r} must read something for a router to weight its modules by, found nothing.")
    for spec in _routers(router, (Vector(1),), families):
        glue = reading(found[0], spec, families)
        before: dict[str, Step] = {}
        last = reads[0]
        for each in glue:
            name = glue_name(step, "gate", {*path.steps, *before})
            before[name] = Step((glue_draft(name, each, taken),), (last,))
            last = name
        for fitted in _routers(router, (through(found[0], glue, families),), families):
            return (last,), before, fitted
    raise PathError(
        f"router `{family_of(router)}` does not fit at step {step!r}: it must weight two modules by "
        f"({', '.join(map(str, found))}), found no configuration that does."
    )


def weights_two(what: What, families: Families) -> bool:
    """Whether a family or a spec weights the two modules of a step by a vector."""
    return any(True for _ in _routers(what, (Vector(8),), families))


def _routers(what: What, ports: tuple[Port, ...], families: Families) -> Iterator[ModuleSpec]:
    """The specs that give a weight for each of two modules; of a family those first that run one at a time."""
    specs = [what] if isinstance(what, ModuleSpec) else []
    if isinstance(what, str):
        cls = families[what]
        if issubclass(cls, Delta):
            return
        config = cls.fitting(ports) or {}
        counts: tuple[dict[str, int], ...] = ({"experts": 2}, {"modules": 2}, {})
        specs = [ModuleSpec(what, {**config, **n, **k}, cls.version) for k in ({"k": 1}, {}) for n in counts]
    for spec in specs:
        try:
            if facts(spec, ports, families=families).output == Vector(2):
                yield spec
        except ValueError:
            continue


__all__ = ["add_branch", "drop_branch", "weights_two"]
