"""Many paths of one outline as one program: weights with leading axes over candidates and slots."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from pathways.candidate import Training
from pathways.modules import BUILT_IN, Context, Draft, Families, Frozen, Init, Module, ModuleRef, Port, Stack, build
from pathways.modules.spec import ModuleSpec
from pathways.path import Path
from pathways.prefix import part_of
from pathways.stack_plan import summed, trained_part

Weights = Callable[[int, ModuleRef], "Mapping[str, Tensor] | torch.Generator"]


class Layer(Protocol):
    """The modules of one spec in one step of all paths; K candidates."""

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """The sum of each candidate's modules: (K, B, ...), or (1, B, ...) where it is the same for all."""
        ...


@dataclass(frozen=True, eq=False)
class Same:
    """One module for all candidates, frozen or without weights: run as it is, candidates folded into the batch."""

    module: Module

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """(K or 1, B, ...) to the same."""
        k = max(len(value) for value in inputs)
        folded = [value.expand(k, *value.shape[1:]).flatten(0, 1) for value in inputs]
        return self.module(*folded, context=Context()).unflatten(0, (k, -1))


@dataclass(frozen=True, eq=False)
class Chosen:
    """Modules that nothing trains, where all candidates read the same: each distinct one is computed once.

    Args:
        shell: a module of the spec.
        stack: the U distinct modules, (1, U, ...).
        choice: (K, U), how often each is in a candidate's step.
    """

    shell: Module
    stack: Stack
    choice: Tensor

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """(1, B, ...) to (K, B, ...)."""
        outputs = self.shell.stacked(self.stack, *inputs)[0]
        if math.isfinite(outputs.sum().item()):  # of finite ones the sum may overflow: then the other way is as right
            return (self.choice @ outputs.flatten(1)).view(-1, *outputs.shape[1:])
        # In a product zero times infinity would reach the candidates that do not hold the module.
        return torch.stack([torch.einsum("u,u...->...", row[row > 0], outputs[row > 0]) for row in self.choice])


class _Sum(torch.autograd.Function):
    """The sum over slots, one after another: torch's own order depends on how many there are, used or not."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor) -> Tensor:
        ctx.slots = outputs.shape[1]
        total = outputs[:, 0] + outputs[:, 1]
        for s in range(2, ctx.slots):
            total += outputs[:, s]
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad[:, None].expand(-1, ctx.slots, *grad.shape[1:])


@dataclass(eq=False)
class Slots:
    """Up to S modules for each candidate, trained or not.

    Args:
        shell: a module of the spec.
        stack: the weights, (K, S, ...); zeros in slots that are not used.
        trained: (K, S), 1 where the slot holds a draft, or what needs no rate to stay as it is; 0 where it must be
            kept from changing.
        drafts: for each candidate, the slot of each draft by name.
    """

    shell: Module
    stack: Stack
    trained: Tensor
    drafts: tuple[Mapping[str, int], ...]

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """(K or 1, B, ...) to (K, B, ...)."""
        outputs = self.shell.stacked(self.stack, *inputs)
        return outputs.squeeze(1) if outputs.shape[1] == 1 else _Sum.apply(outputs)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """What is trained, by name."""
        if not any(self.drafts):
            return {}
        return {name: self.stack[name] for name, _ in self.shell.named_parameters()}

    def tensors_of(self, k: int, draft: str) -> dict[str, Tensor]:
        """Weights and buffers of a draft of candidate `k`, as views."""
        return {name: tensor[k, self.drafts[k][draft]] for name, tensor in self.stack.tensors.items()}

    def select(self, kept: Tensor) -> None:
        """Keep the candidates at these places only."""
        tensors = {n: t.detach()[kept].requires_grad_(t.requires_grad) for n, t in self.stack.tensors.items()}
        self.stack = Stack(tensors, low=self.stack.low)
        self.trained = self.trained[kept]
        self.drafts = tuple(self.drafts[k] for k in kept.tolist())


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of all paths.

    Args:
        reads: places of the values that it reads.
        layers: whose outputs are added.
        modules: (K,), what the sum is divided by; `None` for a sum.
        part: the place of what is given of the sum: that of each path's frozen modules; `None` where nothing is.
    """

    reads: tuple[int, ...]
    layers: tuple[Layer, ...]
    modules: Tensor | None
    part: int | None = None

    def __call__(self, values: Sequence[Tensor]) -> Tensor:
        """The step's value."""
        inputs = [values[place] for place in self.reads]
        total = self.layers[0](inputs)
        for layer in self.layers[1:]:
            total = total + layer(inputs)
        if self.part is not None:
            total = values[self.part] + total
        if self.modules is None:
            return total
        return total / self.modules.view(-1, *[1] * (total.ndim - 1))


