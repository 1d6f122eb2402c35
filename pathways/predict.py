"""Predicting with a task's champion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pathways.modules import Ids, Masked, Value

from .errors import DataError
from .manifest import TaskRecord
from .ready import Ready, ready
from .task import Classes, Sequences, Spans
from .trainer.samples import IMAGE_BATCH, count, evaluation_batch, rows

if TYPE_CHECKING:
    from .system import System


def predict(system: System, task: str, inputs: Value | Mapping[str, Value]) -> Tensor:
    """Class probabilities (batch, classes), or values (batch, n), for stored inputs of a learned task.

    Values are in the units of the source, also where that standardised them for training. Of sequences the
    probabilities are (batch, length, classes), of spans (batch, length, 2): of beginning and of ending at each place,
    of which `pathways.measure.best_spans` of their logarithms makes spans.

    Raises:
        DataError: inputs that do not fit the task's ports; the message names both shapes.
    """
    record = system._record(task)
    values = checked_inputs(record, inputs)
    return answered(record, ready(system, record), values)


def answered(record: TaskRecord, champion: Ready, values: Mapping[str, Value]) -> Tensor:
    """What `predict` gives, from a champion that is ready and values that were checked."""
    with torch.no_grad():
        scores = _in_batches(champion, values)
        if isinstance(record.target, Sequences):
            return scores.softmax(2)
        return scores.softmax(1) if isinstance(record.target, (Classes, Spans)) else scores


def _in_batches(champion: Ready, values: Mapping[str, Value]) -> Tensor:
    """The scores of all samples, computed in large batches as trainers do."""
    n = count(values)
    if n <= IMAGE_BATCH or n <= (batch := evaluation_batch(values)):
        return champion(values)
    return torch.cat([champion(rows(values, slice(start, start + batch))) for start in range(0, n, batch)])


def _tensor(name: str, given: Any, record: TaskRecord) -> Tensor:
    try:
        return torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            f"input {name!r} of task {record.name!r} must be numbers, all rows alike, found: {error}."
        ) from None


def _fits(found: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(found) == len(shape) and all(want in (None, have) for want, have in zip(shape, found, strict=True))


def _are_ids(tensor: Tensor, vocabulary: int) -> bool:
    return not tensor.is_floating_point() and bool(tensor.min() >= 0) and bool(tensor.max() < vocabulary)


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
        masked = isinstance(value, Masked)
        tensor = value.value if isinstance(value, Masked) else value
        port = ports[name]
        shape, found = port.shape, tuple(tensor.shape)
        variable = None in shape
        if variable != masked or not (found[1:] == shape or (variable and _fits(found[1:], shape))):
            raise DataError(
                f"input {name!r} of task {record.name!r} must have the shape (batch, {', '.join(map(str, shape))})"
                f"{' with a mask' if variable else ''}, found {found}: "
                f"add a batch axis or resize."
            )
        if found[0] == 0:
            raise DataError(f"input {name!r} of task {record.name!r} must hold at least one sample, found none.")
        if isinstance(port, Ids) and not _are_ids(tensor, port.vocabulary):
            raise DataError(
                f"input {name!r} of task {record.name!r} must hold whole ids from 0 to {port.vocabulary - 1}, found "
                f"{tensor.dtype} from {tensor.min()} to {tensor.max()}."
            )
        values[name] = value
    return values
