"""A lock that one process of this machine holds at a time, and that ends with it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import IO

PAUSE = 0.05
"""Seconds between two tries."""


@contextmanager
def locked(file: Path, patience: float = inf, unless: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Hold a lock while the block runs; whether it is held.

    Args:
        file: stands for the lock; made where there is none, and left there.
        patience: seconds to wait for whoever holds it.
        unless: called while waiting: whether it is not worth it any more.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "lock"
        >>> with locked(file) as ours, locked(file, patience=0) as also:
        ...     ours, also
        (True, False)
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "wb") as opened:
        until = time.monotonic() + patience
        while not (ours := _taken(opened)) and time.monotonic() < until and not unless():
            time.sleep(PAUSE)
        yield ours


def _taken(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


__all__ = ["locked"]
