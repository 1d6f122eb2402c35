"""Files that `pathways predict` reads, as the stored inputs of a task."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image as Picture
from torch import Tensor

from pathways.columns import Columns
from pathways.data.csv_table import Table, read_table
from pathways.data.encode import encode_new
from pathways.data.image_files import BROKEN, read_images
from pathways.errors import DataError
from pathways.modules import Image, Masked, Port, Value

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_inputs(
    files: Sequence[Path],
    record: Any,
    invert: bool = False,
    white: float | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Value]:
    """The samples in `files`, in order, as stored values of the task's inputs.

    Args:
        files: one .npz or .csv file, or images. A table with a header may have the columns that the task was
            made of, in any order and among others; without, its cells are the stored numbers.
        record: the task's record: its ports and transforms.
        invert: whether images are dark on light where the task's are light on dark.
        white: the stored value of white; by default the value that the task's transform maps to 1. A task that was
            made of image files has them prepared as in training, and needs none.
        note: called with what a user should know of the samples, such as categories that training did not have.

    Raises:
        DataError: a file that cannot be read or does not fit the task; it is named.
    """
    ending = files[0].suffix.lower()
    if ending in (".npz", ".csv") and len(files) > 1:
        raise DataError(f"`--input` must be one {ending} file, found {len(files)} files: put all samples into one.")
    if ending == ".npz":
        return _npz(files[0], record)
    name, port = _only_input(record)
    if ending == ".csv":
        columns = record.columns.get(name)
        if columns is not None and _has_header(files[0], columns):
            values, notes = encode_new(_table(files[0], columns), columns)
            for each in notes:
                note(each)
            return {name: values}
        return {name: _csv(files[0], port)}
    if not isinstance(port, Image):
        raise DataError(f"{files[0]}: task {record.name!r} reads {port}: give it an .npz or .csv file.")
    if (pictures := record.pictures.get(name)) is not None:
        if white is not None:
            raise DataError(f"`--white` must be left out: task {record.name!r} says how its image files are prepared.")
        stored = read_images(files, pictures)
        return {name: 255 - stored if invert else stored}
    white = white_of(record.transform[name]) if white is None else white
    return {name: torch.stack([_image(file, port, invert, white) for file in files])}


def _table(file: Path, columns: Columns) -> Table:
    return read_table(file, columns.delimiter, columns.decimal, columns.blank)


def _only_input(record: Any) -> tuple[str, Port]:
    if len(record.inputs) != 1:
        raise DataError(f"task {record.name!r} reads {sorted(record.inputs)}: give it an .npz file with all.")
    return next(iter(record.inputs.items()))


def _npz(file: Path, record: Any) -> dict[str, Value]:
    """An array for each input by its name, `NAME.mask` for variable lengths; a single array may have any name."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, NotImplementedError, BadZipFile) as error:
        raise DataError(f"{file}: it must be an .npz file of plain arrays: {error}.") from None
    except TypeError:  # what `numpy.save` wrote, under another name
        raise DataError(f"{file}: it must be an .npz file, found one array: write it with `numpy.savez`.") from None
    for name, array in arrays.items():
        _check_numbers(file, name, array)
    names = list(record.inputs)
    if len(names) == len(arrays) == 1:
        arrays = dict(zip(names, arrays.values(), strict=True))
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{file}: it must hold an array {missing[0]!r}, found {sorted(arrays)}.")
    values: dict[str, Value] = {}
    for name, port in record.inputs.items():
        value = torch.from_numpy(arrays[name])
        if port.variable:
            if f"{name}.mask" not in arrays:
                raise DataError(f"{file}: input {name!r} has a variable length: add its mask as {name + '.mask'!r}.")
            values[name] = Masked(value, torch.from_numpy(arrays[f"{name}.mask"]).bool())
        else:
            values[name] = value
    return values


def _check_numbers(file: Path, name: str, array: np.ndarray[Any, Any]) -> None:
    """Raise a `DataError` where an array does not hold finite numbers."""
    if array.dtype.kind not in "biuf":
        raise DataError(f"{file}: array {name!r} must hold numbers, found {array.dtype}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise DataError(f"{file}: array {name!r} must hold finite numbers, found {count} that are not: fill them in.")


def _csv(file: Path, port: Port) -> Tensor:
    """A row of numbers for each sample, under a header or without one."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: it cannot be read: {error}.") from None
    if rows and not all(map(_is_number, rows[0])):
        rows = rows[1:]
    if not rows:
        raise DataError(f"{file}: it must hold at least one row of numbers, found none.")
    if None in port.shape:
        raise DataError(f"{file}: the task reads {port}, whose length varies: give it an .npz file.")
    width = int(np.prod([size or 1 for size in port.shape]))
    for i, row in enumerate(rows, 1):
        bad = [cell for cell in row if not _is_number(cell)]
        if bad or len(row) != width:
            found = f"{bad[0]!r}" if bad else f"{len(row)} columns"
            raise DataError(f"{file}: row {i} must hold {width} numbers, found {found}.")
    numbers = torch.tensor([[float(cell) for cell in row] for row in rows])
    return (numbers.long() if port.integer else numbers).reshape(len(rows), *[size or 1 for size in port.shape])


def _has_header(file: Path, columns: Columns) -> bool:
    """Whether the first row of a table names columns, rather than holding the stored numbers themselves."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            line = lines.readline()
        named, stored = (next(csv.reader([line], delimiter=mark), []) for mark in (columns.delimiter, ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: it cannot be read: {error}.") from None
    return set(columns.names) <= {cell.strip() for cell in named} or not all(map(_is_number, stored))


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def white_of(transform: Any) -> float:
    """The stored value that a task's transform maps to 1."""
    if isinstance(transform.scale, tuple) or transform.shift != 0.0 or transform.scale == 0.0:
        raise DataError(
            "`--white` must say what stored value white has: the task's transform does not tell. Try 255 or 1; "
            "to a service, send nested lists of stored numbers."
        )
    return 1.0 / float(transform.scale)


def _image(file: Path, port: Image, invert: bool, white: float) -> Tensor:
    try:
        with Picture.open(file) as picture:
            return planes(picture, port, invert, white)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    except BROKEN as error:
        raise DataError(f"{file}: it must be an image: {error}.") from None


def planes(picture: Picture.Image, port: Image, invert: bool, white: float) -> Tensor:
    """An image as stored values (channels, height, width) of a task that was not made of image files.

    Args:
        picture: of any size and mode; each side is scaled by itself.
        port: what it becomes.
        invert: whether dark and light change places.
        white: the stored value of white.

    Raises:
        DataError: no image file has as many channels.
    """
    if port.channels not in _MODES:
        raise DataError(f"the task reads {port}, which an image file cannot hold: give it an .npz file.")
    fitted = picture.convert(_MODES[port.channels]).resize((port.width, port.height), Picture.Resampling.BILINEAR)
    pixels = np.asarray(fitted, dtype=np.float32) / 255.0
    pixels = 1.0 - pixels if invert else pixels
    stored = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(stored)) * white
