"""The tasks' manifests on the shelf of a run: which there are is known at once, each is read when it is needed."""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from urllib.parse import unquote

from pathways.modules import Families

from . import manifest
from .brief import Brief, brief_of
from .errors import PathwaysError
from .fields import read_bytes
from .records import TaskRecord
from .shelf_index import Index, Known

HELD = 64
"""Records kept in memory; all others are read again when they are needed."""

SETTLED = 2 * 10**9
"""Nanoseconds after which a file's times tell whether it changed: the coarsest clock of a file system (FAT)."""

Stamp = tuple[int, int, int, int]  # inode, size, times of change of content and of anything
NOTHING: Stamp = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """A manifest that was read and found valid.

    Args:
        stamp: what the file system said of the file then.
        settled: whether an equal stamp means equal content: a change in the same tick of the clock leaves no other.
        content: the SHA-256 of its bytes.
        brief: what it says.
    """

    stamp: Stamp
    settled: bool
    content: str
    brief: Brief


class Shelf:
    """The manifests of a run's tasks.

    What a manifest holds is kept in short, in memory and in the run's index, which `save` writes. When a run is
    opened each manifest is hashed, and only one whose bytes the index does not know is read in full, with its digest
    and all checks; after that those are looked at whose stamp changed. A record that is asked for is read from its
    file again, which must hold the same bytes.

    Args:
        directory: the run directory.
        families: the module families that paths may name.

    Attributes:
        briefs: by name, in the order learned: what is known of each task.
        unreadable: by name, what is wrong with the manifests that cannot be read.
        reads: how many manifests were read in full so far.
        hashed: how many were hashed only.
    """

    def __init__(self, directory: FilePath, families: Families) -> None:
        self.directory, self.families = directory, families
        self.briefs: dict[str, Brief] = {}
        self.unreadable: dict[str, str] = {}
        self.reads = self.hashed = 0
        self._seen: dict[str, Seen] = {}
        self._index = Index(directory, families)
        self._known: Known | None = None  # what the index says, until it was compared with all files
        self._held: OrderedDict[str, tuple[str, TaskRecord]] = OrderedDict()
        self._names: dict[str, str] = {}  # of manifests, by task
        self._used: set[str] | None = None
        self._users: dict[str, list[str]] = {}  # of the blobs that were asked for

    def refresh(self, *, whole: bool = False) -> None:
        """Look which manifests are there and changed, and read those; `whole` reads every one."""
        if self._known is None:
            self._known = self._index.load()
        found: dict[str, Seen] = {}
        wrong: dict[str, str] = {}
        places: dict[int, str] = {}
        for name, stamp in _stamps(self.directory / "tasks"):
            seen = self._seen.get(name)
            try:
                if whole or seen is None or seen.stamp != stamp or not seen.settled:
                    seen = self._look(self.directory / "tasks" / name, seen, whole)
                if (other := places.setdefault(seen.brief.index, name)) != name:
                    file = self.directory / "tasks" / name
                    raise PathwaysError(manifest.twin(file, seen.brief.index, found[other].brief.name))
                found[name] = seen
            except PathwaysError as error:
                wrong[unquote(name.removesuffix(".json"))] = str(error)
        self._take(found)
        self.unreadable = wrong
        self._known = {}

    def add(self, task: str) -> None:
        """Read the manifest of a task that this process has just written; a `PathwaysError` where it does not fit."""
        file = manifest.task_file(self.directory, task)
        self._take({**self._seen, file.name: self._look(file, None, True)})

    def record(self, task: str) -> TaskRecord:
        """The record of a task, read from its file unless it is in memory.

        Raises:
            KeyError: there is no such task.
            PathwaysError: the file is not what it was when the shelf was refreshed.
        """
        if task not in self.briefs:
            raise KeyError(task)
        name = self._names.get(task)
        if name is None:
            name = self._names[task] = manifest.task_file(self.directory, task).name
        content = self._seen[name].content
        if self._held.get(task, ("", None))[0] != content:
            file = manifest.task_file(self.directory, task)
            data = read_bytes(file)
            if hashlib.sha256(data).hexdigest() != content:
                raise PathwaysError(f"{file} changed since it was read: open the run again, or `refresh` the system.")
            self._hold(task, content, manifest.parse_task(file, data, self.families))
        self._held.move_to_end(task)
        return self._held[task][1]

    def users(self, blob: str) -> list[str]:
        """The tasks whose champions use a blob, or keep it for clones, in the order learned."""
        if self._used is None:
            self._used, self._users = set().union(*(brief.blobs for brief in self.briefs.values())), {}
        if blob not in self._used:
            return []
        if blob not in self._users:  # few blobs are asked for: a table of all would take longer than looking
            self._users[blob] = [
                name for name, brief in self.briefs.items() if blob in brief.sizes or blob in brief.optimizers
            ]
        return self._users[blob]

    def save(self) -> None:
        """Write what is known into the run's index, so that the next process need not read every manifest."""
        content = {seen.brief.name: seen.content for seen in self._seen.values()}
        self._index.save({content[name]: brief for name, brief in self.briefs.items()})

    def _look(self, file: FilePath, before: Seen | None, whole: bool) -> Seen:
        stamp, settled, data = _read(file)
        content = hashlib.sha256(data).hexdigest()
        brief = before.brief if before is not None and before.content == content else (self._known or {}).get(content)
        if not whole and brief is not None and manifest.task_file(self.directory, brief.name) == file:
            self.hashed += 1
            return Seen(stamp, settled, content, brief)
        self.reads += 1
        record = manifest.parse_task(file, data, self.families)
        self._hold(record.name, content, record)
        return Seen(stamp, settled, content, brief_of(record, self.families))

    def _hold(self, task: str, content: str, record: TaskRecord) -> None:
        self._held[task] = (content, record)
        self._held.move_to_end(task)
        while len(self._held) > HELD:
            self._held.popitem(last=False)

    def _take(self, found: dict[str, Seen]) -> None:
        """Make what was found what is known; what is known of users follows the difference."""
        before, self._seen = self._seen, found
        if before == found:
            return
        gone = before.keys() - found.keys()
        changed = [
            seen.brief for name, seen in found.items()
            if name not in before or before[name].content != seen.content
        ]  # fmt: skip
        if not gone and not changed:
            return
        replaced = [brief for brief in changed if brief.name in self.briefs]
        self.briefs = {b.name: b for b in sorted((seen.brief for seen in found.values()), key=lambda b: b.index)}
        newest = list(self.briefs)[-len(changed) :] if changed else []
        added = [brief.name for brief in sorted(changed, key=lambda b: b.index)]
        if self._used is None or gone or replaced or newest != added:
            self._used = None  # made anew when it is asked for
            return
        for name in newest:
            self._used.update(self.briefs[name].blobs)
            for blob in self._users.keys() & set(self.briefs[name].blobs):
                self._users[blob].append(name)


