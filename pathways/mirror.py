"""The mirror of a run on storage: a run directory of this machine that holds what is needed of it here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from .errors import PathwaysError, StorageError
from .file_lock import locked
from .files import write_atomically
from .ledger_snapshot import HEADER, restore, snapshot, token_of
from .manifest import not_new, probe_file, task_bytes, task_file, write_task
from .storage import Storage, is_url, without_password
from .storage_lease import FOLDER, DriverLease

if TYPE_CHECKING:
    from .records import TaskRecord

PATIENCE = 5.0
"""Seconds to wait for another process of this machine that may be pulling the ledger, before it counts as a driver."""


def mirrors() -> FilePath:
    """The folder of all mirrors: `$PATHWAYS_MIRRORS`, or `pathways/mirrors` in the user's cache folder."""
    if chosen := os.environ.get("PATHWAYS_MIRRORS"):
        return FilePath(chosen)
    return FilePath(os.environ.get("XDG_CACHE_HOME") or FilePath.home() / ".cache") / "pathways" / "mirrors"


def located(place: str | FilePath) -> tuple[FilePath, Mirror | None]:
    """The directory of this machine where a run can be read, and its mirror where the run is on storage.

    Args:
        place: a directory, or the URL of a folder on storage, whose records are pulled.

    Example:
        >>> located("runs/letters")
        (...Path('runs/letters'), None)
    """
    if not is_url(place):
        return FilePath(place), None
    mirror = Mirror(str(place))
    mirror.pull()
    return mirror.directory, mirror


def opened(place: str | FilePath) -> tuple[FilePath, Mirror | None]:
    """As `located`, for a run that must be there.

    Raises:
        StorageError: the URL holds no run. Whether a directory does is seen when it is read.
    """
    directory, mirror = located(place)
    if mirror is not None and not (directory / "system.json").exists():
        raise StorageError(
            f"{mirror.url} must be a run, found no `system.json` in it: make one with `pathways run`."
        )
    return directory, mirror


