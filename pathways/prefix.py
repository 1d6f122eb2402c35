"""What training cannot change of a path, told from the path alone: its frozen prefix, and sums of frozen modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import cast

from pathways.modules import Frozen

from .path import Path


def frozen_prefix(path: Path) -> tuple[frozenset[str], tuple[str, ...]]:
    """The steps that training cannot change, and the boundary: what of them, and of the inputs, the other steps read.

    A step is of the prefix where it holds no draft and reads only inputs or steps of the prefix.
    """
    known = path.__dict__.get("_frozen_prefix")
    if known is None:
        known = path.__dict__["_frozen_prefix"] = _frozen_prefix(path)
    return known


def _frozen_prefix(path: Path) -> tuple[frozenset[str], tuple[str, ...]]:
    prefix: set[str] = set()
    for name in path.canonical_order:
        step = path.steps[name]
        settled = all(read in prefix or read in path.inputs for read in step.all_reads())
        if settled and all(isinstance(ref, Frozen) for ref in step.refs()):
            prefix.add(name)
    if path.output in prefix:
        return frozenset(prefix), (path.output,)
    rest = [name for name in path.canonical_order if name not in prefix]
    read = {r for name in rest for r in path.steps[name].all_reads()}
    boundary = [n for n in (*path.inputs, *path.canonical_order) if n in read and (n in prefix or n in path.inputs)]
    return frozenset(prefix), tuple(boundary)


def part_of(step: str) -> str:
    """The name under which the sum of a step's frozen modules stands beside the values of steps."""
    return f"{step} (frozen part)"


def frozen_parts(path: Path) -> Mapping[str, tuple[Frozen, ...]]:
    """The steps that add what is trained to frozen modules of which training cannot change a thing, and these modules.

    Such a step sums or averages, holds drafts and reads only the frozen prefix or inputs; its frozen modules stand
    first. Their sum is computed once and added to in training, as the activations of a frozen prefix are read.
    """
    known = path.__dict__.get("_frozen_parts")
    if known is None:
        known = path.__dict__["_frozen_parts"] = dict(_frozen_parts(path))
    return known


def _frozen_parts(path: Path) -> Iterator[tuple[str, tuple[Frozen, ...]]]:
    prefix, _ = frozen_prefix(path)
    for name in path.canonical_order:
        step = path.steps[name]
        settled = all(read in prefix or read in path.inputs for read in step.reads)
        if name in prefix or not settled or not step.reads or step.deltas or step.combine not in ("sum", "mean"):
            continue
        first = tuple(cast(Frozen, ref) for ref in takewhile(lambda ref: isinstance(ref, Frozen), step.modules))
        if first and part_of(name) not in path.steps and part_of(name) not in path.inputs:
            yield name, first


__all__ = ["frozen_parts", "frozen_prefix", "part_of"]