class Records(Mapping[str, TaskRecord]):
    """The records of all tasks by name, in the order learned, each read when it is looked at."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def __getitem__(self, task: str) -> TaskRecord:
        return self._shelf.record(task)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shelf.briefs)

    def __len__(self) -> int:
        return len(self._shelf.briefs)

    def __contains__(self, task: object) -> bool:
        return task in self._shelf.briefs

    def __repr__(self) -> str:
        return f"Records({list(self)})"


def _stamps(folder: FilePath) -> list[tuple[str, Stamp]]:
    """The manifests in a folder, by file name, with what the file system says of each."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".json"):
                    found.append((entry.name, _stamp(entry)))
    except FileNotFoundError:
        return []
    return sorted(found)


def _stamp(entry: os.DirEntry[str]) -> Stamp:
    try:
        said = entry.stat()
    except OSError:  # gone meanwhile, or a link to nothing: reading it says so
        return NOTHING
    return said.st_ino, said.st_size, said.st_mtime_ns, said.st_ctime_ns


def _read(file: FilePath) -> tuple[Stamp, bool, bytes]:
    """Stamp, whether that is settled, and bytes of one and the same file, however it is replaced meanwhile."""
    now = time.time_ns()
    try:
        with file.open("rb") as opened:
            said = os.fstat(opened.fileno())
            stamp = (said.st_ino, said.st_size, said.st_mtime_ns, said.st_ctime_ns)
            return stamp, max(stamp[2:]) + SETTLED < now, opened.read()
    except OSError:
        return NOTHING, False, read_bytes(file)  # which says what is wrong


__all__ = ["Records", "Seen", "Shelf"]
