"""What the named submodules of a network read and give while one batch goes through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from pathways.errors import PathError

from .submodule import first_tensor

Batch = Tensor | Mapping[str, Tensor]


@dataclass(frozen=True)
class Call:
    """One call of a named submodule.

    Args:
        name: of the submodule.
        given: the tensor that it read, as it was then.
        output: the tensor that it gave, as it was then.
    """

    name: str
    given: Tensor
    output: Tensor


def traced(network: nn.Module, names: Sequence[str], batch: Batch) -> tuple[list[Call], Tensor]:
    """The calls of the named submodules, in the order in which they end, and what the network gives.

    Raises:
        PathError: a name is no submodule, or lies inside another; a submodule is not called once, or reads other
            things than one tensor.
    """
    pieces = {name: _found(network, name) for name in names}
    _refuse_nested(names)
    calls: dict[str, list[Call]] = {name: [] for name in names}
    open_: dict[str, Tensor] = {}
    handles = []

    def before(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
            if len(tensors) != 1 or not (args and isinstance(args[0], Tensor)):
                raise PathError(
                    f"submodule {name!r} must read one tensor, its first argument, found {len(tensors)} among what it "
                    f"is called with: {coarser(name)}."
                )
            open_[name] = tensors[0].detach().clone()  # what follows may change it in place

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            try:
                value = first_tensor(output).detach().clone()
            except ValueError as error:
                raise PathError(f"submodule {name!r}: {error}") from None
            calls[name].append(Call(name, open_.pop(name), value))
            order.append(name)

        return hook

    order: list[str] = []
    for name, piece in pieces.items():
        handles.append(piece.register_forward_pre_hook(before(name), with_kwargs=True))
        handles.append(piece.register_forward_hook(after(name)))
    try:
        result = result_of(network, batch)
    finally:
        for handle in handles:
            handle.remove()
    for name, found in calls.items():
        if len(found) != 1:
            raise PathError(
                f"submodule {name!r} must be called once while a batch goes through the network, found {len(found)} "
                f"calls: {coarser(name) if found else 'leave it out'}."
            )
    return [calls[name][0] for name in order], result


def result_of(network: nn.Module, batch: Batch) -> Tensor:
    """What the network gives for a batch, in evaluation mode and without gradients."""
    with evaluating(network):
        return first_tensor(network(**batch) if isinstance(batch, Mapping) else network(batch)).clone()


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """In evaluation mode, and as frozen modules are; afterwards each module and parameter is as it was.

    That no parameter wants gradients counts, also where none are computed: torch then sums some products in another
    order (`torch.matmul` of a tensor that is not contiguous).
    """
    modes = {module: module.training for module in network.modules()}
    wanting = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.eval().requires_grad_(False)
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter in wanting:
            parameter.requires_grad_(True)


def coarser(*names: str) -> str:
    """What to do where submodules cannot be told apart by reads: take what holds them."""
    parents = [name.split(".")[:-1] for name in names]
    common: list[str] = []
    for parts in zip(*parts_of(parents), strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    holder = ".".join(common)
    return f"name a coarser submodule that holds {'them' if len(names) > 1 else 'it'}" + (
        f", such as {holder!r}" if holder else ", or leave out what comes after"
    )


def parts_of(parents: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    """Where one of the names is that of the input, nothing is common."""
    return parents if all(parents) else [[]]


def _found(network: nn.Module, name: str) -> nn.Module:
    known = [known for known, _ in network.named_modules() if known]
    if name not in known:
        near = get_close_matches(name, known, 3) or known[:8]
        raise PathError(f"`names` must be submodules of the network, such as {near}, found {name!r}.")
    return network.get_submodule(name)


def _refuse_nested(names: Sequence[str]) -> None:
    if len(set(names)) < len(names) or not names:
        raise PathError(f"`names` must name at least one submodule, each once, found {list(names)}.")
    for outer in names:
        for inner in names:
            if inner.startswith(f"{outer}."):
                raise PathError(f"`names` must not lie inside each other, found {inner!r} in {outer!r}: drop one.")


__all__ = ["Batch", "Call", "coarser", "evaluating", "result_of", "traced"]
