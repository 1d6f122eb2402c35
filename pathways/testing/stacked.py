"""What a stacked form of a module family must be: the same as its modules one by one."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor

from pathways.modules import Context, Module, Stack


def assert_stack_is_its_modules(
    shell: Module, modules: Sequence[Sequence[Module]], inputs: Sequence[Tensor], tolerance: float
) -> None:
    """Assert that `stacked` gives the outputs, gradients and buffers of each module alone, within `tolerance`.

    Args:
        shell: a module of the family, whose own weights do not matter.
        modules: K candidates with S modules each.
        inputs: (K, B, ...) each, or (1, B, ...): all candidates read the same.
        tolerance: of outputs, absolute and relative; of gradients ten times that.
    """
    modules = [[deepcopy(module) for module in row] for row in modules]
    names = [name for name, _ in shell.named_parameters()]
    tensors = stacked_tensors(modules)
    for name in names:
        tensors[name].requires_grad_()
    theirs = _copies(inputs)
    alone = torch.stack([
        torch.stack([module(*(x[min(k, len(x) - 1)] for x in theirs), context=Context()) for module in row])
        for k, row in enumerate(modules)
    ])
    ours = _copies(inputs)
    together = shell.stacked(Stack(tensors), *ours).expand_as(alone)
    _assert_close("outputs", together, alone, tolerance)
    pull = torch.randn(alone.shape, generator=torch.Generator().manual_seed(5))
    for output in (alone, together):
        if output.requires_grad:
            (output * pull).sum().backward()
    for name in names:
        each = [[module.get_parameter(name).grad for module in row] for row in modules]
        wanted = torch.stack([torch.stack(row) for row in each])  # type: ignore[arg-type]
        _assert_close(f"gradients of `{name}`", tensors[name].grad, wanted, 10 * tolerance)
    for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if other.grad is not None:
            _assert_close(f"gradients of input {i}", mine.grad, other.grad, 10 * tolerance)
    after = stacked_tensors(modules)
    for name in set(tensors) - set(names):
        _assert_close(f"buffer `{name}`", tensors[name].double(), after[name].double(), tolerance)


def stacked_tensors(modules: Sequence[Sequence[Module]]) -> dict[str, Tensor]:
    """The tensors of K times S modules by name, (K, S, ...) each."""
    states = [[module.state_dict() for module in row] for row in modules]
    return {name: torch.stack([torch.stack([s[name] for s in row]) for row in states]) for name in states[0][0]}


def _copies(inputs: Sequence[Tensor]) -> list[Tensor]:
    return [x.clone().requires_grad_(x.is_floating_point()) for x in inputs]


def _assert_close(what: str, found: Tensor | None, wanted: Tensor, tolerance: float) -> None:
    assert found is not None, f"{what}: the stack has none"
    assert found.shape == wanted.shape, f"{what}: the stack has {tuple(found.shape)}, its modules {tuple(wanted.shape)}"
    worst = float((found - wanted).detach().abs().max()) if wanted.numel() else 0.0
    assert torch.allclose(found, wanted, atol=tolerance, rtol=tolerance), f"{what}: the stack is off by {worst:.2g}"


__all__ = ["assert_stack_is_its_modules", "stacked_tensors"]
