"""Paths: immutable graphs of steps from a task's inputs to its head, and their Merkle hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pathways.modules import (
    Draft,
    Facts,
    Families,
    Frozen,
    FrozenDict,
    ModuleRef,
    ModuleSpec,
    Port,
    PortError,
    Vector,
    content_hash,
    facts,
    port_from_json,
    port_to_json,
)
from pathways.modules.build import is_delta, part_ports
from pathways.modules.table import BUILT_IN

from .errors import PathError
from .step import COMBINATIONS, DeltaRef, Step, with_parts

_CONCAT = ModuleSpec("concat")
PATH_MIXERS = ("path_router",)
"""Families that mix the outputs of whole paths, the first of which is a path of its own."""


@dataclass(frozen=True)
class Path:
    """An immutable graph of steps from named inputs to one output step.

    Args:
        inputs: the port of each input.
        steps: by name, each reading only inputs and other steps; those that the output does not depend on are
            left out.
        output: the name of the step whose value the path returns, usually the task's head.

    Raises:
        PathError: the graph is not valid; the message names step and read. Ports are checked by `ports`.

    Example:
        >>> from pathways.modules import Draft, ModuleSpec, Vector
        >>> head = Draft("head", ModuleSpec("classifier", {"classes": 3}))
        >>> path = Path({"x": Vector(4)}, {"head": Step((head,), ("x",))}, "head")
        >>> path.ports()["head"]
        Vector(dim=3)
    """

    inputs: Mapping[str, Port]
    steps: Mapping[str, Step]
    output: str

    def _repr_svg_(self) -> str | None:
        """What a notebook shows."""
        from .notebook import path_svg

        return path_svg(self)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", FrozenDict(self.inputs))
        object.__setattr__(self, "steps", FrozenDict(_in_order(self.inputs, self.steps)))
        if self.output not in self.steps:
            raise PathError(f"`output` must name a step of the path, one of {list(self.steps)}, found {self.output!r}.")
        needed = set(self.canonical_order)
        object.__setattr__(self, "steps", FrozenDict({n: step for n, step in self.steps.items() if n in needed}))
        self._check_drafts()

    def _check_drafts(self) -> None:
        seen: dict[str, Draft] = {}
        for draft in self.drafts_in_order():
            if seen.setdefault(draft.name, draft) != draft:
                raise PathError(f"drafts named {draft.name!r} must be equal to be one module: rename one of them.")

    @property
    def head(self) -> str:
        """The step that holds the task's own head: the output; where that mixes whole paths, the end of the first."""
        last = self.steps[self.output]
        mixes = len(last.modules) == 1 and last.modules[0].spec.family in PATH_MIXERS
        return last.reads[0] if mixes and last.reads[0] in self.steps else self.output

    # -- what the path holds ------------------------------------------------------------------------------

    def refs(self) -> Iterator[ModuleRef]:
        """All module references, in canonical order (that of the Merkle hash), parts before their holders."""
        for name in self.canonical_order:
            yield from self.steps[name].refs()

    def drafts_in_order(self) -> Iterator[Draft]:
        """All drafts, in canonical order; a draft used twice appears twice."""
        return iter(self._drafts)

    @cached_property
    def _drafts(self) -> tuple[Draft, ...]:
        return tuple(ref for ref in self.refs() if isinstance(ref, Draft))

    def drafts(self) -> dict[str, Draft]:
        """The drafts by name, in canonical order."""
        return {draft.name: draft for draft in self._drafts}

    def frozen(self) -> dict[str, Frozen]:
        """The frozen modules by blob id, in canonical order."""
        return {ref.id: ref for ref in self.refs() if isinstance(ref, Frozen)}

    def map_refs(self, change: Callable[[ModuleRef], ModuleRef]) -> Path:
        """The path with each module reference changed by `change`, parts before their holders."""
        return Path(self.inputs, {name: step.map_refs(change) for name, step in self.steps.items()}, self.output)

    def trained(self, blobs: Mapping[str, str]) -> Path:
        """The path with each draft replaced by the blob that training gave it, by draft name."""
        return self.map_refs(lambda ref: Frozen(blobs[ref.name], ref.spec) if isinstance(ref, Draft) else ref)

    # -- order and hashes ---------------------------------------------------------------------------------

    @cached_property
    def canonical_order(self) -> tuple[str, ...]:
        """The steps that the output depends on, in an order that content alone decides: depth first along reads."""
        order: list[str] = []

        def visit(name: str) -> None:
            if name in self.inputs or name in order:
                return
            for read in self.steps[name].all_reads():
                visit(read)
            order.append(name)

        visit(self.output)
        return tuple(order)

    @cached_property
    def step_hashes(self) -> Mapping[str, str]:
        """The Merkle hash of each input and each step that the output depends on.

        It covers modules (blob ids; spec and start of drafts), deltas, combination and reads, not names.
        Which drafts are one module is told by their position in canonical order.
        """
        position = {name: i for i, name in enumerate(self.drafts())}
        hashes = {name: content_hash(["input", name, port_to_json(port)]) for name, port in self.inputs.items()}
        for name in self.canonical_order:
            step = self.steps[name]

            def identity(ref: ModuleRef) -> Any:
                shared = [position[r.name] for r in with_parts(ref) if isinstance(r, Draft)]
                return [ref.identity(), shared]

            combine: Any = step.combine if isinstance(step.combine, str) else identity(step.combine)
            if isinstance(combine, str) and len(step.modules) == 1:
                combine = None  # one module's output is what it is, whatever joins it with nothing is called
            def condition(delta: DeltaRef) -> list[Any]:
                return [[hashes[read] for read in delta.reads]] if delta.reads else []

            gate = {} if step.gate is None else {"gate": [hashes[read] for read in step.gate]}
            hashes[name] = content_hash({
                "modules": [identity(m) for m in step.modules],
                "deltas": [[d.host, identity(d.module), *condition(d)] for d in step.deltas],
                "combine": combine,
                "reads": [hashes[read] for read in step.reads],
                **gate,
            })
        return FrozenDict(hashes)

    @cached_property
    def hash(self) -> str:
        """The path's identity: the Merkle hash of its output step. Names of steps and drafts do not enter."""
        return self.step_hashes[self.output]

    # -- ports and costs ----------------------------------------------------------------------------------

    def ports(self, families: Families = BUILT_IN) -> dict[str, Port]:
        """The port of each input and step.

        Raises:
            PathError: ports that do not fit; the message names both modules and both ports.
        """
        return dict(self._looked_up(families)[0])

    def _looked_up(self, families: Families) -> tuple[Mapping[str, Port], Mapping[str, Sequence[Facts]]]:
        """The ports, and the facts of each step's modules."""
        known = self.__dict__.get("_ports")
        if known is not None and known[0] is families:
            return known[1:]
        ports: dict[str, Port] = dict(self.inputs)
        found: dict[str, list[Facts]] = {}
        for name, step in self.steps.items():
            found[name] = []
            ports[name] = self._step_port(name, step, ports, families, found[name])
        self.__dict__["_ports"] = (families, ports, found)
        return ports, found

    def __getstate__(self) -> dict[str, Any]:
        """Without what was worked out meanwhile: it is worked out again where a copy needs it."""
        return {"inputs": self.inputs, "steps": self.steps, "output": self.output}

    def _step_port(
        self, name: str, step: Step, ports: Mapping[str, Port], families: Families, found: list[Facts]
    ) -> Port:
        """The port of a step; `found` gets the facts of its modules."""
        reads = tuple(ports[read] for read in step.reads)
        outputs = []
        for module in step.modules:
            try:
                found.append(facts(module.spec, reads, families=families))
                outputs.append(found[-1].output)
            except PortError as error:
                sources = ", ".join(f"{read!r} ({self._families(read)}) gives {ports[read]}" for read in step.reads)
                raise PathError(
                    f"step {name!r}: {error}; {sources or 'it reads nothing'}: put a module between that converts."
                ) from None
            except ValueError as error:
                raise PathError(f"step {name!r}: {error}") from None
        if len(step.modules) > 1 and step.combine != "concat":
            if outputs[0] is not None and outputs[0].integer:
                raise PathError(f"step {name!r} cannot combine ids {outputs[0]} as numbers: embed them first.")
            for module, port in zip(step.modules[1:], outputs[1:], strict=True):
                if port != outputs[0]:
                    raise PathError(
                        f"step {name!r} combines outputs of one port only: module `{step.modules[0].spec.family}` "
                        f"gives {outputs[0]} and module `{module.spec.family}` gives {port}: "
                        f"make them equal or use `concat`."
                    )
        for delta in step.deltas:
            if not 0 <= delta.host < len(step.modules):
                raise PathError(
                    f"step {name!r}: `host` of a delta must be below {len(step.modules)}, found {delta.host}."
                )
            try:
                conditions = tuple(ports[read] for read in delta.reads)
                facts(delta.module.spec, conditions, host=(step.modules[delta.host].spec, reads), families=families)
            except ValueError as error:
                raise PathError(f"step {name!r}: {error}") from None
        if not isinstance(step.combine, str):
            try:
                gate = tuple(ports[read] for read in step.gated_by)
                router = facts(step.combine.spec, gate, families=families).output
            except ValueError as error:
                raise PathError(f"step {name!r}: its router: {error}") from None
            if router != Vector(len(step.modules)):
                raise PathError(
                    f"step {name!r}: its router must give {Vector(len(step.modules))}, one weight a module, "
                    f"found {router}."
                )
        if step.combine == "concat" and len(outputs) > 1:
            return facts(_CONCAT, tuple(outputs), families=families).output  # type: ignore[arg-type,return-value]
        return outputs[0]  # type: ignore[return-value]

    def _families(self, name: str) -> str:
        return "input" if name in self.inputs else "+".join(f"`{m.spec.family}`" for m in self.steps[name].modules)

    def costs(self, families: Families = BUILT_IN) -> PathCosts:
        """Parameters by module and FLOPs of one sample's forward pass."""
        ports, known = self._looked_up(families)
        sizes: dict[str, int] = {}
        flops = 0
        for name in self.canonical_order:
            step = self.steps[name]
            reads = tuple(ports[read] for read in step.reads)

            def add(ref: ModuleRef, ref_ports: tuple[Port, ...], host: Any = None) -> int:
                found = facts(ref.spec, ref_ports, host=host, families=families)
                sizes[ref.id if isinstance(ref, Frozen) else ref.name] = found.parameters
                inside = part_ports(ref.spec, ref_ports, families) if ref.spec.parts else None
                for part_name, part in ref.spec.parts.items():
                    add(part, inside(part_name), host if is_delta(part.spec, families) else None)  # type: ignore[misc]
                return found.flops

            spent = []
            for module, found in zip(step.modules, known[name], strict=True):
                if module.spec.parts:
                    add(module, reads)
                else:
                    sizes[module.id if isinstance(module, Frozen) else module.name] = found.parameters
                spent.append(found.flops)
            for d in step.deltas:
                conditions = tuple(ports[read] for read in d.reads)
                spent[d.host] += add(d.module, conditions, (step.modules[d.host].spec, reads))
            if not isinstance(step.combine, str):
                gate = tuple(ports[read] for read in step.gated_by)
                flops += add(step.combine, gate)
                active = facts(step.combine.spec, gate, families=families).active
                spent = sorted(spent, reverse=True)[:active]  # a sparse router runs so many; count the dearest
            flops += sum(spent)
        return PathCosts(FrozenDict(sizes), flops)

    # -- plain data ---------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The path as plain data."""
        return {
            "inputs": {name: port_to_json(port) for name, port in self.inputs.items()},
            "steps": {name: step.to_json() for name, step in self.steps.items()},
            "output": self.output,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Path:
        """The path that `to_json` wrote; a `PathError` names what does not fit."""
        try:
            return cls(
                {str(name): port_from_json(port) for name, port in data["inputs"].items()},
                {str(name): Step.from_json(step) for name, step in data["steps"].items()},
                data["output"],
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise PathError(
                f"a path has `inputs`, `steps` and `output`, found one that does not fit: {error}"
            ) from None


@dataclass(frozen=True)
class PathCosts:
    """What a path costs: parameters of each module (by blob id or draft name) and FLOPs a sample."""

    sizes: Mapping[str, int]
    flops: int

    @property
    def parameters(self) -> int:
        """All parameters of the path."""
        return sum(self.sizes.values())


def _in_order(inputs: Mapping[str, Port], steps: Mapping[str, Step]) -> dict[str, Step]:
    """The steps, each after those it reads, otherwise as given; a `PathError` names unknown reads and cycles."""
    for name, step in steps.items():
        if name in inputs:
            raise PathError(f"step {name!r} must not have the name of an input: rename it.")
        if not step.modules:
            raise PathError(f"step {name!r} must hold at least one module, found none.")
        if isinstance(step.combine, str) and step.combine not in COMBINATIONS:
            raise PathError(
                f"`combine` of step {name!r} must be one of {COMBINATIONS} or a router module, found {step.combine!r}."
            )
        for read in step.all_reads():
            if read not in inputs and read not in steps:
                raise PathError(
                    f"step {name!r} reads {read!r}, which is neither an input {list(inputs)} nor a step {list(steps)}."
                )
    ordered: dict[str, Step] = {}
    waiting = dict(steps)
    while waiting:
        ready = [name for name, step in waiting.items() if all(r in inputs or r in ordered for r in step.all_reads())]
        if not ready:
            raise PathError(f"steps {sorted(waiting)} read each other in a circle: a path has none.")
        for name in ready:
            ordered[name] = waiting.pop(name)
    return ordered


__all__ = ["DeltaRef", "Path", "PathCosts", "Step"]
