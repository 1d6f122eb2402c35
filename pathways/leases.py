"""Leases: one writer for each task, told by an owner `host:pid:random` and a time at which its claim ends."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, delete, insert, select, update

from .errors import LedgerError
from .ledger_tables import leases

if TYPE_CHECKING:
    from .ledger import Ledger


SECONDS = 3600.0
"""How long a lease lasts that is not renewed: on one host a dead owner is found at once, on another after this."""


def new_owner() -> str:
    """An owner's name for this process: `host:pid:random`."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def acquire(connection: Connection, task: str, owner: str, seconds: float) -> None:
    """Take the lease of `task`, also from an owner that is dead or late; else raise a `LedgerError`."""
    now = time.time()
    query = select(leases).where(leases.c.task == task).with_for_update()
    held = connection.execute(query).mappings().first()
    if held is None:
        connection.execute(insert(leases).values(task=task, owner=owner, expires=now + seconds))
        return
    if held["owner"] != owner and held["expires"] > now and not is_dead(held["owner"]):
        raise LedgerError(
            f"task {task!r} is being learned by another process, {held['owner']} (host:pid), which holds it "
            f"for another {held['expires'] - now:.0f} s: wait for it, or stop it and try again."
        )
    connection.execute(update(leases).where(leases.c.task == task).values(owner=owner, expires=now + seconds))


def renew(connection: Connection, task: str, owner: str, seconds: float) -> None:
    """Hold the lease for `seconds` from now; a `LedgerError` where another process has taken it over."""
    mine = (leases.c.task == task) & (leases.c.owner == owner)
    if connection.execute(update(leases).where(mine).values(expires=time.time() + seconds)).rowcount == 0:
        holder = connection.execute(select(leases.c.owner).where(leases.c.task == task)).scalar()
        raise LedgerError(
            f"task {task!r} must still be held by {owner}, found {holder or 'nobody'}: this process was "
            f"silent for longer than its lease; stop it and resume."
        )


def release(connection: Connection, task: str, owner: str) -> None:
    """Give the lease back; nothing happens where `owner` does not hold it."""
    connection.execute(delete(leases).where((leases.c.task == task) & (leases.c.owner == owner)))


def held_by_others(connection: Connection, owner: str) -> list[str]:
    """The tasks that owners other than `owner` hold, those that are dead or late left out."""
    query = select(leases).where((leases.c.owner != owner) & (leases.c.expires > time.time()))
    return [row["task"] for row in connection.execute(query).mappings() if not is_dead(row["owner"])]


@contextmanager
def held(ledger: Ledger, tasks: Sequence[str], owner: str, seconds: float = SECONDS) -> Iterator[None]:
    """Hold the leases of `tasks` while the block runs; a thread renews them, however long it takes.

    Raises:
        LedgerError: another process holds one of them; none is held then. At the end of the block: one was
            lost, because this process had been stopped for longer than `seconds`.
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
        for task in tasks:
            ledger.lease(task, owner, seconds)
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
            ledger.release(task, owner)
    if lost:
        raise lost[0]


def is_dead(owner: str) -> bool:
    """Whether `owner` was a process of this host that is gone; `False` where that cannot be known.

    >>> is_dead(new_owner()), is_dead("another-host:1:00")
    (False, False)
    """
    host, _, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == 0:
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