class Mirror:
    """A local copy of a run on storage, and the way between both.

    The storage holds a run directory like any other, and it is the truth: what is not there is not learned. Pulled are
    its records when the run is opened, and each blob when it is first used. Pushed are a champion's blobs, its probe,
    the ledger and at last its manifest, which commits the task there before it does so here. A mirror can be deleted
    whenever no process uses it.

    Args:
        url: of the run.

    Attributes:
        directory: the run directory of this machine.
        storage: the run's files at the URL.
        pulled: how many blobs were pulled by this object.
    """

    def __init__(self, url: str) -> None:
        self.storage = Storage(url)
        self.url = self.storage.url
        self.folder = mirrors() / hashlib.sha256(without_password(url).encode()).hexdigest()[:20]
        self.directory = self.folder / "run"
        self.lease = DriverLease(self.storage)
        self.pulled = 0
        self._there: set[str] = set()  # blobs that this object has seen on storage
        self._holds = 0
        self._alone = self._settled = False
        self._pushed = 0.0

    # -- pulling ------------------------------------------------------------------------------------------

    def pull(self) -> bool:
        """Make the mirror's records those of the storage, blobs and ledger left out; whether there is a run."""
        with self.settled():
            system = self.storage.read("system.json")
            file = self.directory / "system.json"
            if system is None:
                file.unlink(missing_ok=True)
                return False
            if not file.exists() or file.read_bytes() != system:
                self.clear()  # whatever was mirrored is of another run at the same address
                if config := self.storage.read("config.yaml"):
                    write_atomically(self.directory / "config.yaml", config)
                write_atomically(file, system)
                write_atomically(self.folder / "url", f"{self.url}\n".encode(), durable=False)
            self.pull_tasks()
            study = not any((self.directory / "tasks").glob("*.json"))  # which learns none
            if study and (found := self.storage.read("findings.json")):
                write_atomically(self.directory / "findings.json", found, durable=False)
            return True

    def pull_tasks(self, *, whole: bool = False) -> None:
        """Pull the manifests that are new or changed, `whole` all of them; remove those that the storage lacks."""
        with self.settled():
            self._pull_tasks(whole)

    def _pull_tasks(self, whole: bool) -> None:
        seen = self._state("tasks")
        here = {file.name for file in (self.directory / "tasks").glob("*.json")}
        there = {name: stamp for name, stamp in self.storage.stamps("tasks").items() if name.endswith(".json")}
        wanted = [name for name, stamp in there.items() if whole or name not in here or seen.get(name, "") != stamp]
        wanted += [name for name, stamp in there.items() if not stamp and name not in wanted]
        for name, data in self.storage.read_many(f"tasks/{name}" for name in wanted):
            file = self.directory / name
            if data is not None and not (file.exists() and file.read_bytes() == data):
                write_atomically(file, data, durable=False)
        for name in here - there.keys():
            (self.directory / "tasks" / name).unlink(missing_ok=True)
            (self.directory / "probes" / name).with_suffix(".safetensors").unlink(missing_ok=True)
        if there != seen:
            self._keep("tasks", there)

    def fetch(self, blobs: Iterable[str]) -> dict[str, str]:
        """Pull blobs, each checked by its name; what is wrong with those that could not be pulled, by blob."""
        wrong: dict[str, str] = {}
        names = {_blob(blob): blob for blob in blobs}
        for name, data in self.storage.read_many(names):
            if problem := self._problem(name, data, names[name]):
                wrong[names[name]] = problem
            else:
                write_atomically(self.directory / name, data or b"", durable=False)
                self._there.add(names[name])
                self.pulled += 1
        return wrong

    def audit(self, blobs: Iterable[str]) -> dict[str, str]:
        """Hash the bytes that the storage holds of blobs; what is wrong, by blob. The mirror gets what is right."""
        wrong: dict[str, str] = {}
        names = {_blob(blob): blob for blob in blobs}
        for name, data in self.storage.read_many(names):
            file = self.directory / name
            there = file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == names[name]
            if problem := self._problem(name, data, names[name]):
                wrong[names[name]] = problem + (f"; a whole copy of it is {file}" if there else "")
            elif not there:
                write_atomically(file, data or b"", durable=False)
        return wrong

    def pull_probe(self, task: str, *, fresh: bool = False) -> None:
        """Pull the probe of a task unless it is here; `fresh` even then."""
        file = probe_file(self.directory, task)
        if fresh or not file.exists():
            data = self.storage.read(f"probes/{file.name}")
            if data is None:
                file.unlink(missing_ok=True)
            else:
                write_atomically(file, data, durable=False)

    def pull_ledger(self) -> None:
        """Make the ledger here that of the storage, unless it is what this machine pushed last, or further on."""
        file = self.directory / "ledger.db"
        with self._locked(0.0 if file.exists() else 60.0, file) as ours:
            there = self.storage.read("ledger.db", 0, HEADER) if ours else None
            if there is None or (file.exists() and token_of(there) in self._state("ledger")):
                return
            data = self.storage.read("ledger.db")
            if data is None:
                return
            try:
                restore(data, file)
            except PathwaysError as error:
                raise StorageError(f"{self.url}/ledger.db {error}: restore it from a copy of the run.") from None
            self._keep("ledger", {token_of(data): ""})

    # -- pushing ------------------------------------------------------------------------------------------

    def publish(self, blobs: Iterable[str]) -> None:
        """Push a run that was just created: its root's blobs, its configuration, at last what makes it a run."""
        self.push_blobs(blobs)
        self.push("config.yaml")
        self.push("system.json")

    def push(self, *names: str) -> None:
        """Push files of the run directory, in this order; a folder with all that is below it, nothing that is not."""
        for name in names:
            place = self.directory / name
            files = sorted(f for f in place.rglob("*") if f.is_file()) if place.is_dir() else [place]
            for file in files:
                if file.exists() and not file.name.startswith(".tmp-"):
                    self.storage.write(file.relative_to(self.directory).as_posix(), file.read_bytes())

    def push_made(self) -> None:
        """Push what a study of affinity wrote beside its record: findings, tables, figures, what it measured."""
        others = ("pool", "tasks", "probes", "cache", "index.jsonl", "trace.json")
        names = sorted(file.name for file in self.directory.iterdir())
        self.push(*(name for name in names if name not in others and "ledger.db" not in name))

    def push_blobs(self, blobs: Iterable[str]) -> None:
        """Push blobs that this object has not seen on the storage; they are immutable, so that once is enough."""
        for blob in blobs:
            if blob not in self._there:
                self.push(_blob(blob))
                self._there.add(blob)

    def commit(self, record: TaskRecord, blobs: Iterable[str]) -> None:
        """Push what a learned task is made of: blobs, its probe, the ledger, then its manifest, which commits it.

        Only then the manifest is written here, too: what is committed here only would look forgotten there.

        Args:
            record: of the task.
            blobs: those of its champion that no other task, root or control keeps on the storage.

        Raises:
            StorageError: the storage cannot be written, or another driver has taken the run over; the task is not
                committed then.
            HeldError: another driver has committed the task meanwhile.
        """
        self.push_blobs(blobs)
        self.push(f"probes/{probe_file(self.directory, record.name).name}")
        self.push_ledger()
        if self._alone:
            self.lease.check()
        name = f"tasks/{task_file(self.directory, record.name).name}"
        with self.settled():  # else another process here may look there before this, and delete here after it
            if not self.storage.add(name, task_bytes(record)):
                raise not_new(f"{self.url}/{name}")
            write_task(self.directory, record)

    def push_ledger(self, at_most_every: float = 0.0) -> None:
        """Push a consistent copy of the ledger, where it is a file that this driver alone writes.

        Args:
            at_most_every: seconds since it was last pushed before which nothing is done.
        """
        file = self.directory / "ledger.db"
        if not self._alone or not file.exists() or time.monotonic() - self._pushed < at_most_every:
            return
        self.lease.check()
        data = snapshot(file)
        # Whichever of both the storage holds if this process dies now, the ledger here goes on from it.
        self._keep("ledger", {**self._state("ledger"), token_of(data): ""})
        self.storage.write("ledger.db", data)
        self._keep("ledger", {token_of(data): ""})
        self._pushed = time.monotonic()

    # -- removing -----------------------------------------------------------------------------------------

    def forget(self, task: str) -> None:
        """Remove a task that the ledger has forgotten: the ledger there, its manifest, then the rest."""
        self.push_ledger()
        names = [f"tasks/{task_file(self.directory, task).name}", f"probes/{probe_file(self.directory, task).name}"]
        self.storage.delete([*names, "report.html", "optuna.db", *self.storage.files("figures")])

    def sweep(self, blobs: set[str], tasks: Iterable[str]) -> None:
        """Delete from the storage the blobs that are not among these, probes of no task, and half-written files."""
        kept = {_blob(blob) for blob in blobs}
        kept |= {f"probes/{probe_file(self.directory, task).name}" for task in tasks}
        found = [*self.storage.files("pool"), *self.storage.files("probes")]
        parts = [f"{where}{name}" for where in ("", "tasks/", f"{FOLDER}/")
                 for name in self.storage.stamps(where.rstrip("/")) if name.startswith(".tmp-")]  # fmt: skip
        self.storage.delete([*(name for name in found if name not in kept), *parts])
        self._there &= blobs

    def clear(self) -> None:
        """Empty the mirror."""
        shutil.rmtree(self.directory, ignore_errors=True)
        for name in ("tasks", "ledger"):
            self._state_file(name).unlink(missing_ok=True)
        self._there.clear()

    # -- one driver ---------------------------------------------------------------------------------------

    @contextmanager
    def driving(self, alone: bool = True) -> Iterator[None]:
        """Be the one that writes to the run while the block runs; blocks within it are part of it.

        Args:
            alone: whether the ledger is a file, which one driver at a time may write; else it is in a database that
                drivers share, and nothing is refused.

        Raises:
            StorageError: another driver is writing to the run.
        """
        if self._alone or not alone:
            yield
            return
        with self._locked(PATIENCE) as ours:
            if not ours:
                raise StorageError(
                    f"{self.url} is being written to by another process of this machine: wait for it, stop it, or let "
                    f"several drivers share a ledger in a database."
                )
            self.lease.acquire()
            self._alone = True
            try:
                self.pull_ledger()
                yield
                self.push_ledger()
            except BaseException:
                with suppress(StorageError):  # what went wrong first is what is told
                    self.push_ledger()
                raise
            finally:
                self._alone = False
                with suppress(StorageError):  # it ends by itself
                    self.lease.release()

    @contextmanager
    def settled(self) -> Iterator[None]:
        """While the block runs no other process of this machine changes the records in the mirror."""
        if self._settled:
            yield
            return
        with locked(self.folder / "records.lock"):
            self._settled = True
            try:
                yield
            finally:
                self._settled = False

    @contextmanager
    def holding(self) -> Iterator[None]:
        """While the block runs this process holds leases, and so nobody deletes what it pushes."""
        if not self._holds:
            self._there.clear()
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def named(self, text: str) -> str:
        """A text in which files of the mirror are named where they stand on the storage."""
        return text.replace(str(self.directory), self.url)

    def others(self, known: Sequence[str]) -> list[str]:
        """Files on the storage that no run that is being created has put there."""
        return sorted(
            name for name in self.storage.files("")
            if name.split("/")[0] not in (*known, FOLDER) and not name.rpartition("/")[2].startswith(".tmp-")
        )  # fmt: skip

    # -- inside -------------------------------------------------------------------------------------------

    def _problem(self, name: str, data: bytes | None, blob: str) -> str:
        if data is None:
            return f"is not in {self.url} as {name}"
        found = hashlib.sha256(data).hexdigest()
        if found == blob:
            return ""
        return f"holds other bytes in {self.url}/{name} than its name says: its SHA-256 is {found}, {len(data)} bytes"

    @contextmanager
    def _locked(self, patience: float, unless: FilePath | None = None) -> Iterator[bool]:
        """Whether this process may replace the ledger here: no other of this machine does so or drives.

        It is waited for at most `patience` seconds, and not where the file `unless` is there.
        """
        if self._alone:
            yield True
            return
        with locked(self.folder / "lock", patience, lambda: unless is not None and unless.exists()) as ours:
            yield ours

    def _state_file(self, name: str) -> FilePath:
        return self.folder / f"{name}.json"

    def _state(self, name: str) -> dict[str, str]:
        try:
            return dict(json.loads(self._state_file(name).read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}

    def _keep(self, name: str, state: dict[str, str]) -> None:
        write_atomically(self._state_file(name), json.dumps(state).encode(), durable=False)


def _blob(blob: str) -> str:
    return f"pool/{blob[:2]}/{blob}.safetensors"


__all__ = ["Mirror", "located", "mirrors", "opened"]
