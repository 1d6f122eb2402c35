"""The mutation that puts another head at the end of a path."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from pathways.convert import through, ways
from pathways.errors import PathError
from pathways.modules import BUILT_IN, Families, ModuleSpec, Port, facts
from pathways.path import Path

from .fitted import What, family_of, put, refused
from .mutated import checked, is_head
from .outline import bare


def replace_head(path: Path, what: What, families: Families = BUILT_IN) -> Path:
    """Put a fresh head in place of a path's, with as many outputs; it reads what the old one read.

    Args:
        path: with a head.
        what: the name of a head's family or a spec.
        families: the families that specs may name.

    Raises:
        PathError: the path has no head, the family is none, or it does not fit.

    Example:
        >>> from pathways.modules import Draft, ModuleSpec, Vector
        >>> from pathways.path import Step
        >>> head = Draft("head", ModuleSpec("classifier", {"classes": 3}))
        >>> path = Path({"x": Vector(4)}, {"head": Step((head,), ("x",))}, "head")
        >>> replace_head(path, "regressor").steps["head"].modules[0].spec.config["values"]
        3
    """
    if not getattr(families[family_of(what)], "head", False):
        raise PathError(f"`what` must be a head, found family `{family_of(what)}`: `replace_block` puts it elsewhere.")
    if not is_head(path, path.output, families):
        raise PathError(f"`path` must end in a head, found step {path.output!r}: a headless path has none to replace.")
    ports, step = path.ports(families), path.output
    without = bare(path, step)
    reads = without.steps[step].reads
    refusals: list[str] = []
    for way in product(*(list(ways(ports[read])) for read in reads)):
        try:
            found = tuple(through(ports[read], glue, families) for read, glue in zip(reads, way, strict=True))
        except ValueError:
            continue
        for spec in _heads(what, found, ports[step], families):
            glue = tuple(zip(reads, way, strict=True))
            try:
                return checked(path, put(without, step, spec, glue, (), step), families)
            except PathError as error:
                refusals.append(str(error))
    raise refused(what, step, [ports[read] for read in reads], refusals, families, ports[step])


def _heads(what: What, ports: tuple[Port, ...], wanted: Port, families: Families) -> Iterator[ModuleSpec]:
    """The heads to try: the spec, or the family with as many outputs, whatever it calls them."""
    if isinstance(what, ModuleSpec):
        specs = [what]
    else:
        cls = families[what]
        config = cls.fitting(ports) or {}  # type: ignore[arg-type]
        counts = [{name: size} for name in ("classes", "values", "dim") for size in wanted.shape]
        specs = [ModuleSpec(what, {**config, **count}, cls.version) for count in [*counts, {}]]
    for spec in specs:
        try:
            if facts(spec, ports, families=families).output == wanted:
                yield spec
        except ValueError:
            continue


__all__ = ["replace_head"]
