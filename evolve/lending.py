"""What a driver lends to its workers: each object enters the store once, and each worker hears of it once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pathways.candidate import Candidate
from pathways.errors import EngineError
from pathways.modules import Frozen, ModuleRef, Warm
from pathways.packing import pack
from pathways.pool import Data, Pool
from pathways.task import Task
from pathways.trainer.keys import prefix_keys
from pathways.trainer.samples import Recent

from .far_pool import Lent, lendable
from .far_worker import Parcel
from .scheduler import Job

SMALL = 1 << 18
"""What a draft starts from travels with its candidate up to so many bytes; more of it is lent, like a frozen module."""

RECENT = 64 << 20
"""How many bytes of what drafts may start from are kept at hand: reading and hashing each file takes longer than all
else that is done to send it."""


@dataclass
class Known:
    """What a worker has heard of, of how many prefixes, and what it must forget."""

    keys: set[str] = field(default_factory=set)
    prefixes: int = 0
    forget: list[str] = field(default_factory=list)
    reset: bool = False


class Lending:
    """The objects of a run in an object store, by content hash, and who knows them.

    The store is bounded: what was sent least recently is let go, and is put there again when it is needed.

    Args:
        pool: whose blobs are lent.
        tasks: the data, by fingerprint; read when it is needed.
        share: puts a value into the store; gives its reference.
        limit: the most bytes in the store.
    """

    def __init__(self, pool: Pool, tasks: Mapping[str, Task], share: Callable[[Any], Any], limit: int) -> None:
        self.pool, self.tasks = pool, tasks
        self.limit = limit
        self.bytes = 0
        self.put_count = self.put_bytes = 0
        self.epoch = 0
        self._pinned: set[str] = set()
        self._share = share
        self._objects: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._prefixes: dict[str, int] = {}  # by key, who made it
        self._news: list[str] = []  # their keys as they were made, so that none is looked at for every parcel
        self._known: dict[int, Known] = {}
        self._claims: dict[str, int] = {}  # by key of a prefix, which worker is to share it
        self._claimed: dict[int, dict[int, list[str]]] = {}  # by worker and job, the keys that it has claimed
        self._recent = Recent(RECENT)

    def join(self, worker: int) -> None:
        """A worker that knows nothing yet."""
        self._known[worker] = Known()

    def leave(self, worker: int) -> None:
        """A worker is gone, and with it the prefixes that it made."""
        self._known.pop(worker, None)
        for keys in self._claimed.pop(worker, {}).values():
            self._unclaim(keys)
        self._let_go([key for key, maker in self._prefixes.items() if maker == worker])

    def parcel(self, worker: int, job: Job) -> Parcel:
        """What is to be sent to a worker for a job.

        Raises:
            EngineError: a task's data cannot be sent.
            BlobError: a blob is not in the pool.
        """
        known = self._known[worker]
        frozen, starts = _blobs_of(job.dispatch.candidates)
        inline = {}
        for blob in starts:
            if blob not in frozen and blob not in self._objects and (data := self._small(blob)):
                inline[blob] = data
            else:
                frozen[blob] = None
        tasks = {f: None for c in job.dispatch.candidates for f in c.data.values() if f in self.tasks}
        self._pinned = {*frozen, *tasks}  # making room for one must not let go of another
        wanted = {**{blob: self._lent(blob) for blob in frozen}, **{f: self._task(f) for f in tasks}}
        wanted |= {key: self._objects[key][0] for key in self._news[known.prefixes :] if key in self._prefixes}
        known.prefixes = len(self._news)
        new = {key: ref for key, ref in wanted.items() if key not in known.keys}
        forget, reset = tuple(known.forget), known.reset
        known.keys |= new.keys()
        known.forget, known.reset = [], False
        return Parcel(
            job.dispatch, {k: v for k, v in new.items() if k in frozen}, inline,
            {k: v for k, v in new.items() if k in tasks}, {k: v for k, v in new.items() if k in self._prefixes},
            forget, reset, job.copies, self._claim(worker, job),
        )  # fmt: skip

    def made(self, worker: int, job: int, prefixes: Mapping[str, tuple[Any, int]]) -> None:
        """Take note of the prefixes that a worker has put into the store for a job; of equal ones the first is kept."""
        self._unclaim(self._claimed.get(worker, {}).pop(job, ()))
        for key, (ref, size) in prefixes.items():
            if key in self._objects:
                self._known[worker].forget.append(key)  # its own, which nobody else will read
            else:
                self._prefixes[key] = worker
                self._news.append(key)
                self._add(key, ref, size)
                self._known[worker].keys.add(key)

    def void(self) -> None:
        """Something wrote to what is shared: all of it is put anew, and every worker forgets what it knew."""
        self.epoch += 1
        self._objects.clear()
        self._prefixes.clear()
        self._news.clear()
        self._claims.clear()
        self._claimed.clear()
        self.bytes = 0
        for known in self._known.values():
            known.keys.clear()
            known.prefixes = 0
            known.forget.clear()
            known.reset = True

    def write(self, blob: str, data: Data | memoryview) -> None:
        """Write a blob that a worker made to the pool; a small one is kept, as the next drafts may start from it.

        Raises:
            BlobError: it is not what its id says.
        """
        self.pool.write(blob, data)
        if len(data) <= SMALL:
            self._recent.put(blob, bytes(data), len(data))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _claim(self, worker: int, job: Job) -> tuple[str, ...]:
        """Claim for a worker to share what nobody has or is about to share; returns what others are about to."""
        keys = {key for candidate in job.dispatch.candidates for key in prefix_keys(candidate)} - self._prefixes.keys()
        mine = [key for key in sorted(keys) if key not in self._claims]
        self._claims |= dict.fromkeys(mine, worker)
        if mine:
            self._claimed.setdefault(worker, {})[job.id] = mine
        return tuple(key for key in sorted(keys) if self._claims[key] != worker)

    def _unclaim(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._claims.pop(key, None)

    def _small(self, blob: str) -> Data | None:
        """The bytes of a blob, where they are few."""
        data: Data | None = self._recent.get(blob)
        if data is None and self.pool.bytes(blob) <= SMALL:
            data = self.pool.raw(blob)
            self._recent.put(blob, data, len(data))
        return data

    def _lent(self, blob: str) -> Lent:
        if blob not in self._objects:
            packed, total = lendable(self.pool.get(blob))
            self._add(blob, Lent(self._share(packed), total, packed.nbytes), packed.nbytes)
        self._objects.move_to_end(blob)
        return self._objects[blob][0]

    def _task(self, fingerprint: str) -> Any:
        if fingerprint not in self._objects:
            task = self.tasks[fingerprint]
            try:
                packed = pack(task)
            except Exception as error:
                raise EngineError(
                    f"task {task.name!r} must be one that can be sent to workers, found: {error}: define its metric's "
                    f"function in a file of its own, or train with the local engine and no workers."
                ) from None
            self._add(fingerprint, self._share(packed), packed.nbytes)
        self._objects.move_to_end(fingerprint)
        return self._objects[fingerprint][0]

    def _add(self, key: str, ref: Any, size: int) -> None:
        self._objects[key] = (ref, size)
        self.bytes += size
        self.put_count += 1
        self.put_bytes += size
        if self.bytes > self.limit:
            over, old = self.bytes - self.limit, []
            for other, (_, bytes) in self._objects.items():
                if over <= 0:
                    break
                if other != key and other not in self._pinned:
                    old.append(other)
                    over -= bytes
            self._let_go(old)

    def _let_go(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.bytes -= self._objects.pop(key)[1]
            self._prefixes.pop(key, None)
            for known in self._known.values():
                if key in known.keys:
                    known.keys.discard(key)
                    known.forget.append(key)


def _blobs_of(candidates: Iterable[Candidate]) -> tuple[dict[str, None], list[str]]:
    """The blobs of frozen modules, and those that drafts start from, optimizer states among them."""
    frozen: dict[str, None] = {}
    starts: dict[str, None] = {}
    for ref in (ref for candidate in candidates for path in candidate.paths.values() for ref in path.refs()):
        if isinstance(ref, Frozen):
            frozen[ref.id] = None
        else:
            starts |= dict.fromkeys(_starts(ref))
    return frozen, list(starts)


def _starts(ref: ModuleRef) -> Iterator[str]:
    start = ref.start  # type: ignore[union-attr]
    if isinstance(start, Warm):
        yield start.blob
        if start.optimizer:
            yield start.optimizer


__all__ = ["SMALL", "Lending"]
