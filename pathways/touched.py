"""What of a path runs on given data: the modules a task needs, how many bytes they are, and the path without others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from pathways.modules import Draft, Frozen, FrozenDict, Module, ModuleRef, Value, Warm
from pathways.modules.ports import batch_size

from .assemble import PathModule
from .path import Path


@dataclass(frozen=True)
class Touched:
    """What one module did.

    Args:
        rows: how many vectors or samples it was given; 0 where it did not run.
        bytes: of its tensors, its parts left out.
    """

    rows: int
    bytes: int


@torch.no_grad()
def touched(module: PathModule, inputs: Value | Mapping[str, Value]) -> dict[str, Touched]:
    """What each module of a path, its parts included, did in one pass, by blob id or draft name.

    Behind a sparse router, and inside a mixture, experts that no sample or token was given to do not run: a machine
    that answers for this task need not load them. Deltas are not listed; they go with their modules.

    Args:
        module: an assembled path; it runs in evaluation mode.
        inputs: as `PathModule.forward` reads them.
    """
    held = dict(_held(module))
    rows = dict.fromkeys(held, 0)

    def count(name: str) -> Any:
        def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
            rows[name] += batch_size(args[0]) if args else 1

        return hook

    training = module.training
    module.eval()
    try:
        with ExitStack() as stack:
            for name, one in held.items():
                handle = one.register_forward_pre_hook(count(name))
                stack.callback(handle.remove)
            module(inputs)
    finally:
        module.train(training)
    return {name: Touched(rows[name], _bytes(one)) for name, one in held.items()}


def loaded_bytes(found: Mapping[str, Touched]) -> int:
    """The bytes of the modules that ran."""
    return sum(one.bytes for one in found.values() if one.rows)


def without_idle_experts(path: Path, found: Mapping[str, Touched]) -> Path:
    """The path without the expert parts that did not run; on the data they were found on, its output is the same.

    A mixture that loses a part is a draft that starts from its weights: they are the same, what it is made of is not.
    Experts of a router keep their numbers, so that its gate stays as it is.
    """

    def change(ref: ModuleRef) -> ModuleRef:
        experts = {name: part for name, part in ref.spec.parts.items() if name.startswith("expert")}
        idle = {name for name, part in experts.items() if not found[_name(part)].rows}
        if not idle:
            return ref
        numbers = [int(name.removeprefix("expert")) for name in experts]
        config = {"experts": max(numbers) + 1, **ref.spec.config}
        parts = FrozenDict({name: part for name, part in ref.spec.parts.items() if name not in idle})
        spec = replace(ref.spec, config=FrozenDict(config), parts=parts)
        if isinstance(ref, Draft):
            return replace(ref, spec=spec)
        return Draft(f"pruned_{ref.id[:12]}", spec, Warm(ref.id))

    return path.map_refs(change)


def _name(ref: ModuleRef) -> str:
    return ref.id if isinstance(ref, Frozen) else ref.name


def _held(module: PathModule) -> Iterator[tuple[str, Module]]:
    """The path's modules, but for deltas."""
    for ref, frozen in module.frozen():
        if isinstance(frozen, Module):
            yield ref.id, frozen
    for name, draft in module.drafts().items():
        if isinstance(draft, Module):
            yield name, draft


def _bytes(module: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())


__all__ = ["Touched", "loaded_bytes", "touched", "without_idle_experts"]
