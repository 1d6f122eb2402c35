"""What an exported file says of itself, and whether it answers as the champion does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path as FilePath
from typing import Any

import torch
from torch import Tensor

from pathways.modules import port_to_json

from .errors import PathwaysError
from .manifest import TaskRecord
from .records import fingerprint, target_to_json

ABSOLUTE, RELATIVE = 1e-4, 1e-4
"""How far an exported program may be from the champion: other kernels add in another order."""


@dataclass(frozen=True)
class Exported:
    """A file that was written, and how it was checked.

    Args:
        file: the file, or the folder of a root.
        samples: how many stored samples it was checked on: those of the task's probe; 0 where it was not checked.
        largest: the largest difference of any output from the champion's.
        unchecked: why it was not checked; empty where it was.
    """

    file: FilePath
    samples: int = 0
    largest: float = 0.0
    unchecked: str = ""

    @property
    def said(self) -> str:
        """The check in one sentence.

        >>> Exported(FilePath("a.onnx"), 16, 2.5e-7).said
        'checked on 16 stored samples: it differs from the champion by at most 2.5e-07'
        """
        if self.unchecked:
            return f"not checked: {self.unchecked}"
        samples = "1 stored sample" if self.samples == 1 else f"{self.samples} stored samples"
        return f"checked on {samples}: it differs from the champion by at most {self.largest:.2g}"


def description(record: TaskRecord) -> dict[str, Any]:
    """What every exported file carries, plain data: all that is needed to use it without this package.

    `inputs` are what it reads, in order, each with its port; `transform` is `x * scale + shift` from stored values to
    what the path reads (programs do it themselves, weights alone do not); `target` has the class names in the order of
    the scores; `columns` and `pictures` say how tables and image files become stored values; `fingerprint` is a hash of
    path and weights.
    """
    return {
        "name": record.name,
        "inputs": {name: port_to_json(port) for name, port in record.inputs.items()},
        "output": output_name(record),
        "target": target_to_json(record.target),
        "transform": {name: affine.to_json() for name, affine in record.transform.items()},
        **({"columns": {name: each.to_json() for name, each in record.columns.items()}} if record.columns else {}),
        **({"pictures": {name: each.to_json() for name, each in record.pictures.items()}} if record.pictures else {}),
        "fingerprint": fingerprint([record]),
    }


def input_names(record: TaskRecord) -> list[str]:
    """What the inputs of a program are called, in order: by the task's inputs, each mask behind its own."""
    names = []
    for name, port in record.inputs.items():
        names += [name, f"{name}.mask"] if port.variable else [name]
    return names


def output_name(record: TaskRecord) -> str:
    """What a program gives: `values`, or `scores` before the softmax."""
    return "values" if record.target.kind == "values" else "scores"


def checked(
    file: FilePath, format: str, arguments: Sequence[Tensor], champion: Callable[[Sequence[Tensor]], Tensor]
) -> Exported:
    """Run a program that was written and compare it with the champion, on all samples at once and on one.

    Args:
        file: the program.
        format: `pt2` or `onnx`; the latter needs onnxruntime, and is not checked without.
        arguments: what it reads, of several samples.
        champion: what the champion makes of them.

    Raises:
        PathwaysError: it differs by more than rounding does.
    """
    if format == "onnx" and not find_spec("onnxruntime"):
        return Exported(file, unchecked="that needs onnxruntime, pip install 'evolving-pathways[onnx]'")
    program = _onnx(file) if format == "onnx" else torch.export.load(file).module()
    largest, samples = 0.0, len(arguments[0])
    with torch.no_grad():
        for batch in ([tensor[:1] for tensor in arguments], list(arguments)):
            expected, found = champion(batch), program(*batch)
            difference = (found.double() - expected.double()).abs()
            if found.shape != expected.shape or not bool((difference <= ABSOLUTE + RELATIVE * expected.abs()).all()):
                raise PathwaysError(
                    f"the {format} program must answer as the champion does, found a difference of "
                    f"{float(difference.max()):.2g} on {len(batch[0])} stored samples: export another format, and "
                    "please report it."
                )
            largest = max(largest, float(difference.max()))
    return Exported(file, samples, largest)


def _onnx(file: FilePath) -> Callable[..., Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*tensors: Tensor) -> Tensor:
        feeds: Mapping[str, Any] = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
        return torch.from_numpy(session.run(None, feeds)[0])

    return run


__all__ = ["Exported", "checked", "description", "input_names", "output_name"]
