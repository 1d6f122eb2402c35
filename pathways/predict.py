"""Predicting with a task's champion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from pathways.modules import Ids, Masked, Value

from .errors import DataError
from .freeze import task_inputs
from .manifest import TaskRecord
from .task import Classes
from .trainer.samples import through

if TYPE_CHECKING:
    from .system import System


def predict(system: System, task: str, inputs: Value | Mapping[str, Value]) -> Tensor:
    """Class probabilities (batch, classes), or values (batch, n), for stored inputs of a learned task.

    Values are in the units of the source, also where that standardised them for training.

    Raises:
        DataError: inputs that do not fit the task's ports; the message names both shapes.
    """
    record = system._record(task)
    values = checked_inputs(record, inputs)
    path = record.champion.path
    with torch.no_grad():
        outputs = through(system.module(task), task_inputs(record, values), (path.output,))[path.output]
    scores = cast(Tensor, outputs)  # a champion ends in a vector
    return scores.softmax(1) if isinstance(record.target, Classes) else record.target.restore(scores)


def _tensor(name: str, given: Any, record: TaskRecord) -> Tensor:
    try:
        return torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"input {name!r} of task {record.name!r} must be numbers, all rows alike, found: {error}."
        ) from None


def checked_inputs(record: TaskRecord, inputs: Value | Mapping[str, Value]) -> dict[str, Value]:
    """Inputs by name, as tensors whose shapes fit the task's ports."""
    ports = record.inputs
    if not isinstance(inputs, Mapping):
        if len(ports) != 1:
            raise DataError(f"task {record.champion.task!r} reads {list(ports)}: pass a mapping with a value for each.")
        inputs = {next(iter(ports)): inputs}
    if set(inputs) != set(ports):
        raise DataError(f"task {record.champion.task!r} reads {sorted(ports)}, found {sorted(inputs)}.")
    values: dict[str, Value] = {}
    for name, given in inputs.items():
        value = given if isinstance(given, Masked) else _tensor(name, given, record)
        tensor = value.value if isinstance(value, Masked) else value
        shape = ports[name].shape
        fits = tensor.ndim == len(shape) + 1
        fits = fits and all(want in (None, have) for want, have in zip(shape, tensor.shape[1:], strict=True))
        if not fits or ports[name].variable != isinstance(value, Masked):
            raise DataError(
                f"input {name!r} of task {record.name!r} must have the shape (batch, {', '.join(map(str, shape))})"
                f"{' with a mask' if ports[name].variable else ''}, found {tuple(tensor.shape)}: "
                f"add a batch axis or resize."
            )
        if len(tensor) == 0:
            raise DataError(f"input {name!r} of task {record.name!r} must hold at least one sample, found none.")
        port = ports[name]
        whole = not tensor.is_floating_point()
        if isinstance(port, Ids) and not (whole and tensor.min() >= 0 and tensor.max() < port.vocabulary):
            raise DataError(
                f"input {name!r} of task {record.name!r} must hold whole ids from 0 to {port.vocabulary - 1}, found "
                f"{tensor.dtype} from {tensor.min()} to {tensor.max()}."
            )
        values[name] = value
    return values
