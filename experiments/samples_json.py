"""Samples as JSON has them, as stored values of a task's inputs: nested lists, images in base64, rows of a table."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image as Picture
from torch import Tensor

from pathways.columns import Columns
from pathways.data.csv_table import Table, cell_of
from pathways.data.encode import encode_new
from pathways.data.image_files import BROKEN, bytes_of
from pathways.errors import DataError
from pathways.modules import Image, Masked, Port, Value
from pathways.predict import checked_inputs

from .inputs import planes, white_of

PIXELS = 50_000_000
"""The largest image that is decoded: a small file may stand for a huge one."""


class _Rows(Table):
    """Rows that came as JSON: errors name them as samples."""

    def where(self, row: int) -> str:
        """How errors name a row."""
        return f"sample {row}"


def samples_of(record: Any, samples: Sequence[Any]) -> tuple[dict[str, Value], list[str]]:
    """The stored values of samples, and notes on what training did not have.

    A sample is a value for the task's only input, or an object with a value for each input by name. A value is nested
    lists of stored numbers in the shape of the input's port (an image of one channel also height by width); or for an
    image the base64 text of an image file; or for what was made of a table an object by column.

    Args:
        record: the task's record.
        samples: at least one.

    Raises:
        DataError: a sample does not fit; it is named by its place, from 0.
    """
    if not samples:
        raise DataError("`samples` must hold at least one sample, found none.")
    names = list(record.inputs)
    if len(names) == 1 and names[0] in record.columns and all(_is_row(sample, names[0]) for sample in samples):
        return _table(samples, names[0], record.columns[names[0]])
    single = [_named(i, sample, names) for i, sample in enumerate(samples)]
    values = {
        name: _together([_value(i, sample[name], name, record) for i, sample in enumerate(single)], port)
        for name, port in record.inputs.items()
    }
    return checked_inputs(record, values), []


def joined(record: Any, many: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """The values of several requests as those of one, in order; shorter sequences are padded."""
    if len(many) == 1:
        return dict(many[0])
    return {name: _joined([each[name] for each in many], port) for name, port in record.inputs.items()}


def _is_row(sample: Any, name: str) -> bool:
    return isinstance(sample, Mapping) and not (set(sample) == {name} and isinstance(sample[name], list))


def _table(samples: Sequence[Mapping[str, Any]], name: str, columns: Columns) -> tuple[dict[str, Value], list[str]]:
    rows = []
    for i, sample in enumerate(samples):
        missing = [column for column in columns.names if column not in sample]
        if missing:
            raise DataError(
                f"sample {i} must have {missing[0]!r}, found {sorted(map(str, sample))}: give all of "
                f"{list(columns.names)}, null where a cell is missing."
            )
        rows.append(tuple(_cell(i, column, sample[column], columns) for column in columns.names))
    table = _Rows(Path("samples"), columns.names, rows, list(range(len(rows))))
    values, notes = encode_new(table, columns)
    return {name: values}, notes


def _cell(place: int, column: str, value: Any, columns: Columns) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return cell_of(value, columns.decimal, columns.blank)
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise DataError(f"sample {place} must have a number or a text in column {column!r}, found {value!r:.40}.")


def _named(place: int, sample: Any, names: Sequence[str]) -> Mapping[str, Any]:
    if isinstance(sample, Mapping):
        if set(sample) != set(names):
            raise DataError(f"sample {place} must have a value for each of {list(names)}, found {sorted(sample)}.")
        return sample
    if len(names) != 1:
        raise DataError(f"sample {place} must be an object with {list(names)}, found {sample!r:.40}.")
    return {names[0]: sample}


def _value(place: int, given: Any, name: str, record: Any) -> Tensor:
    port = record.inputs[name]
    if isinstance(given, str):
        if not isinstance(port, Image):
            raise DataError(f"sample {place} must be nested lists of numbers for input {name!r}, found a text.")
        return _image(place, given, name, record)
    try:
        value = torch.tensor(given)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise DataError(
            f"sample {place} must be nested lists of numbers of shape {_shape(port)} for input {name!r}, all rows "
            f"alike, found {given!r:.40}."
        ) from None
    if isinstance(port, Image) and port.channels == 1 and value.ndim == 2:
        value = value[None]
    fits = value.numel() > 0 and len(value.shape) == len(port.shape) and all(
        want in (None, have) for want, have in zip(port.shape, value.shape, strict=True)
    )
    if not fits or not bool(value.isfinite().all()):
        found = f"shape {_shape(value)}" if not fits else "NaN or infinity"
        raise DataError(f"sample {place} must be finite numbers of shape {_shape(port)} for {name!r}, found {found}.")
    return value if port.integer else value.float()


def _image(place: int, given: str, name: str, record: Any) -> Tensor:
    port = record.inputs[name]
    text = given.partition(",")[2] if given.startswith("data:") else given
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"sample {place} must be an image file in base64, found {given!r:.40}.") from None
    try:
        with Picture.open(io.BytesIO(content)) as picture:
            if math.prod(picture.size) > PIXELS:
                raise DataError(f"sample {place} must have at most {PIXELS:,} pixels, found {picture.size}.")
            if (pictures := record.pictures.get(name)) is not None:
                return torch.from_numpy(bytes_of(picture, pictures, f"sample {place}").copy()).float()
            return planes(picture, port, False, white_of(record.transform[name]))
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(f"sample {place} must be a whole image file in base64, found: {error}.") from None


def _shape(shaped: Any) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shaped.shape) + ")"


def _together(values: Sequence[Tensor], port: Port) -> Value:
    if not port.variable:
        return torch.stack(list(values))
    axis = port.shape.index(None)
    masks = [torch.ones(1, value.shape[axis], dtype=torch.bool) for value in values]
    each: list[Value] = [Masked(value[None], mask) for value, mask in zip(values, masks, strict=True)]
    return _joined(each, port)


def _joined(values: Sequence[Value], port: Port) -> Value:
    if not port.variable:
        return torch.cat([value for value in values if isinstance(value, Tensor)])
    masked = [value for value in values if isinstance(value, Masked)]
    axis = 1 + port.shape.index(None)
    length = max(value.mask.shape[1] for value in masked)
    tensors = [_padded(value.value, axis, length) for value in masked]
    return Masked(torch.cat(tensors), torch.cat([_padded(value.mask, 1, length) for value in masked]))


def _padded(tensor: Tensor, axis: int, length: int) -> Tensor:
    shape = list(tensor.shape)
    shape[axis] = length - shape[axis]
    return torch.cat([tensor, tensor.new_zeros(shape)], axis)


__all__ = ["joined", "samples_of"]
