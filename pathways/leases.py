"""Leases: one writer for each task, told by an owner `host:pid:random` and a time at which its claim ends."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select, update

from .errors import HeldError, LedgerError, PathwaysError
from .ledger_sql import clock
from .ledger_tables import leases

if TYPE_CHECKING:
    from .ledger import Ledger


SECONDS = 300.0
"""How long a lease lasts that is not renewed: on one host a dead owner is found at once, on another after this.

A thread renews a lease every third of that, whatever the search is doing. So its owner must be stopped, or cut off from
the database, for more than three minutes before another can take it; then it may neither go on nor freeze what it
found, which is looked up at each of these steps."""

SHORT_SECONDS = 60.0
"""The same for what takes seconds: writing a manifest, deleting what nothing needs."""

VARIABLE = "PATHWAYS_LEASE_SECONDS"
"""The environment variable that sets another length for this process's leases."""

KEY_LENGTH = 255
"""The longest name of a lease that stands in the ledger as it is."""


def lease_seconds() -> float:
    """How long this process's leases last that are not renewed."""
    text = os.environ.get(VARIABLE, "")
    try:
        seconds = float(text or SECONDS)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86400:
        raise PathwaysError(f"`{VARIABLE}` must be 1 to 86400 seconds, found {text!r}: unset it for {SECONDS:.0f}.")
    return seconds


def new_owner() -> str:
    """An owner's name for this process: `host:pid:random`."""
    return f"{_host()}:{os.getpid()}:{secrets.token_hex(4)}"


@cache
def _host() -> str:
    """The host's name, and a mark of where its process numbers count: one boot, one container."""
    marks = [_text("/proc/sys/kernel/random/boot_id")]
    with suppress(OSError):
        marks.append(os.readlink("/proc/self/ns/pid"))
    return f"{socket.gethostname()}~{hashlib.sha256(' '.join(marks).encode()).hexdigest()[:8]}"


def _text(file: str) -> str:
    try:
        return Path(file).read_text().strip()
    except OSError:
        return ""


def lease_key(name: str) -> str:
    """The name as the ledger has it: of one that is too long its beginning, and a hash of all of it.

    >>> lease_key("omniglot/Greek"), len(lease_key("x" * 999))
    ('omniglot/Greek', 221)
    """
    if len(name) <= KEY_LENGTH:
        return name
    return f"{name[:180]} {hashlib.sha256(name.encode()).hexdigest()[:40]}"


def acquire(connection: Connection, task: str, owner: str, seconds: float) -> None:
    """Take the lease of `task`, also from an owner that is dead or late; else raise a `HeldError`."""
    key = lease_key(task)
    held = connection.execute(select(leases).where(leases.c.task == key).with_for_update()).mappings().first()
    now = clock(connection)  # once nobody else can change the row
    if held is None:
        connection.execute(insert(leases).values(task=key, owner=owner, expires=now + seconds))
        return
    if held["owner"] != owner and held["expires"] > now and not _gone(connection, held["owner"]):
        raise HeldError(
            f"task {task!r} is being learned by another process, {held['owner']} (host:pid), which holds it "
            f"for another {held['expires'] - now:.0f} s: wait for it, or stop it and try again."
        )
    connection.execute(update(leases).where(leases.c.task == key).values(owner=owner, expires=now + seconds))


def renew(connection: Connection, task: str, owner: str, seconds: float) -> None:
    """Hold the lease for `seconds` from now; a `HeldError` where another process has taken it over."""
    key = lease_key(task)
    mine = (leases.c.task == key) & (leases.c.owner == owner)
    if connection.execute(update(leases).where(mine).values(expires=clock(connection) + seconds)).rowcount == 0:
        holder = connection.execute(select(leases.c.owner).where(leases.c.task == key)).scalar()
        raise HeldError(
            f"task {task!r} must still be held by {owner}, found {holder or 'nobody'}: this process was "
            f"silent for longer than its lease; stop it and resume."
        )


def release(connection: Connection, task: str, owner: str) -> None:
    """Give the lease back; nothing happens where `owner` does not hold it."""
    connection.execute(delete(leases).where((leases.c.task == lease_key(task)) & (leases.c.owner == owner)))


def held_by_others(connection: Connection, owner: str) -> list[str]:
    """The leases (`lease_key`) that owners other than `owner` hold, those that are dead or late left out."""
    query = select(leases).where((leases.c.owner != owner) & (leases.c.expires > clock(connection)))
    return [row["task"] for row in connection.execute(query).mappings() if not _gone(connection, row["owner"])]


@contextmanager
def held(
    ledger: Ledger, tasks: Sequence[str], owner: str, seconds: float = SECONDS, *, patient: bool = False
) -> Iterator[None]:
    """Hold the leases of `tasks` while the block runs; a thread renews them, however long it takes.

    Args:
        ledger: where they are.
        tasks: their names; they are taken in alphabetical order, so that of two who want the same some gets all.
        owner: who holds them.
        seconds: for how long, should this process be gone.
        patient: wait for those that others hold.

    Raises:
        HeldError: another process holds one of them; none is held then. At the end of the block: one was
            lost, because this process had been stopped for longer than `seconds`.
        LedgerError: the database was away for too long.
    """
    taken: list[str] = []
    done = threading.Event()
    lost: list[LedgerError] = []

    def renew_all() -> None:
        while not done.wait(seconds / 3):
            try:
                for task in tasks:
                    ledger.renew(task, owner, seconds)
            except LedgerError as error:
                lost.append(error)
                return

    try:
        for task in sorted(tasks):
            _take(ledger, task, owner, seconds, patient)
            taken.append(task)
        keeper = threading.Thread(target=renew_all, name="lease", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()
    finally:
        for task in taken:
            with suppress(LedgerError):  # it ends by itself
                ledger.release(task, owner)
    if lost:
        raise lost[0]


def _take(ledger: Ledger, task: str, owner: str, seconds: float, patient: bool) -> None:
    pause = 0.02
    while True:
        try:
            ledger.lease(task, owner, seconds)
            return
        except HeldError:
            if not patient:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 1.0)


def _gone(connection: Connection, owner: str) -> bool:
    return is_dead(owner, here=connection.dialect.name == "sqlite")


def is_dead(owner: str, *, here: bool = False) -> bool:
    """Whether `owner` was a process of this host that is gone; `False` where that cannot be known.

    Args:
        owner: its name.
        here: whether it can only have been on this host, as with a ledger in a file; then one from before the host was
            started again is known to be gone too. Else two hosts may have one name.

    Example:
        >>> is_dead(new_owner()), is_dead("another-host:1:00")
        (False, False)
    """
    host, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    same = host.partition("~")[0] == socket.gethostname() if here else host == _host()
    if not same or not pid.isdigit() or int(pid) == 0:
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    try:  # a killed process whose parent has not looked yet still has a number, but does nothing any more
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except (OSError, IndexError):
        return False