class StackedPaths:
    """The parts behind their frozen prefixes of paths that have one outline (`stack_plan.outline`), as one program.

    Args:
        paths: at least two: with one, nothing would tell values that all share from values of its own.
        trainings: of each; they say what is trained at all.
        weights: tensors, or a generator to initialise from, of the `k`th path's module.
        shared: whether each boundary value is the same for all paths.
        slots: for each step, how many slots its layers have at least (`stack_plan.Group`).
        families: the families that specs may name.
        device: where the weights are.

    Attributes:
        stages: the steps, in canonical order.
        boundary: for each path, the names of the values that the program reads.
        mixed: the stages that read the sum of each path's frozen modules; these sums follow the boundary's values.
        names: for each path, the steps of the stages.
    """

    def __init__(
        self, paths: Sequence[Path], trainings: Sequence[Training], weights: Weights, shared: Sequence[bool],
        slots: Sequence[int] = (), families: Families = BUILT_IN, device: str = "cpu",
    ) -> None:
        self.paths, self.families, self.device = tuple(paths), families, device
        self._weights = weights
        self._mode: bool | None = None
        self._low = torch.bfloat16 if trainings[0].precision == "bfloat16" else None
        self._built: dict[Any, Mapping[str, Tensor]] = {}
        parts = [trained_part(path, training) for path, training in zip(paths, trainings, strict=True)]
        self.boundary = [boundary for _, boundary in parts]
        self.names = names = [
            [name for name in path.canonical_order if name not in prefix]
            for path, (prefix, _) in zip(paths, parts, strict=True)
        ]
        self._given = [summed(path, training) for path, training in zip(paths, trainings, strict=True)]
        given = [[name in some for name in own] for own, some in zip(names, self._given, strict=True)]
        self.mixed = [i for i, column in enumerate(zip(*given, strict=True)) if any(column)]
        self._ports = self.paths[0].ports(families)
        same = [*shared, *(False for _ in self.mixed)]
        self.stages: list[Stage] = []
        for i in range(len(names[0])):
            self._least = slots[i] if slots else 1
            stage = self._stage(i, same)
            self.stages.append(stage)
            alike = stage.part is None and all(isinstance(layer, Same) for layer in stage.layers)
            same.append(alike and all(same[r] for r in stage.reads))
        self._built.clear()

    # -- running ------------------------------------------------------------------------------------------

    def __call__(self, values: Sequence[Tensor], last: int = 0) -> Tensor:
        """The output (K, B, ...) from boundary values, (K, B, ...) or (1, B, ...) each.

        Args:
            values: in the order of `boundary`, then the sums of frozen modules of the stages in `mixed`.
            last: how many of the last stages to leave out: 1 gives what the head reads.
        """
        held = list(values)
        for stage in self.stages[: len(self.stages) - last]:
            held.append(stage(held))
        return held[self.stages[-1].reads[0]] if last else held[-1]

    def layers(self) -> Iterator[Slots]:
        """The layers whose weights have an axis over candidates."""
        return (layer for stage in self.stages for layer in stage.layers if isinstance(layer, Slots))

    def train(self, mode: bool = True) -> None:
        """Training or evaluation mode of what trains; the rest stays in evaluation mode."""
        if mode != self._mode:
            self._mode = mode
            for layer in self.layers():
                layer.shell.train(mode and bool(layer.parameters))

    def tensors_of(self, k: int, draft: str) -> dict[str, Tensor]:
        """Weights and buffers of a draft of path `k`, as views; none of one without weights."""
        return next((layer.tensors_of(k, draft) for layer in self.layers() if draft in layer.drafts[k]), {})

    def select(self, kept: Tensor) -> None:
        """Go on with the paths at these places only."""
        places = kept.tolist()
        self.paths = tuple(self.paths[k] for k in places)
        self.names, self._given = [self.names[k] for k in places], [self._given[k] for k in places]
        for layer in self.layers():
            layer.select(kept)
        self.stages = [
            Stage(stage.reads, tuple(_selected(layer, kept) for layer in stage.layers),
                  None if stage.modules is None else stage.modules[kept], stage.part)
            for stage in self.stages
        ]  # fmt: skip

    # -- building -----------------------------------------------------------------------------------------

    def _stage(self, i: int, same: Sequence[bool]) -> Stage:
        own = [names[i] for names in self.names]
        steps = [path.steps[name] for path, name in zip(self.paths, own, strict=True)]
        first = [len(some.get(name, ())) for name, some in zip(own, self._given, strict=True)]
        left = [step.modules[n:] for step, n in zip(steps, first, strict=True)]
        before = [*self.boundary[0], *map(part_of, map(str, self.mixed))]
        places = {name: place for place, name in enumerate([*before, *self.names[0]])}
        reads = tuple(places[read] for read in steps[0].reads)
        shared = all(same[read] for read in reads)
        layers = []
        ports = tuple(self._ports[read] for read in steps[0].reads)
        for spec in {ref.spec.canonical: ref.spec for ref in left[0]}.values():
            refs = [[ref for ref in row if ref.spec.canonical == spec.canonical] for row in left]
            layers += self._layers(spec, refs, ports, shared)
        mean = steps[0].combine == "mean" and any(len(step.modules) > 1 for step in steps)
        counts = torch.tensor([float(len(step.modules)) for step in steps], device=self.device) if mean else None
        part = places[part_of(str(i))] if i in self.mixed else None
        return Stage(reads, tuple(layers), counts, part)

    def _layers(
        self, spec: ModuleSpec, refs: Sequence[Sequence[ModuleRef]], ports: tuple[Port, ...], shared: bool
    ) -> list[Layer]:
        """The layers of one spec: one; with buffers, which move in training only, one each for frozen and trained."""
        shell = self._shell(spec, ports)
        flat = [ref for row in refs for ref in row]
        frozen = [ref for ref in flat if isinstance(ref, Frozen)]
        if not shell.state_dict() or (len(frozen) == len(flat) == len(refs) and len({ref.id for ref in frozen}) == 1):
            return [Same(self._plain(shell, flat[0]))]
        if len(frozen) == len(flat) and shared:
            return [self._chosen(shell, refs)]
        if frozen and len(frozen) < len(flat) and any(True for _ in shell.buffers()):
            parts = [[[r for r in row if isinstance(r, kind)] for row in refs] for kind in (Frozen, Draft)]
            return [self._slots(self._shell(spec, ports), part, ports) for part in parts]
        return [self._slots(shell, refs, ports)]

    def _shell(self, spec: ModuleSpec, ports: tuple[Port, ...]) -> Module:
        return cast(Module, build(spec, ports, families=self.families))

    def _plain(self, shell: Module, ref: ModuleRef) -> Module:
        if shell.state_dict():
            tensors = {name: t.to(self.device) for name, t in self._tensors(0, ref, ()).items()}
            shell.load_state_dict(tensors, assign=True)
        return shell.eval().requires_grad_(False)

    def _chosen(self, shell: Module, refs: Sequence[Sequence[ModuleRef]]) -> Chosen:
        # In the order of their ids, so that each sum is taken in the same order whoever else is in the stack.
        distinct = sorted({ref for row in refs for ref in row if isinstance(ref, Frozen)}, key=lambda ref: ref.id)
        place = {ref.id: u for u, ref in enumerate(distinct)}
        choice = torch.zeros(len(refs), len(distinct))
        for k, row in enumerate(refs):
            for ref in row:
                choice[k, place[cast(Frozen, ref).id]] += 1
        tensors = [self._tensors(0, ref, ()) for ref in distinct]
        stack = Stack({name: torch.stack([t[name] for t in tensors])[None].to(self.device) for name in tensors[0]})
        return Chosen(shell.eval(), stack, choice.to(self.device))

    def _slots(self, shell: Module, refs: Sequence[Sequence[ModuleRef]], ports: tuple[Port, ...]) -> Slots:
        slots = max(self._least, *map(len, refs))
        zeros = {name: torch.zeros(t.shape, dtype=t.dtype) for name, t in shell.state_dict().items()}
        trained = [[float(shell.idle_at_zero)] * slots for _ in refs]
        distinct: dict[int, tuple[int, Mapping[str, Tensor]]] = {id(zeros): (0, zeros)}  # many start from the same
        places = [[0] * slots for _ in refs]
        for k, row in enumerate(refs):
            for s, ref in enumerate(row):
                given = self._tensors(k, ref, ports)
                places[k][s] = distinct.setdefault(id(given), (len(distinct), given))[0]
                trained[k][s] = float(isinstance(ref, Draft))
        drafts = tuple({ref.name: s for s, ref in enumerate(row) if isinstance(ref, Draft)} for row in refs)
        index = torch.tensor(places)
        tensors = {
            name: torch.stack([given[name] for _, given in distinct.values()])[index].to(self.device) for name in zeros
        }
        if any(drafts):
            for name, _ in shell.named_parameters():
                tensors[name].requires_grad_()
        return Slots(shell, Stack(tensors, low=self._low), torch.tensor(trained, device=self.device), drafts)

    def _tensors(self, k: int, ref: ModuleRef, ports: tuple[Port, ...]) -> Mapping[str, Tensor]:
        """The weights that a module starts from; modules that start from one named seed are initialised once."""
        seed = ref.start.seed if isinstance(ref, Draft) and isinstance(ref.start, Init) else None
        key = None if seed is None else (ref.spec.canonical, ports, seed)
        if key is not None and key in self._built:
            return self._built[key]
        given = self._weights(k, ref)
        if isinstance(given, torch.Generator):
            given = build(ref.spec, ports, given, families=self.families).state_dict()
        if key is not None:
            self._built[key] = given
        return given


def _selected(layer: Layer, kept: Tensor) -> Layer:
    return Chosen(layer.shell, layer.stack, layer.choice[kept]) if isinstance(layer, Chosen) else layer


__all__ = ["Chosen", "Layer", "Same", "Slots", "Stage", "StackedPaths"]
