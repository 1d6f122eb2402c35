"""Steps: modules that read the same values, what changes them, and how their outputs combine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pathways.modules import FrozenDict, ModuleRef, ref_from_json

from .errors import PathError

COMBINATIONS = ("sum", "mean", "concat")


@dataclass(frozen=True)
class DeltaRef:
    """A delta module, which of the step's modules (by position) it changes, and what it is conditioned on.

    Args:
        host: the position of the module that it changes.
        module: the delta.
        reads: names of earlier steps or inputs, the values of its condition (a noise level, a task's code).
    """

    host: int
    module: ModuleRef
    reads: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The reference as plain data."""
        reads = {"reads": list(self.reads)} if self.reads else {}
        return {"host": self.host, "module": self.module.to_json(), **reads}


@dataclass(frozen=True)
class Step:
    """Modules that read the same values, and how their outputs combine.

    Args:
        modules: at least one; summands keep this order.
        reads: names of earlier steps or of the path's inputs, the positional inputs of every module.
        combine: `sum`, `mean`, `concat` (over the last axis of vectors and tokens, over the channels of
            images and signals) or a router module whose output (B, modules) weights the outputs.
        deltas: changes inside modules of this step, applied in order.
        gate: what a router reads, where it decides by something else than the modules do, such as a task's code.

    Raises:
        PathError: `gate` without a router.
    """

    modules: tuple[ModuleRef, ...]
    reads: tuple[str, ...] = ()
    combine: str | ModuleRef = "sum"
    deltas: tuple[DeltaRef, ...] = ()
    gate: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.gate is not None and isinstance(self.combine, str):
            raise PathError(f"`gate` must be left out without a router, found {list(self.gate)} for {self.combine!r}.")

    @property
    def gated_by(self) -> tuple[str, ...]:
        """What its router reads."""
        return self.reads if self.gate is None else self.gate

    def all_reads(self) -> tuple[str, ...]:
        """All that the step reads: its modules, its router, its deltas; each name once."""
        conditions = (read for delta in self.deltas for read in delta.reads)
        return tuple(dict.fromkeys([*self.reads, *(self.gate or ()), *conditions]))

    def map_reads(self, change: Callable[[str], str]) -> Step:
        """The step with each name that it reads changed."""

        def changed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(map(change, names))

        deltas = tuple(replace(delta, reads=changed(delta.reads)) for delta in self.deltas)
        gate = None if self.gate is None else changed(self.gate)
        return Step(self.modules, changed(self.reads), self.combine, deltas, gate)

    def refs(self) -> Iterator[ModuleRef]:
        """All module references of the step: modules, deltas, router and the parts of each."""
        router = [] if isinstance(self.combine, str) else [self.combine]
        for ref in [*self.modules, *(d.module for d in self.deltas), *router]:
            yield from with_parts(ref)

    def map_refs(self, change: Callable[[ModuleRef], ModuleRef]) -> Step:
        """The step with each reference changed, parts first."""
        combine = self.combine if isinstance(self.combine, str) else _map_ref(self.combine, change)
        deltas = tuple(replace(d, module=_map_ref(d.module, change)) for d in self.deltas)
        return Step(tuple(_map_ref(m, change) for m in self.modules), self.reads, combine, deltas, self.gate)

    def to_json(self) -> dict[str, Any]:
        """The step as plain data."""
        combine = self.combine if isinstance(self.combine, str) else self.combine.to_json()
        modules = [module.to_json() for module in self.modules]
        data: dict[str, Any] = {"modules": modules, "reads": list(self.reads), "combine": combine}
        if self.deltas:
            data["deltas"] = [d.to_json() for d in self.deltas]
        if self.gate is not None:
            data["gate"] = list(self.gate)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        """The step that `to_json` wrote."""
        unknown = set(data) - {"modules", "reads", "combine", "deltas", "gate"}
        if unknown:
            raise ValueError(
                f"a step has `modules`, `reads`, `combine`, `deltas` and `gate`, found {sorted(unknown)} beside them."
            )
        combine = data["combine"]
        return cls(
            tuple(ref_from_json(m) for m in data["modules"]),
            tuple(map(str, data["reads"])),
            combine if isinstance(combine, str) else ref_from_json(combine),
            tuple(
                DeltaRef(int(d["host"]), ref_from_json(d["module"]), tuple(map(str, d.get("reads", ()))))
                for d in data.get("deltas", ())
            ),
            tuple(map(str, data["gate"])) if data.get("gate") is not None else None,
        )


def with_parts(ref: ModuleRef) -> Iterator[ModuleRef]:
    """A reference and all its parts, parts before their holders."""
    for name in sorted(ref.spec.parts):
        yield from with_parts(ref.spec.parts[name])
    yield ref


def _map_ref(ref: ModuleRef, change: Callable[[ModuleRef], ModuleRef]) -> ModuleRef:
    if ref.spec.parts:
        parts = FrozenDict({name: _map_ref(part, change) for name, part in ref.spec.parts.items()})
        ref = replace(ref, spec=replace(ref.spec, parts=parts))
    return change(ref)


__all__ = ["COMBINATIONS", "DeltaRef", "Step", "with_parts"]
