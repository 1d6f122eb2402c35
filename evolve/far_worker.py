"""What a worker of a cluster does: a trainer whose data, frozen modules and prefixes lie in an object store.

It knows references and how to read them, but not whose they are: tests run it without a cluster.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from pathways.candidate import Candidate, Result
from pathways.engine import Dispatch
from pathways.errors import EngineError, PathwaysError, TeamError
from pathways.modules import Families
from pathways.packing import Packed, unpack
from pathways.pool import Data
from pathways.task import Task
from pathways.trace import LOAD, Span
from pathways.trainer import Trainer, numerics
from pathways.trainer.failures import OUT_OF_MEMORY
from pathways.trainer.rank import train_rank

from .far_pool import FarPool, FarPrefixes, Fetch, Lent, copied
from .importable import imported

RESULTS, ERROR, WRITTEN, MEMORY, PARTED = "results", "error", "written", "memory", "parted"
"""What a reply is: results; what is wrong with the run; void, as shared memory was written to; for lack of memory; that
the ranks of a gang have lost each other."""


@dataclass(frozen=True)
class Setting:
    """What a worker is opened with.

    Args:
        path: where the driver imports from; what of it is on this machine is searched, too.
        families: the classes that are not built in, by module and name.
        expected: the numerics of the run.
        device: what to compute on.
        cache_bytes: the most activations of prefixes that the run shares.
    """

    path: tuple[str, ...]
    families: tuple[tuple[str, str], ...]
    expected: Mapping[str, Any]
    device: str
    cache_bytes: int


@dataclass(frozen=True)
class Parcel:
    """What is sent to a worker: a dispatch, and references to what of it the worker has not seen.

    Args:
        dispatch: what to train.
        blobs: frozen modules.
        starts: the bytes of what drafts start from.
        tasks: data, by fingerprint.
        prefixes: activations that other workers made, by key.
        forget: blobs, tasks and prefixes that are no longer lent, by id, fingerprint and key.
        reset: whether all that was lent before is void, as something wrote to it.
        copies: whether to train on copies of what is shared.
        claimed: the keys of activations that another worker is about to share, so that this one does not.
    """

    dispatch: Dispatch
    blobs: Mapping[str, Lent] = field(default_factory=dict)
    starts: Mapping[str, Data] = field(default_factory=dict)
    tasks: Mapping[str, Any] = field(default_factory=dict)
    prefixes: Mapping[str, Any] = field(default_factory=dict)
    forget: tuple[str, ...] = ()
    reset: bool = False
    copies: bool = False
    claimed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reply:
    """What a worker sends back.

    Args:
        kind: one of the words above.
        results: where there are some.
        error: an error to be raised, or a text.
        blobs: the bytes of what was trained.
        prefixes: the activations it shared, each with its bytes.
        written: what is not what it was, where something wrote to it.
        fetched: bytes read from the object store.
        spans: what was done when, by this machine's clock.
        received, finished: when, by this machine's clock, in seconds since 1970 (UTC).
    """

    kind: str
    results: tuple[Result, ...] = ()
    error: PathwaysError | str = ""
    blobs: Mapping[str, np.ndarray] = field(default_factory=dict)
    prefixes: Mapping[str, tuple[Any, int]] = field(default_factory=dict)
    written: str = ""
    fetched: int = 0
    spans: tuple[Span, ...] = ()
    received: float = 0.0
    finished: float = 0.0


class FarWorker:
    """A trainer that takes parcels.

    Args:
        setting: what it is opened with.
        fetch: reads references, in place where that can be.
        share: puts a value into the object store; gives its reference.

    Raises:
        EngineError: this machine computes otherwise than the run does, or cannot import a family.
    """

    def __init__(self, setting: Setting, fetch: Fetch, share: Callable[[Any], Any]) -> None:
        here = [place for place in setting.path if place not in sys.path and (not place or Path(place).exists())]
        sys.path.extend(here)
        found = numerics(setting.device)
        if found != setting.expected:
            raise EngineError(
                f"a worker must compute as the run does ({setting.expected}), found {found}: install the same torch "
                f"everywhere, and train on processors and GPUs of one kind."
            )
        self.pool = FarPool(fetch)
        self.prefixes = FarPrefixes(fetch, share, setting.cache_bytes)
        known = Families([imported(*family) for family in setting.families])
        self.trainer = Trainer(self.pool, known, prefixes=self.prefixes, device=setting.device)  # type: ignore[arg-type]
        self._fetch = fetch
        self._tasks: dict[str, Packed] = {}
        self._watched: list[tuple[str, Tensor, int]] = []
        self._loaded = 0.0

    def take(self, parcel: Parcel, rank: int = 0, size: int = 1, address: str = "") -> Reply:
        """Train a dispatch, or be a rank of so many that do; what goes wrong is part of the reply."""
        received = time.time()
        self._loaded = 0.0
        try:
            reply = self._train(parcel, rank, size, address)
        except TeamError as error:
            reply = Reply(PARTED, error=error)
        except Exception as error:
            plain = isinstance(error, PathwaysError)
            reply = Reply(ERROR, error=error if plain else f"a worker stopped with {traceback.format_exc(limit=8)}")  # type: ignore[arg-type]
        load = Span(LOAD, "", received, max(0.0, self._loaded - received))
        return replace(reply, spans=(load, *self.trainer.spans), received=received, finished=time.time())

    def _train(self, parcel: Parcel, rank: int, size: int, address: str) -> Reply:
        dispatch = parcel.dispatch
        self._begin(parcel)
        fetched = self._provide(parcel)
        self._loaded = time.time()
        if size > 1:
            results = train_rank(self.trainer, dispatch.candidates, rank, size, address) or []
        else:
            results = self.trainer.run(dispatch.candidates, dispatch.stacked, dispatch.slots)
        fetched += self.pool.fetched + self.prefixes.fetched
        if what := self._written():
            self._void()
            if not parcel.copies:
                return Reply(WRITTEN, written=what, fetched=fetched)
            results = [_blamed(result, what) for result in results]
        if any(result.failure.startswith(OUT_OF_MEMORY) for result in results):
            return Reply(MEMORY, tuple(results), fetched=fetched)
        wanted = {b for r in results for b in (*r.blobs.values(), *r.optimizers.values())}
        return Reply(RESULTS, tuple(results), "", self.pool.taken(wanted), self.prefixes.taken(), "", fetched)

    def _begin(self, parcel: Parcel) -> None:
        if parcel.reset or parcel.copies or self.pool.copies:
            self._void()
        if parcel.reset:
            self._tasks.clear()
            self.pool.reset()
            self.prefixes.reset()
        for key in parcel.forget:
            self._tasks.pop(key, None)
            self.trainer.tasks.pop(key, None)
        self.pool.begin(parcel.blobs, parcel.starts, parcel.forget, parcel.copies)
        self.prefixes.begin(parcel.prefixes, parcel.forget, parcel.copies, parcel.claimed)

    def _provide(self, parcel: Parcel) -> int:
        """Have the data and the frozen modules of a dispatch at hand; returns the bytes of data that were read."""
        new = {f: ref for f, ref in parcel.tasks.items() if f not in self._tasks}
        read = dict(zip(new, self._fetch(list(new.values())) if new else (), strict=True))
        self._tasks.update(read)
        for fingerprint in sorted({f for c in parcel.dispatch.candidates for f in c.data.values()}):
            if fingerprint in self._tasks and fingerprint not in self.trainer.tasks:
                self._unpack_task(self._tasks[fingerprint], parcel.copies)
        self.pool.read(sorted({blob for c in parcel.dispatch.candidates for blob in frozen_of(c)}))
        return sum(packed.nbytes for packed in read.values())

    def _unpack_task(self, packed: Packed, copies: bool) -> None:
        tensors: list[Tensor] = []
        task: Task = unpack(copied(packed) if copies else packed, tensors)
        self.trainer.provide(task)
        self._watched += [(task.name, tensor, tensor._version) for tensor in tensors]

    def _written(self) -> str:
        """What was written to that others read too, as a phrase: a module, the data of a task, or activations."""
        if changed := self.pool.changed():
            return f"frozen module {changed[0][:12]}"
        tasks = sorted({name for name, tensor, version in self._watched if tensor._version != version})
        if tasks:
            return f"the data of task {tasks[0]!r}"
        shared, self.prefixes.read = self.prefixes.read, []
        return "activations of a frozen prefix" if any(tensor._version for tensor in shared) else ""

    def _void(self) -> None:
        """Forget what may have been written to, or computed with what was."""
        self.trainer.recent.clear()
        self.trainer.tasks.clear()
        self._watched.clear()
        self.prefixes.discard()


def frozen_of(candidate: Candidate) -> Iterator[str]:
    """The blobs of a candidate's frozen modules."""
    for path in candidate.paths.values():
        yield from path.frozen()


def _blamed(result: Result, what: str) -> Result:
    """The result of a candidate that wrote to what others read too: it fails, by name."""
    why = f"nothing may write to what workers share, found that this candidate wrote to {what}: compute with copies"
    return result if result.failure else Result(
        result.candidate, failure=why, seconds=result.seconds, cpu_seconds=result.cpu_seconds
    )


__all__ = ["ERROR", "MEMORY", "PARTED", "RESULTS", "WRITTEN", "FarWorker", "Parcel", "Reply", "Setting", "frozen_of"]
