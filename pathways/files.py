"""Atomic files of plain data."""

from __future__ import annotations

import errno
import json
import os
import secrets
from pathlib import Path
from typing import Any

# What a file system says that knows no second name for a file.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def write_atomically(path: Path, data: bytes | memoryview, *, durable: bool = True, new: bool = False) -> None:
    """Write a file so that readers see the old content or the new, never a part.

    Args:
        path: the file.
        data: its bytes.
        durable: whether it survives a power cut too.
        new: refuse to replace a file, by a `FileExistsError`; of several processes that write it one does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".tmp-{os.getpid()}-{secrets.token_hex(8)}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)  # less what the user's umask takes
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        _take_new(temporary, path) if new else os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _take_new(temporary: Path, path: Path) -> None:
    """Give a file its name, unless there is one of that name."""
    try:
        os.link(temporary, path)
        temporary.unlink()
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.replace(temporary, path)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as indented JSON, atomically and durably."""
    write_atomically(path, json_bytes(data))


def json_bytes(data: Any) -> bytes:
    """What `write_json` writes."""
    return (json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
