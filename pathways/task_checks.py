"""The checks of a task's data: what cannot be learned from is refused with one sentence that says where."""

from __future__ import annotations

import torch
from torch import Tensor

from pathways.modules import Ids, Masked, Port, Value

from .digests import length_axis, sample_digests
from .errors import DataError
from .measure import METRICS
from .task import IGNORED, Classes, Sequences, Spans, Split, Task, Values


def check_task(task: Task) -> None:
    """Raise a `DataError` that names task, split and value where the data cannot be learned from.

    Args:
        task: declared ports, target, metric and transforms, and its splits. `train` and `validation` are
            required; `test` is not, as trainers get a task without it.

    Raises:
        DataError: a split is missing, empty or of other names; an input or target has the wrong shape, type
            or range, or holds NaN; a class has no training sample; a sample stands in two splits.
    """
    _check_declaration(task)
    for name, split in task.splits.items():
        where = f"split {name!r} of task {task.name!r}"
        _check_inputs(where, task, split)
        _check_targets(where, task, split)
    _check_stored(task)
    _check_classes_trained(task)
    if not task.allow_duplicates:
        _check_leaks(task)


def _check_declaration(task: Task) -> None:
    if not isinstance(task.name, str) or not task.name.strip() or not task.name.isprintable():
        raise DataError(f"`name` of a task must be printable text, found {task.name!r}: rename the task.")
    if not task.inputs:
        raise DataError(f"`inputs` of task {task.name!r} must name a port, found none: declare one.")
    found = sorted(task.splits)
    if not {"train", "validation"} <= set(found) <= {"train", "validation", "test"}:
        raise DataError(
            f"`splits` of task {task.name!r} must be 'train', 'validation' and, if there is one, 'test', "
            f"found {found}: split validation from train, as `pathways.data.from_dataset` does."
        )
    kind = task.target.kind
    named, least = {"classes": (kind, 2), "sequences": ("classes", 2), "spans": ("places", 1)}.get(kind, (kind, 1))
    if task.target.n < least:
        raise DataError(
            f"`target` of task {task.name!r} needs at least {least} {named}, found {task.target.n}."
        )
    if task.target.names and len(task.target.names) != task.target.n:
        raise DataError(
            f"`target` of task {task.name!r} has {len(task.target.names)} names for {task.target.n} {named}: "
            "give one name for each, or none."
        )
    if task.measured_by.of not in ("any", kind):
        fitting = [name for name, metric in METRICS.items() if metric.of in ("any", kind)]
        raise DataError(
            f"`metric` of task {task.name!r} must measure {kind}, found {task.measured_by.name!r}: "
            f"use one of {fitting}."
        )


def _check_inputs(where: str, task: Task, split: Split) -> None:
    if set(split.inputs) != set(task.inputs):
        raise DataError(
            f"`inputs` of {where} must be {sorted(task.inputs)}, found {sorted(split.inputs)}: rename them."
        )
    for name, port in task.inputs.items():
        what = f"input {name!r} of {where}"
        value = split.inputs[name]
        tensor = _check_mask(what, port, value)
        _check_shape(what, port, tensor)
        if len(tensor) != len(split):
            raise DataError(f"{what} has {len(tensor)} samples for {len(split)} targets: give as many.")
        if len(split) == 0:
            raise DataError(f"{where} is empty: give it at least one sample.")
        _check_numbers(what, port, tensor)


def _check_mask(what: str, port: Port, value: Value) -> Tensor:
    """The value's tensor, once it is known to carry a mask exactly where its port asks for one."""
    if port.variable != isinstance(value, Masked):
        need = "a `Masked` pair" if port.variable else "a plain tensor"
        raise DataError(f"{what} must be {need} for port {port}, found {type(value).__name__}.")
    tensor, mask = (value.value, value.mask) if isinstance(value, Masked) else (value, None)
    for part in (tensor, mask) if mask is not None else (tensor,):
        if not isinstance(part, Tensor) or part.device.type != "cpu":
            raise DataError(f"{what} must be a tensor on the CPU, found {type(part).__name__}: move it.")
    if mask is not None:
        axis = length_axis(port)
        shape = (tensor.shape[0], tensor.shape[axis]) if tensor.ndim > axis else None
        if mask.dtype != torch.bool or tuple(mask.shape) != shape:
            raise DataError(
                f"the mask of {what} must be bool of shape {shape}, "
                f"found {mask.dtype} of shape {tuple(mask.shape)}: true marks a real element."
            )
        empty = (~mask.any(1)).nonzero().flatten().tolist()
        if empty:
            raise DataError(f"sample {empty[0]} of {what} has no real element: remove the sample.")
    return tensor


