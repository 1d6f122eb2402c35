"""Checks of where runs are kept: room, speed, whole writes, SQLite, locks, and the run that is there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pathways.text import bytes_text

from .doctor import FAIL, OFF, OK, WARN, Check

LITTLE, TOO_LITTLE = 1 << 30, 50 << 20
"""Bytes free below which a check warns, and fails."""
SLOW = 10e6
"""Bytes written in a second below which a check warns."""
PROBE = 8 << 20
"""Bytes that are written to measure it."""
SKEW = 10.0
"""Seconds by which the clock of a file system may differ from that of the machine."""


def checks(place: Path | str) -> list[tuple[str, Callable[[], Check | Iterator[Check]]]]:
    """The checks of a directory, or of a URL on storage, by name and in order."""
    from pathways.storage import is_url

    if is_url(place):
        return [("storage", lambda: storage(str(place)))]
    directory = Path(place)
    return [
        ("disk", lambda: disk(directory)), ("files", lambda: files(directory)), ("SQLite", lambda: sqlite(directory)),
        ("temporary files", lambda: temporary()), ("run", lambda: run(directory)),
    ]  # fmt: skip


def disk(directory: Path) -> Check:
    """How much room there is where runs are kept."""
    home = standing(directory)
    free = shutil.disk_usage(home).free
    found = f"{bytes_text(free)} free in {home}"
    how = "free some space, or keep runs elsewhere with `--out`; `--dry-run` says how much a run needs"
    if free < TOO_LITTLE:
        return Check("disk", FAIL, found, how)
    return Check("disk", WARN, found, how) if free < LITTLE else Check("disk", OK, found)


def files(directory: Path) -> Iterator[Check]:
    """Files can be written, replaced whole and locked where runs are kept, and how fast."""
    from pathways.file_lock import locked

    home = standing(directory)
    try:
        folder = tempfile.TemporaryDirectory(prefix=".pathways-doctor-", dir=home)
    except OSError as error:
        kept = (directory / "system.json").exists()
        how = "it can be looked at, but not gone on with: change its permissions" if kept else (
            "change its permissions, or keep runs elsewhere with `--out`"
        )
        yield Check("files", WARN if kept else FAIL, f"{home} cannot be written ({_reason(error)})", how)
        return
    with folder as made:
        data, began = os.urandom(1 << 20) * (PROBE >> 20), time.monotonic()
        first, second = Path(made) / "first", Path(made) / "second"
        with first.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        speed = len(data) / max(time.monotonic() - began, 1e-6)
        second.write_bytes(b"old")
        os.replace(first, second)
        with locked(Path(made) / "lock"):
            whole = second.stat().st_size == len(data)
        skew = abs(second.stat().st_mtime - time.time())
    if not whole:
        yield Check("files", FAIL, f"a file in {home} was not replaced whole", "keep runs on another file system")
    elif speed < SLOW:
        yield Check("files", WARN, f"{bytes_text(speed)}/s in {home}", "keep runs on a faster disk with `--out`: each "
                    "commit waits for it")  # fmt: skip
    else:
        yield Check("files", OK, f"written to disk, replaced whole and locked, {bytes_text(speed)}/s")
    if skew > SKEW:
        yield Check("clocks", WARN, f"files in {home} are {skew:.0f} s off this machine's clock", "set both clocks, as "
                    "with NTP: drivers that share a run tell by them who is late")  # fmt: skip


def sqlite(directory: Path) -> Check:
    """A ledger can be kept there: SQLite with a write-ahead log, which network file systems often cannot have."""
    home = standing(directory)
    if not os.access(home, os.W_OK):
        return Check("SQLite", WARN, f"{sqlite3.sqlite_version}; not tried, since {home} cannot be written")
    with tempfile.TemporaryDirectory(prefix=".pathways-doctor-", dir=home) as made:
        try:
            connection = sqlite3.connect(Path(made) / "ledger.db")
            try:
                [mode] = connection.execute("PRAGMA journal_mode=WAL").fetchone()
                connection.execute("CREATE TABLE one (x INTEGER)")
                connection.execute("INSERT INTO one VALUES (1)")
                connection.commit()
            finally:
                connection.close()
        except sqlite3.Error as error:
            return Check("SQLite", FAIL, f"{sqlite3.sqlite_version} cannot keep a ledger in {home}: {error}",
                         "keep runs on a disk of this machine, or the ledger in a database (`--ledger`)")  # fmt: skip
    if mode != "wal":
        return Check("SQLite", WARN, f"{sqlite3.sqlite_version} has no write-ahead log in {home}",
                     "keep runs on a disk of this machine: this looks like a network file system")  # fmt: skip
    return Check("SQLite", OK, f"{sqlite3.sqlite_version} with a write-ahead log")


def temporary() -> Check:
    """There is room for temporary files."""
    try:
        with tempfile.NamedTemporaryFile(prefix="pathways-doctor-") as file:
            file.write(b"x")
            file.flush()
            free = shutil.disk_usage(tempfile.gettempdir()).free
    except OSError as error:
        return Check("temporary files", FAIL, f"none can be written ({_reason(error)})", "set TMPDIR to a folder that "
                     "can be written, with room")  # fmt: skip
    if free < TOO_LITTLE:
        return Check("temporary files", WARN, f"{bytes_text(free)} free in {tempfile.gettempdir()}",
                     "free some space, or set TMPDIR to a folder with more room")  # fmt: skip
    return Check("temporary files", OK, f"{bytes_text(free)} free in {tempfile.gettempdir()}")


def run(directory: Path) -> Iterator[Check]:
    """The run that is in the directory, if there is one: it can be read, and goes on here to the same bits."""
    if not (directory / "system.json").exists():
        yield Check("run", OFF, f"there is none in {directory}: `pathways doctor DIR` checks one that is there")
        return
    from pathways.errors import PathwaysError
    from pathways.look import looked_at

    try:
        with looked_at(directory) as system:
            damaged, differ, count = system.damaged(), system.numerics_differ(), len(system.briefs)
    except PathwaysError as error:
        yield Check("run", FAIL, str(error), "restore that file from a copy")
        return
    if damaged:
        name, what = next(iter(damaged.items()))
        yield Check("run", FAIL, f"{len(damaged)} of its tasks are damaged, such as {name}: {what}",
                    f"restore the file from a copy, or `pathways forget {directory} {name}`")  # fmt: skip
    elif differ:
        yield Check("run", WARN, f"{count} tasks, made on other numerics: {differ}", "it is used and verified here to "
                    "a tolerance; for the same bits go on where it was made")  # fmt: skip
    else:
        yield Check("run", OK, f"{count} tasks, on these numerics; `pathways verify {directory}` proves them")


def storage(url: str) -> Check:
    """A URL can be reached, and whether a run is there."""
    from pathways.errors import PathwaysError
    from pathways.storage import Storage, without_password

    try:
        there = Storage(url).read("system.json") is not None
    except PathwaysError as error:
        return Check("storage", FAIL, str(error), "check the URL, the credentials and what fsspec needs for it")
    what = "holds a run" if there else "can be reached, and holds no run"
    return Check("storage", OK, f"{without_password(url)} {what}")


def standing(directory: Path) -> Path:
    """The nearest folder above that is there.

    >>> standing(Path("no/such/folder"))
    PosixPath('.')
    """
    home = directory
    while not home.is_dir():
        if home == home.parent:
            return home
        home = home.parent
    return home


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
