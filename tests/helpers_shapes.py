"""One tiny path of each shape that the core must carry: what keeps later work from rewriting it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from helpers_tiny import CLASSES, DIM, FixedPath, chain, head, linear, task_of
from torch import Tensor, nn

from pathways.modules import (
    Context,
    Draft,
    Frozen,
    Ids,
    Init,
    Masked,
    Module,
    ModuleRef,
    ModuleSpec,
    Port,
    Tokens,
    Value,
    Warm,
)
from pathways.path import DeltaRef, Path, Step
from pathways.strategy import Strategy, TaskInfo, View
from pathways.task import Task


class Mixture(Module):
    """A foreign family with parts: the mean of two experts, weighted by a learned share."""

    family = "mixture"

    def __init__(self, ports: tuple[Port, ...], *, parts: Mapping[str, Any]) -> None:
        super().__init__()
        self.parts = dict(parts)  # a plain dict: the parts' weights are blobs of their own
        self.share = nn.Parameter(torch.empty(len(parts)))
        self.output = next(iter(parts.values())).output

    def initialise(self, generator: torch.Generator) -> None:
        """Equal shares."""
        nn.init.zeros_(self.share)

    def forward(self, *inputs: Any, context: Context) -> Tensor:
        """Mix the parts' outputs."""
        outputs = [self.parts[name](*inputs, context=context) for name in sorted(self.parts)]
        return (torch.stack(outputs, -1) * self.share.softmax(0)).sum(-1)


@dataclass(frozen=True)
class Shape:
    """A shape probe.

    Args:
        name: of the shape.
        strategy: trains its path.
        task: makes a task of a name, with the inputs that the path reads.
        names: of the tasks that are learned together.
        families: that are not built in.
        builds_on: learned before, on a plain path.
    """

    name: str
    strategy: Strategy
    task: Callable[[str], Task]
    names: tuple[str, ...] = ("one",)
    families: tuple[type[Module], ...] = ()
    builds_on: tuple[str, ...] = ()

    def tasks(self) -> list[Task]:
        """The tasks that are learned together."""
        return [self.task(name) for name in self.names]


def seeded(path: Path) -> Path:
    """The path with a fixed start for each draft, so that untrained weights can be made again."""
    seeds = {name: i for i, name in enumerate(path.drafts())}

    def fix(ref: ModuleRef) -> ModuleRef:
        random = isinstance(ref, Draft) and isinstance(ref.start, Init)
        return Draft(ref.name, ref.spec, Init(seeds[ref.name])) if random else ref  # type: ignore[union-attr]

    return path.map_refs(fix)


def each(make: Callable[[View], Path]) -> Callable[[View], dict[str, Path]]:
    """A `build` of `FixedPath` that makes the one task's path."""

    def build(view: View) -> dict[str, Path]:
        return {view.task.name: seeded(make(view))}

    build.__name__ = make.__name__
    return build


# -- data in other shapes -----------------------------------------------------------------------------------


def plain(name: str) -> Task:
    """Points."""
    return task_of(name)


def two_inputs(name: str) -> Task:
    """The point as three tokens of two numbers, and a query: one token that says nothing of the class."""
    inputs: dict[str, Port] = {"query": Tokens(1, 4), "memory": Tokens(3, 2)}
    return task_of(name, inputs, lambda split, x: {"query": torch.ones(len(x), 1, 4), "memory": x.reshape(-1, 3, 2)})


def sentences(name: str) -> Task:
    """The point's rounded numbers as ids, the first four to six of them."""
    def make(split: str, x: Tensor) -> dict[str, Value]:
        ids = ((2 * x).round().long() + 16).clamp(0, 31)
        lengths = torch.arange(len(x)) % 3 + DIM - 2
        mask = torch.arange(DIM).expand(len(x), DIM) < lengths[:, None]
        return {"text": Masked(ids.where(mask, 0), mask)}

    return task_of(name, {"text": Ids(None, 32)}, make)


# -- paths ----------------------------------------------------------------------------------------------------


@each
def cross_attention(view: View) -> Path:
    """A module that reads two inputs."""
    steps = {
        "attend": Step((Draft("attend", ModuleSpec("transformer", {"heads": 2, "ff": 2})),), ("query", "memory")),
        "flat": Step((Draft("flat", ModuleSpec("flatten")),), ("attend",)),
        "head": Step((head(),), ("flat",)),
    }
    return Path(view.task.inputs, steps, "head")


