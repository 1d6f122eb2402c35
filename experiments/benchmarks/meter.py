"""What a piece of work in this process costs: seconds, files opened, bytes read and written, peak memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath

_IO, _STATUS = FilePath("/proc/self/io"), FilePath("/proc/self/status")
_opened = [0]
_watching: list[bool] = []


@dataclass
class Cost:
    """What work cost.

    Args:
        seconds: wall time.
        cpu_seconds: processor time of this process.
        files: how many files Python opened, those of the database among them when it is connected.
        bytes_read, bytes_written: by system calls, page cache included; 0 where the system does not tell.
        peak_mb: the largest resident memory of the process so far, in 10^6 bytes, libraries included.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    files: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    peak_mb: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """The cost of a block, filled in when it ends.

    >>> with measured() as cost:
    ...     data = FilePath(__file__).read_bytes()
    >>> cost.files, cost.seconds > 0
    (1, True)
    """
    if not _watching:
        _watching.append(True)
        sys.addaudithook(_count)
    cost = Cost()
    files, (read, written) = _opened[0], _moved()
    wall, processor = time.perf_counter(), time.process_time()
    yield cost
    cost.seconds, cost.cpu_seconds = time.perf_counter() - wall, time.process_time() - processor
    now = _moved()
    cost.files, cost.bytes_read, cost.bytes_written = _opened[0] - files, now[0] - read, now[1] - written
    cost.peak_mb = _peak()


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("open", "sqlite3.connect") and arguments[0] not in (str(_IO), str(_STATUS)):
        _opened[0] += 1


def _peak() -> float:
    """The largest resident memory so far; the accounting of `getrusage` begins with the parent's, and is not used."""
    try:
        said = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return int(said["VmHWM"].split()[0]) * 1024 / 1e6


def _moved() -> tuple[int, int]:
    """Bytes that this process has read and written so far."""
    try:
        said = dict(line.split(": ") for line in _IO.read_text().splitlines())
    except OSError:
        return 0, 0
    return int(said["rchar"]), int(said["wchar"])
