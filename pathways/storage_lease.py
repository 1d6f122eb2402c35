"""The lease of a run on storage: one driver at a time writes to a run whose ledger is a file."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from .errors import StorageError
from .leases import is_dead, new_owner
from .storage import Storage

FOLDER = "driver"
SECONDS = 300.0
"""How long a lease lasts that is not renewed: so long a new machine waits for one that is gone without a word."""

SETTLE = 2.0
"""Seconds after which two that wrote at once have both written: only then a lease is read back and believed."""

CERTAIN = {"file", "local", "memory"}
"""Protocols on which `Storage.create` is known to be exclusive, so that nobody has to wait."""

_HERE: set[str] = set()  # owners in this process whose leases are held


class DriverLease:
    """The claim of one driver, a numbered file `driver/N`: whoever creates the highest number holds the run.

    A lease that is given back, late, or of a process of this host that is gone is followed by the next number. Numbers
    are never used again, so that of several that take over at once one creates the file and all others find it there.

    Args:
        storage: of the run.
        seconds: how long a lease lasts that is not renewed.
        settle: how long to wait before a lease is believed, where creating a file is not known to be exclusive.

    Example:
        >>> one, other = (DriverLease(Storage("memory://leases")) for _ in range(2))
        >>> one.acquire()
        >>> other.acquire()
        Traceback (most recent call last):
        pathways.errors.StorageError: memory://leases is being written to by another driver, ...
        >>> one.release()
        >>> other.acquire()
    """

    def __init__(self, storage: Storage, seconds: float = SECONDS, settle: float = SETTLE) -> None:
        self.storage, self.seconds = storage, seconds
        self.settle = 0.0 if storage.protocol in CERTAIN else settle
        self.owner = new_owner()
        self._number = 0
        self._done = threading.Event()
        self._keeper: threading.Thread | None = None
        self._lost = ""

    def acquire(self) -> None:
        """Become the one driver, and stay it: a thread renews the lease.

        Raises:
            StorageError: another driver holds it; the message names it and says for how long.
        """
        _HERE.add(self.owner)
        try:
            self._number, self._lost = self._acquired(), ""
        except BaseException:
            _HERE.discard(self.owner)
            raise
        self._done = threading.Event()
        self._keeper = threading.Thread(target=self._renew, args=(self._done,), name="driver lease", daemon=True)
        self._keeper.start()

    def check(self) -> None:
        """Raise a `StorageError` where the lease is no longer held: nothing may be written then."""
        if not self._lost and (highest := max(self._numbers(), default=0)) != self._number:
            self._lost = str(self._read(highest).get("owner", "nobody"))
        if self._lost:
            raise StorageError(
                f"{self.storage} must still be held by {self.owner}, found {self._lost}: this driver was silent for "
                f"longer than its lease; stop it and go on with `pathways resume {self.storage}`."
            )

    def release(self) -> None:
        """Give the lease back: the next driver need not wait for it to be late."""
        self._done.set()
        if self._keeper is not None:
            self._keeper.join()
        _HERE.discard(self.owner)  # also where the storage cannot be told
        if self._number and not self._lost:
            self.storage.write(self._name(self._number), self._content(0.0))
        self._number = 0

    def _acquired(self) -> int:
        """The number of the lease that was created and found to be the highest."""
        last = max(self._numbers(), default=0)
        if last:
            self._refuse_live(last)
        if not self.storage.create(self._name(last + 1), self._content(self.seconds)):
            raise self._taken(self._read(last + 1))
        time.sleep(self.settle)
        numbers = self._numbers()
        found = self._read(last + 1)
        if max(numbers, default=0) != last + 1 or found.get("owner") != self.owner:
            raise self._taken(self._read(max(numbers, default=last + 1)))
        self.storage.delete(self._name(number) for number in numbers if number <= last)
        return last + 1

    def _renew(self, done: threading.Event) -> None:
        while not done.wait(self.seconds / 3):
            try:
                self.check()
                self.storage.write(self._name(self._number), self._content(self.seconds))
            except StorageError:
                if self._lost:
                    return  # what could not be renewed for another reason is tried again

    def _numbers(self) -> list[int]:
        return [int(name) for name in self.storage.stamps(FOLDER) if name.isdigit()]

    def _name(self, number: int) -> str:
        return f"{FOLDER}/{number:08d}"

    def _content(self, seconds: float) -> bytes:
        return json.dumps({"owner": self.owner, "expires": time.time() + seconds}).encode()

    def _read(self, number: int) -> dict[str, Any]:
        """What a lease says; nothing where it is gone or was never written in full."""
        try:
            said = json.loads(self.storage.read(self._name(number)) or b"")
            return {"owner": str(said["owner"]), "expires": float(said["expires"])}
        except (ValueError, TypeError, KeyError):
            return {}

    def _refuse_live(self, number: int) -> None:
        said = self._read(number)
        if not said:  # it may be written at this moment
            time.sleep(0.2)
            said = self._read(number)
        if said and said["expires"] > time.time() and not _is_gone(said["owner"]):
            raise self._taken(said)

    def _taken(self, said: dict[str, Any]) -> StorageError:
        left = max(0.0, said.get("expires", 0.0) - time.time())
        return StorageError(
            f"{self.storage} is being written to by another driver, {said.get('owner', 'unknown')} (host:pid), which "
            f"holds it for another {left:.0f} s unless it renews: wait for it, stop it, or let several drivers share a "
            f"ledger in a database."
        )


def _is_gone(owner: str) -> bool:
    """Whether `owner` is known to hold nothing: its process is gone, or is this one, which has let go of it."""
    mine = new_owner().rpartition(":")[0] == owner.rpartition(":")[0]
    return owner not in _HERE if mine else is_dead(owner)


__all__ = ["DriverLease"]
