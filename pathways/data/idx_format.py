"""The IDX file format: arrays with a header of type and shape, as MNIST comes in."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pathways.errors import DataError

# The third byte of a file names the type of its numbers, which are stored most significant byte first.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(file: str | Path) -> np.ndarray[Any, Any]:
    """The array of an IDX file, compressed by gzip or not.

    Args:
        file: its path.

    Raises:
        DataError: the file is missing, is not IDX, or is shorter or longer than its header says.
    """
    path = Path(file)
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"IDX file {str(path)!r} cannot be read ({error}): copy it again.") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise DataError(
            f"{str(path)!r} must be an IDX file, which begins with two zero bytes and a type, "
            f"found {content[:4].hex(' ') or 'nothing'}: check the file."
        )
    axes, dtype = content[3], np.dtype(_TYPES[content[2]])
    header = 4 + 4 * axes
    shape = tuple(np.frombuffer(content[4 : min(header, len(content) // 4 * 4)], ">u4").tolist())
    expected = header + math.prod(shape) * dtype.itemsize
    if len(shape) != axes or len(content) != expected:
        raise DataError(
            f"IDX file {str(path)!r} must hold {expected} bytes for its shape {shape}, found {len(content)}: "
            "copy it again."
        )
    array = np.frombuffer(content, dtype, offset=header).reshape(shape)
    return array.astype(dtype.newbyteorder("="))
