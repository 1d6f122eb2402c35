"""From a path and weights to a `torch.nn.Module`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pathways.modules import (
    BUILT_IN,
    Context,
    Delta,
    Draft,
    Families,
    Frozen,
    Masked,
    Module,
    ModuleRef,
    ModuleSpec,
    Port,
    Value,
    build,
)
from pathways.modules.build import is_delta, part_ports
from pathways.modules.ports import batch_size, split

from .errors import PathError
from .path import Path
from .prefix import frozen_parts, frozen_prefix, part_of

Weights = Callable[[ModuleRef], Mapping[str, Tensor] | torch.Generator]
_CONCAT = ModuleSpec("concat")


@dataclass(frozen=True)
class _Plan:
    """One step, ready to run: keys of its modules, of each module's deltas, of its router, and what these read."""

    name: str
    reads: tuple[str, ...]
    modules: tuple[str, ...]
    deltas: tuple[tuple[str, ...], ...]
    combine: str
    router: str | None
    gate: tuple[str, ...] = ()
    conditions: tuple[tuple[tuple[str, ...], ...], ...] = ()
    frozen: int = 0  # so many first modules' sum may be given in their place

    def all_reads(self) -> list[str]:
        """All that the step reads."""
        return [*self.reads, *self.gate, *(read for module in self.conditions for delta in module for read in delta)]

    @cached_property
    def plain(self) -> bool:
        """Whether the step is one module that reads something, and nothing else."""
        return bool(self.reads) and len(self.modules) == 1 and not self.deltas[0] and self.router is None