def _check_shape(what: str, port: Port, tensor: Tensor) -> None:
    sizes = tuple(tensor.shape[1:])
    fits = len(sizes) == len(port.shape) and all(
        want in (None, size) for want, size in zip(port.shape, sizes, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in port.shape)
        raise DataError(f"{what} must have shape (N, {wanted}) for port {port}, found {tuple(tensor.shape)}.")


def _check_numbers(what: str, port: Port, tensor: Tensor) -> None:
    whole = not tensor.dtype.is_floating_point and not tensor.dtype.is_complex
    if port.integer:
        if not whole or tensor.dtype == torch.bool:
            raise DataError(f"{what} must be integer ids, found {tensor.dtype}.")
        if isinstance(port, Ids):
            low, high = int(tensor.min()), int(tensor.max())
            if low < 0 or high >= port.vocabulary:
                raise DataError(
                    f"{what} must hold ids from 0 to {port.vocabulary - 1}, padding too, "
                    f"found {low if low < 0 else high}: correct it, or raise `vocabulary`."
                )
    elif tensor.dtype.is_complex:
        raise DataError(f"{what} must be real numbers, found {tensor.dtype}: split it in two inputs.")
    elif not whole:
        _check_finite(what, tensor)


def _check_finite(what: str, tensor: Tensor) -> None:
    bad = (~tensor.isfinite()).nonzero()
    if len(bad):
        number = float(tensor[tuple(bad[0])])
        raise DataError(
            f"{what} holds {number} in sample {int(bad[0][0])} ({len(bad)} such numbers in all): "
            "replace missing numbers or remove their samples."
        )


def _check_targets(where: str, task: Task, split: Split) -> None:
    targets, n, count = split.targets, task.target.n, len(split)
    dtype = torch.float32 if isinstance(task.target, Values) else torch.int64
    shape: tuple[int | str, ...] = (count, n) if isinstance(task.target, Values) else (count,)
    if isinstance(task.target, Spans):
        shape = (count, 2)
    elif isinstance(task.target, Sequences):
        shape = (count, targets.shape[1] if targets.ndim == 2 else "length")
    if targets.dtype != dtype or tuple(targets.shape) != shape:
        raise DataError(
            f"`targets` of {where} must be {dtype} of shape {shape} for {task.target}, "
            f"found {targets.dtype} of shape {tuple(targets.shape)}."
        )
    if isinstance(task.target, Values):
        _check_finite(f"`targets` of {where}", targets)
    elif isinstance(task.target, Spans):
        _check_spans(where, targets, n)
    else:
        _check_labels(where, targets, n, isinstance(task.target, Sequences))


def _check_labels(where: str, targets: Tensor, n: int, sequences: bool) -> None:
    ignored = (targets == IGNORED) if sequences else torch.zeros_like(targets, dtype=torch.bool)
    wrong = (~ignored & ((targets < 0) | (targets >= n))).nonzero()
    if len(wrong):
        kind, beside = ("Sequences", f", or {IGNORED} where there is none") if sequences else ("Classes", "")
        raise DataError(
            f"`targets` of {where} must be labels from 0 to {n - 1}{beside}, found {int(targets[tuple(wrong[0])])} in "
            f"sample {int(wrong[0][0])}: number the classes from 0, or raise `{kind}(n)`."
        )
    if sequences and (empty := ignored.all(1).nonzero().flatten().tolist()):
        raise DataError(f"sample {empty[0]} of {where} has no place with a target: remove the sample.")


def _check_spans(where: str, targets: Tensor, length: int) -> None:
    first, last = targets.unbind(1)
    wrong = ((first < 0) | (last < first) | (last >= length)).nonzero().flatten().tolist()
    if wrong:
        raise DataError(
            f"`targets` of {where} must be places from 0 to {length - 1}, the last not before the first, found "
            f"{targets[wrong[0]].tolist()} in sample {wrong[0]}: correct it, or raise `Spans(length)`."
        )


def _check_stored(task: Task) -> None:
    """A transform fits one way of storing: uint8 in one split and floats in another would be scaled alike."""
    for name in task.inputs:
        dtypes = {split: _tensor(parts.inputs[name]).dtype for split, parts in task.splits.items()}
        if len(set(dtypes.values())) > 1:
            raise DataError(
                f"input {name!r} of task {task.name!r} must have one type in all splits, found {dtypes}: "
                "store all splits alike."
            )
        sizes = _tensor(task.splits["train"].inputs[name]).shape
        width = sizes[1] if len(sizes) == 4 else sizes[-1]
        for field in ("scale", "shift"):
            what = f"`{field}` of input {name!r} of task {task.name!r}"
            _check_transform(what, getattr(task.transform[name], field), width)


def _check_transform(what: str, numbers: float | tuple[float, ...], width: int) -> None:
    if isinstance(numbers, tuple) and len(numbers) != width:
        raise DataError(
            f"{what} has {len(numbers)} numbers for {width} channels or features: "
            "give one for each, or a single number."
        )
    if not torch.tensor(numbers, dtype=torch.float32).isfinite().all():
        raise DataError(f"{what} must be finite, found {numbers}: check the data it comes from.")


def _check_classes_trained(task: Task) -> None:
    # Few words of a vocabulary occur in any task, so only classes that have names are looked for.
    if not (isinstance(task.target, Classes) or (isinstance(task.target, Sequences) and task.target.names)):
        return
    targets = task.splits["train"].targets
    counts = torch.bincount(targets[targets != IGNORED], minlength=task.target.n)
    missing = (counts == 0).nonzero().flatten().tolist()
    if missing:
        raise DataError(
            f"class {task.target.labels[missing[0]]!r} of task {task.name!r} has no sample in train "
            f"({len(missing)} such classes in all): add samples, or leave the class out."
        )


def _check_leaks(task: Task) -> None:
    names = list(task.splits)
    first = {name: _first_places(task, name) for name in names}
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            shared = first[one].keys() & first[other].keys()
            if shared:
                content = min(shared, key=first[one].__getitem__)
                raise DataError(
                    f"task {task.name!r} has {len(shared)} samples that stand in {one!r} and in {other!r} "
                    f"(sample {first[one][content]} of {one!r} is sample {first[other][content]} of "
                    f"{other!r}): keep equal samples in one split, or say `allow_duplicates=True` "
                    "if they are true repeats."
                )


def _first_places(task: Task, name: str) -> dict[bytes, int]:
    contents = sample_digests(task.splits[name].inputs, task.inputs)
    return {content: place for place, content in reversed(list(enumerate(contents)))}


def _tensor(value: Value) -> Tensor:
    return value.value if isinstance(value, Masked) else value
