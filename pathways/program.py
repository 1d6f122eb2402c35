"""Running an exported program as a function of tensors."""

from __future__ import annotations

from functools import partial
from pathlib import Path as FilePath
from zipfile import is_zipfile

import torch
from torch import Tensor
from torch.export.graph_signature import InputKind, OutputKind

from .errors import DataError, PathwaysError

_CHECKS = (torch.ops.aten._assert_tensor_metadata.default, torch.ops.aten._assert_scalar.default)


class Program:
    """What `System.export(task, "pt2", file)` wrote, for many calls of few samples: the same bits, sooner.

    `torch.export.load(file).module()` checks its inputs, takes nested structures apart and looks up its weights at
    every call, which takes longer than a small path itself. This checks types and shapes only.

    Args:
        file: a program whose inputs and output are tensors.

    Raises:
        PathwaysError: it cannot be read, or is another kind of program.

    Example:
        >>> system.export("digits/0-1", "pt2", "digits.pt2")           # doctest: +SKIP
        >>> Program("digits.pt2")(images).softmax(1)                   # doctest: +SKIP
    """

    def __init__(self, file: str | FilePath) -> None:
        program = _loaded(file)
        module, signature = program.graph_module, program.graph_signature
        if [spec.kind for spec in signature.output_specs] != [OutputKind.USER_OUTPUT]:
            raise PathwaysError(f"{file} must give one tensor and change nothing, found {signature.output_specs}.")
        held = {**program.state_dict, **program.constants}
        nodes = module.graph.find_nodes(op="placeholder")
        given = [spec.kind == InputKind.USER_INPUT for spec in signature.input_specs]
        if given != sorted(given):
            raise PathwaysError(f"{file} must read its inputs after its weights: write it with this release.")
        for check in _CHECKS:
            for node in module.graph.find_nodes(op="call_function", target=check):
                module.graph.erase_node(node)
        module.recompile()
        weights = [held[str(spec.target)] for spec in signature.input_specs[: given.count(False)]]
        self._run = partial(module.forward, *(w.detach() for w in weights))
        self.inputs = [_expected(node.meta["val"]) for node in nodes[len(weights) :]]

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Scores (batch, classes), or values (batch, n), for stored inputs in the order of the path's inputs.

        Raises:
            DataError: tensors of another number, type or shape than the program was written for.
        """
        if len(tensors) != len(self.inputs):
            raise DataError(f"the program reads {len(self.inputs)} tensors, found {len(tensors)}.")
        for i, (tensor, (dtype, shape)) in enumerate(zip(tensors, self.inputs, strict=True)):
            if tensor.dtype != dtype or not _fits(tuple(tensor.shape), shape):
                raise DataError(
                    f"tensor {i} of the program must be {dtype} of shape ({', '.join(map(_side, shape))}), found "
                    f"{tensor.dtype} of shape {tuple(tensor.shape)}: pass stored inputs with a batch axis."
                )
        with torch.no_grad():
            (output,) = self._run(*tensors)
        return output


def _loaded(file: str | FilePath) -> torch.export.ExportedProgram:
    if not is_zipfile(file):
        found = "another kind of file" if FilePath(file).exists() else "none"
        raise PathwaysError(f"{file} must be a program that `export --format pt2` wrote, found {found}.")
    try:
        return torch.export.load(file)
    except (OSError, RuntimeError, ValueError, KeyError, AssertionError) as error:
        raise PathwaysError(f"{file} must be a program that `export --format pt2` wrote, found: {error}.") from None


def _expected(value: Tensor) -> tuple[torch.dtype, tuple[int | None, ...]]:
    """The type and shape of an input; `None` stands for a size that varies."""
    return value.dtype, tuple(size if type(size) is int else None for size in value.shape)


def _fits(found: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    if len(found) != len(shape):
        return False
    return all(want is None or want == have for want, have in zip(shape, found, strict=True))


def _side(size: int | None) -> str:
    return "any" if size is None else str(size)


__all__ = ["Program"]