class PathModule(nn.Module):
    """An assembled path: a plain module from a task's inputs to its head's output.

    Frozen parts have `requires_grad=False` and stay in evaluation mode, buffers included, whatever `.train()`
    is told. Drafts train.

    Args:
        path: what to assemble.
        weights: for each module reference, its tensors, or a generator to initialise it from.
        families: the families that specs may name.
        shared: modules of other paths of the same candidate: drafts of one name become one module.
        lend: whether frozen modules read the tensors that `weights` gives in place, not copies of their own: for
            trainers, which see to it that nothing writes to them.

    Raises:
        PathError: ports that do not fit, or weights that are not those of the module.
    """

    def __init__(
        self,
        path: Path,
        weights: Weights,
        families: Families = BUILT_IN,
        shared: dict[tuple[object, ...], nn.Module] | None = None,
        *,
        lend: bool = False,
    ) -> None:
        super().__init__()
        self.path = path
        self._lend = lend
        self._families = families
        self._shared = {} if shared is None else shared
        self.held = nn.ModuleDict()
        self._refs: dict[str, ModuleRef] = {}
        self._keys: dict[tuple[object, ...], str] = {}
        ports = path.ports(families)
        self._plan = [self._prepare(name, ports, weights) for name in path.canonical_order]
        self._orders: dict[tuple[tuple[str, ...], tuple[str, ...]], list[_Plan]] = {}
        self.train()

    # -- building -----------------------------------------------------------------------------------------

    def _prepare(self, name: str, ports: Mapping[str, Port], weights: Weights) -> _Plan:
        step = self.path.steps[name]
        reads = tuple(ports[read] for read in step.reads)
        modules = tuple(self._hold(ref, reads, weights) for ref in step.modules)
        deltas: list[tuple[str, ...]] = [()] * len(modules)
        conditions: list[tuple[tuple[str, ...], ...]] = [()] * len(modules)
        for delta in step.deltas:
            key = self._hold(delta.module, tuple(ports[r] for r in delta.reads), weights, host=modules[delta.host])
            deltas[delta.host] = (*deltas[delta.host], key)
            conditions[delta.host] = (*conditions[delta.host], delta.reads)
        router = None
        if not isinstance(step.combine, str):
            router = self._hold(step.combine, tuple(ports[read] for read in step.gated_by), weights)
        elif step.combine == "concat" and len(modules) > 1:
            outputs = tuple(self.held[key].output for key in modules)
            router = f"concat_{len(self.held)}"
            self.held[router] = build(_CONCAT, outputs, torch.Generator())  # type: ignore[arg-type]
        combine, gate = (step.combine, ()) if isinstance(step.combine, str) else ("router", step.gated_by)
        frozen = len(frozen_parts(self.path).get(name, ()))
        return _Plan(name, step.reads, modules, tuple(deltas), combine, router, gate, tuple(conditions), frozen)

    def _hold(self, ref: ModuleRef, ports: tuple[Port, ...], weights: Weights, host: str | None = None) -> str:
        """Build a module once; the same reference at the same ports is the same module. Returns its key."""
        name = ref.id if isinstance(ref, Frozen) else ("draft", ref.name)
        inside = None if host is None else next(i for i, key in self._keys.items() if key == host)
        identity = (name, ports, inside)
        if identity in self._keys:
            return self._keys[identity]
        module = self._shared.get(identity)
        if module is None:
            if any(other[0] == name for other in self._shared):
                where = "reads different ports" if host is None else "changes different modules"
                raise PathError(f"draft {ref.name!r} {where} in two steps: use two drafts.")  # type: ignore[union-attr]
            module = self._built(ref, ports, weights, host)
            if isinstance(ref, Draft):
                self._shared[identity] = module
        key = f"module_{len(self._refs)}"
        self._keys[identity] = key
        self._refs[key] = ref
        self.held[key] = module
        return key

    def _built(self, ref: ModuleRef, ports: tuple[Port, ...], weights: Weights, host: str | None) -> nn.Module:
        inside = part_ports(ref.spec, ports, self._families) if ref.spec.parts else None
        parts = None
        if inside:
            hosts = {n: host if is_delta(p.spec, self._families) else None for n, p in ref.spec.parts.items()}
            parts = {n: self.held[self._hold(p, inside(n), weights, hosts[n])] for n, p in ref.spec.parts.items()}
        given = weights(ref)
        generator = given if isinstance(given, torch.Generator) else None
        host_module = self.held[host] if host else None
        module = build(ref.spec, ports, generator, parts=parts, host=host_module, families=self._families)  # type: ignore[arg-type]
        if not isinstance(given, torch.Generator):
            _load(module, given, ref, lend=self._lend and isinstance(ref, Frozen))
        frozen = isinstance(ref, Frozen)
        for parameter in module.parameters():
            parameter.requires_grad_(not frozen)
        return module

    # -- running ------------------------------------------------------------------------------------------

    def forward(self, inputs: Value | Mapping[str, Value], context: Context | None = None) -> Value:
        """Map inputs to the head's output.

        Args:
            inputs: a value for each input by name, or just the value where there is one input; each with a
                batch axis. Values of inner steps may be given too: those steps are then not run. So may the sum of
                a step's frozen modules, as `part_of` names it.
            context: condition, generator and collected losses of this pass.

        Returns:
            (batch, classes) scores before the softmax, or (batch, values).
        """
        if not isinstance(inputs, Mapping):
            inputs = {next(iter(self.path.inputs)): inputs}
        return self.compute(inputs, (self.path.output,), context)[self.path.output]

    def compute(
        self, given: Mapping[str, Value], wanted: tuple[str, ...], context: Context | None = None
    ) -> dict[str, Value]:
        """The values of the steps in `wanted`, from the inputs or inner values in `given`."""
        context = context or Context()
        values = dict(given)
        if not values:
            raise PathError(f"`inputs` must hold a value for each of {list(self.path.inputs)}, found none.")
        batch = batch_size(next(iter(values.values())))
        order = self._orders.get((tuple(given), wanted))
        if order is None:
            order = self._orders[tuple(given), wanted] = self._needed(tuple(given), wanted)
        held = self.held
        for plan in order:
            if plan.plain:
                values[plan.name] = held[plan.modules[0]](*(values[read] for read in plan.reads), context=context)
            else:
                values[plan.name] = self._run(plan, values, batch, context)
        return {name: values[name] for name in wanted}

    def _needed(self, given: tuple[str, ...], wanted: tuple[str, ...]) -> list[_Plan]:
        """The steps that must run, in order; worked out once for all that is given and wanted."""
        by_name = {plan.name: plan for plan in self._plan}
        needed: set[str] = set()
        stack = [name for name in wanted if name not in given]
        while stack:
            name = stack.pop()
            if name in needed:
                continue
            if name not in by_name:
                raise PathError(
                    f"input {name!r} must be given, found {sorted(given)}: pass a value for each input of the path."
                )
            needed.add(name)
            stack.extend(read for read in by_name[name].all_reads() if read not in given)
        return [plan for plan in self._plan if plan.name in needed]

    def _run(self, plan: _Plan, values: Mapping[str, Value], batch: int, context: Context) -> Value:
        reads = [values[read] for read in plan.reads]
        if plan.combine == "router":
            return self._routed(plan, values, reads, batch, context)
        part = values.get(part_of(plan.name)) if plan.frozen else None
        outputs = [] if part is None else [part]
        for i in range(0 if part is None else plan.frozen, len(plan.modules)):
            outputs.append(self._output(plan, i, reads, values, batch, context))
        if plan.combine == "concat" and plan.router is not None:
            return self.held[plan.router](*outputs, context=context)
        if len(outputs) == 1:
            return outputs[0]
        first = outputs[0]
        total = first.value if isinstance(first, Masked) else first
        for output in outputs[1:]:
            total = total + (output.value if isinstance(output, Masked) else output)
        total = total / len(plan.modules) if plan.combine == "mean" else total
        return Masked(total, first.mask) if isinstance(first, Masked) else total

    def _output(
        self, plan: _Plan, i: int, reads: list[Value], values: Mapping[str, Value], batch: int, context: Context
    ) -> Value:
        """What module `i` of a step gives, deltas included."""
        deltas = [
            (self._delta(key), [values[name] for name in names])
            for key, names in zip(plan.deltas[i], plan.conditions[i], strict=True)
        ]
        output = _call(self._module(plan.modules[i]), deltas, reads, context)
        return output if reads else output.expand(batch, *output.shape[1:])  # type: ignore[union-attr]

    def _routed(
        self, plan: _Plan, values: Mapping[str, Value], reads: list[Value], batch: int, context: Context
    ) -> Value:
        """The sum of what the modules give, weighted by the router for each sample.

        Behind a sparse router a module sees only the samples that have a weight for it, in programs that are traced
        all of them: there the number of samples is not known.
        """
        router = cast(Module, self.held[plan.router])  # type: ignore[index]
        gate = router(*(values[read] for read in plan.gate), context=context)
        gate = gate.expand(batch, -1)
        sparse = router.active is not None and not torch.compiler.is_compiling()
        total: Tensor | None = None
        mask: Tensor | None = None
        for i in range(len(plan.modules)):
            chosen = gate[:, i].detach().ne(0).nonzero().flatten() if sparse else None
            if chosen is not None and len(chosen) == 0:
                continue
            if chosen is None or len(chosen) == batch:
                output, weight = self._output(plan, i, reads, values, batch, context), gate[:, i]
            else:
                some = {name: _rows(value, chosen) for name, value in values.items() if name in plan.all_reads()}
                output = self._output(plan, i, [some[read] for read in plan.reads], some, len(chosen), context)
                weight = gate[chosen, i]
            tensor, own = split(_weighted(output, weight))
            if chosen is not None and len(chosen) < batch:
                tensor = tensor.new_zeros(batch, *tensor.shape[1:]).index_add(0, chosen, tensor)
                own = None if own is None else split(reads[0])[1]
            total = tensor if total is None else total + tensor
            mask = own if mask is None else mask
        if total is None:  # every weight is zero: the shape of what is not there comes from the first module
            first, mask = split(self._output(plan, 0, reads, values, batch, context))
            total = torch.zeros_like(first)
        return total if mask is None else Masked(total, mask)

    def _module(self, key: str) -> Module:
        return cast(Module, self.held[key])

    def _delta(self, key: str) -> Delta:
        return cast(Delta, self.held[key])

    def train(self, mode: bool = True) -> PathModule:
        """Set drafts to training or evaluation mode; frozen modules stay in evaluation mode."""
        super().train(mode)
        for key, ref in self._refs.items():
            if isinstance(ref, Frozen):
                self.held[key].train(False)
        return self

    # -- weights ------------------------------------------------------------------------------------------

    def drafts(self) -> dict[str, Module | Delta]:
        """The modules that train, by draft name."""
        return {ref.name: self.held[key] for key, ref in self._refs.items() if isinstance(ref, Draft)}  # type: ignore[misc]

    def frozen(self) -> Iterator[tuple[Frozen, nn.Module]]:
        """The modules that do not train, each with its reference."""
        return ((ref, self.held[key]) for key, ref in self._refs.items() if isinstance(ref, Frozen))

    def module_of(self, ref: ModuleRef) -> Module | Delta:
        """The built module of a reference."""
        return next(self.held[key] for key, held in self._refs.items() if held == ref)  # type: ignore[return-value]

    def prefix(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """The path's frozen prefix and its boundary: see `frozen_prefix`."""
        return frozen_prefix(self.path)


def _rows(value: Value, rows: Tensor) -> Value:
    return Masked(value.value[rows], value.mask[rows]) if isinstance(value, Masked) else value[rows]


def _call(module: Module, deltas: list[tuple[Delta, list[Value]]], reads: list[Value], context: Context) -> Value:
    """Run a module with deltas, each with the values of its condition."""
    if not deltas:
        return module(*reads, context=context)
    before: dict[str, Tensor] = dict(module.named_parameters())
    weights = before
    changes: dict[str, list[Callable[[Any], Any]]] = {}
    for delta, condition in deltas:
        weights = delta.weights_in(weights, context)
        for site, change in delta.inside(*condition).items():
            changes.setdefault(site, []).append(change)
    changed = {name: tensor for name, tensor in weights.items() if tensor is not before[name]}

    def call(*inputs: Value, context: Context) -> Value:
        inner = {"context": context.changed(module, changes)}
        return functional_call(module, changed, inputs, inner) if changed else module(*inputs, **inner)

    around: Callable[..., Value] = call
    for delta, condition in deltas:
        given: dict[str, Any] = {"condition": tuple(condition)} if condition else {}
        around = partial(delta.around, around, **given)
    return around(*reads, context=context)


def _weighted(value: Value, weight: Tensor) -> Value:
    tensor = value.value if isinstance(value, Masked) else value
    tensor = tensor * weight.reshape(-1, *([1] * (tensor.ndim - 1)))
    return Masked(tensor, value.mask) if isinstance(value, Masked) else tensor


def _load(module: nn.Module, tensors: Mapping[str, Tensor], ref: ModuleRef, *, lend: bool) -> None:
    expected = {name: t.shape for name, t in module.state_dict().items()}
    found = {name: t.shape for name, t in tensors.items()}
    if expected != found:
        what = ref.id[:12] if isinstance(ref, Frozen) else ref.name
        raise PathError(
            f"module {what} (`{ref.spec.family}`) must have tensors {_shapes(expected)}, found {_shapes(found)}."
        )
    module.load_state_dict({name: t if lend else t.clone() for name, t in tensors.items()}, assign=True)


def _shapes(shapes: Mapping[str, torch.Size]) -> str:
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in sorted(shapes.items())) or "none"


__all__ = ["PathModule"]