@each
def learned_tokens(view: View) -> Path:
    """Queries that read nothing attend to the input."""
    steps = {
        "queries": Step((Draft("queries", ModuleSpec("learned_tokens", {"length": 2, "dim": 4})),)),
        "attend": Step((Draft("attend", ModuleSpec("transformer", {"heads": 2, "ff": 2})),), ("queries", "memory")),
        "pool": Step((Draft("pool", ModuleSpec("pool")),), ("attend",)),
        "head": Step((head(),), ("pool",)),
    }
    return Path({"memory": view.task.inputs["memory"], "query": view.task.inputs["query"]}, steps, "head")


@each
def routed(view: View) -> Path:
    """Three experts weighted by a gate with a balance loss."""
    router = Draft("router", ModuleSpec("topk_router", {"experts": 3, "k": 2, "balance": 0.1}))
    steps = {
        "experts": Step(tuple(linear(f"expert{i}") for i in range(3)), ("x",), router),
        "head": Step((head(),), ("experts",)),
    }
    return Path(view.task.inputs, steps, "head")


@each
def trunk_and_head(view: View) -> Path:
    """Two linear modules and a head."""
    return chain(view.task.inputs, linear("trunk"), linear("top"), head())


@each
def lora(view: View) -> Path:
    """A change inside the frozen trunk of an earlier task, which later tasks find there too."""
    trunk = view.champions["before"].path.steps["step0"].modules[0]
    delta = DeltaRef(0, Draft("delta", ModuleSpec("lora", {"rank": 2})))
    steps = {"trunk": Step((trunk,), ("x",), deltas=(delta,)), "head": Step((head(),), ("trunk",))}
    return Path(view.task.inputs, steps, "head")


@each
def masked_ids(view: View) -> Path:
    """Sentences of several lengths."""
    specs = {
        "embed": ModuleSpec("embed", {"dim": 8, "positions": DIM}),
        "block": ModuleSpec("transformer", {"heads": 2, "ff": 2}),
        "pool": ModuleSpec("pool"),
    }
    return chain(view.task.inputs, *(Draft(name, spec) for name, spec in specs.items()), head())


@each
def with_parts(view: View) -> Path:
    """A module that holds two others."""
    parts = {"first": linear("first"), "second": linear("second")}
    return chain(view.task.inputs, Draft("mixture", ModuleSpec("mixture", {}, 1, parts)), head())


def two_heads(view: View) -> dict[str, Path]:
    """A path for each task, on one trunk."""
    return {task.name: seeded(_trunk(task)) for task in view.tasks}


def _trunk(task: TaskInfo) -> Path:
    return chain(task.inputs, linear("trunk"), linear("top"), head(f"head/{task.name}"))


def reuse(view: View) -> dict[str, Path]:
    """For a later task: the last champion's path, frozen, with a fresh head and one module cloned and trained on."""
    *_, champion = view.champions.values()
    path = champion.path
    sizes = path.costs(view.families).sizes
    final = path.steps[path.output].modules[0]
    hosts = {m.id for s in path.steps.values() if s.deltas for m in s.modules if isinstance(m, Frozen)}
    copied = next(blob for blob in path.frozen() if sizes[blob] and blob not in hosts and path.frozen()[blob] != final)

    def change(ref: ModuleRef) -> ModuleRef:
        if ref == final:
            return head()
        if isinstance(ref, Frozen) and ref.id == copied:
            return Draft("copy", ref.spec, Warm(ref.id))
        return ref

    return {view.task.name: seeded(path.map_refs(change))}


SHAPES = (
    Shape("two inputs", FixedPath(cross_attention), two_inputs),
    Shape("learned tokens", FixedPath(learned_tokens), two_inputs),
    Shape("routed", FixedPath(routed), plain),
    Shape("delta", FixedPath(lora), plain, builds_on=("before",)),
    Shape("two heads", FixedPath(two_heads), plain, ("one", "two")),
    Shape("masked ids", FixedPath(masked_ids), sentences),
    Shape("warm with optimizer", FixedPath(trunk_and_head, carry_on=True), plain),
    Shape("parts", FixedPath(with_parts), plain, families=(Mixture,)),
)


def names(shapes: Iterable[Shape]) -> list[str]:
    """For test ids."""
    return [shape.name.replace(" ", "-") for shape in shapes]


__all__ = ["CLASSES", "SHAPES", "Mixture", "Shape", "names", "plain", "reuse", "trunk_and_head"]
