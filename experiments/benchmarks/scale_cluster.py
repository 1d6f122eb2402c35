"""A cluster of virtual workers: the driver's work is done and timed, that of the workers only takes its time."""

from __future__ import annotations

import heapq
import pickle
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from pathways.engine import Dispatch
from pathways.evolve.far_worker import Parcel, Reply


@dataclass(frozen=True)
class Calls:
    """What Ray's calls cost the driver, in seconds; as measured by `pathways.experiments.benchmarks.scale_calls`.

    Args:
        send: a call of an actor's method.
        wait: a look which references are there; `wait_ref` for each reference it is given.
        get: reading a reply, without unpacking it.
        put: putting an object into the store; `put_byte` for each of its bytes.
        there, back: until a worker has what it is sent, and the driver the reply.
    """

    send: float = 0.0
    wait: float = 0.0
    wait_ref: float = 0.0
    get: float = 0.0
    put: float = 0.0
    put_byte: float = 0.0
    there: float = 0.0
    back: float = 0.0


@dataclass
class Counts:
    """What passed between the driver and its workers.

    Args:
        puts, put_bytes: objects that the driver put into the store.
        shared, shared_bytes: activations that workers put there.
        twice: of these, those that somebody had put there before.
        sent, sent_bytes, candidates: dispatches, all bytes that went with them, and how many candidates were in them.
        replies, reply_bytes: what came back, blobs included.
        blobs, blob_bytes: of that, what is written to the pool.
        waits, refs: looks which replies are there, and references that they were given in all.
        trained: seconds that workers trained, in sum.
    """

    puts: int = 0
    put_bytes: int = 0
    shared: int = 0
    shared_bytes: int = 0
    twice: int = 0
    sent: int = 0
    sent_bytes: int = 0
    candidates: int = 0
    replies: int = 0
    reply_bytes: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    waits: int = 0
    refs: int = 0
    trained: float = 0.0


@dataclass(frozen=True)
class Look:
    """How things stood when the driver asked for replies.

    Args:
        now: the virtual time in seconds.
        pending: references that it waits for.
        replies: of these, those that are there, and wait for the driver.
        training: workers that train.
    """

    now: float
    pending: int
    replies: int
    training: int


@dataclass(eq=False)
class Worker:
    """A virtual worker: until when it has work, and which activations it can reach."""

    free: float = 0.0
    knows: set[str] = field(default_factory=set)


Train = Callable[[Parcel, set[str]], tuple[float, Reply]]
"""From a parcel and the activations that its worker can reach to seconds and the reply."""


class VirtualCluster:
    """What `pathways.evolve.cluster.Cluster` offers the Ray engine, with virtual workers.

    Time is virtual: `now` goes on by what the driver computes between two calls (its processor time), by what Ray's
    calls are said to cost it, and, where it waits, to the next reply. What workers do is worked out at no time.

    Args:
        workers: how many.
        train: what workers do.
        calls: what Ray's calls cost.
        drag: by what the driver's own time is multiplied; 0 is a driver that takes none.
        clock: of the driver's work.

    Attributes:
        now: seconds since the cluster began.
        driver: seconds that the driver has computed.
        charged: seconds of Ray's calls, by call.
        counts: what has passed.
        looks: how things stood, at each look for replies.
    """

    address = "virtual"

    def __init__(
        self, workers: int, train: Train, calls: Calls | None = None, drag: float = 1.0,
        clock: Callable[[], float] = time.process_time,
    ) -> None:
        self.size, self.calls, self.drag = workers, calls or Calls(), drag
        self.now = self.driver = 0.0
        self.charged: dict[str, float] = {}
        self.counts = Counts()
        self.looks: list[Look] = []
        self._train, self._clock = train, clock
        self._numbers = count()
        self._keys: set[str] = set()
        self._coming: list[tuple[float, int]] = []
        self._there: list[int] = []
        self._bodies: dict[int, tuple[bytes, list[Any]]] = {}
        self._left = clock()

    def spent(self) -> float:
        """Seconds that the driver has computed up to now, called from the driver's side."""
        return self.driver + self._clock() - self._left

    def elapsed(self) -> float:
        """The virtual time with what the driver has computed since its last call, called from the driver's side."""
        return self.now + self.drag * (self._clock() - self._left)

    # -- what the engine asks -------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Nothing to do."""

    def disconnect(self) -> None:
        """Nothing to do."""

    def reachable(self) -> bool:
        """It is always there."""
        return True

    def nodes(self) -> list[Mapping[str, float]]:
        """One node with a core for each worker."""
        return [{"CPU": float(self.size)}]

    def free(self) -> Mapping[str, float]:
        """Nothing."""
        return {"CPU": 0.0}

    def start(self, setting: Any, needs: Any, place: Any = None) -> tuple[Worker, int]:
        """A worker, which is ready at once."""
        with self._entered():
            worker, ref = Worker(), next(self._numbers)
            self._answer(ref, {"pid": 1 + ref, "node": "virtual"}, self.now)
            return worker, ref

    def send(self, worker: Worker, body: bytes, parcel: Parcel) -> int:
        """Send a dispatch: the driver packs it, the worker begins when it has done what it has."""
        packed = pickle.dumps(parcel, protocol=5)  # as Ray does, in the driver's time
        with self._entered():
            self._charge("send", self.calls.send)
            self.counts.sent += 1
            self.counts.sent_bytes += len(body) + len(packed)
            dispatch: Dispatch = pickle.loads(body)
            self.counts.candidates += len(dispatch.candidates)
            worker.knows.difference_update(parcel.forget)
            worker.knows.update(parcel.prefixes)
            seconds, reply = self._train(replace(parcel, dispatch=dispatch), worker.knows)
            reply = replace(reply, prefixes={key: (self._share(key, size, worker), size)
                                             for key, (_, size) in reply.prefixes.items()})  # fmt: skip
            worker.free = max(worker.free, self.now + self.calls.there) + seconds
            self.counts.trained += seconds
            self.counts.blobs += len(reply.blobs)
            self.counts.blob_bytes += sum(len(data) for data in reply.blobs.values())
            ref = next(self._numbers)
            self.counts.reply_bytes += self._answer(ref, reply, worker.free + self.calls.back)
            self.counts.replies += 1
            return ref

    def kill(self, workers: Sequence[Worker], wait: float = 0.0) -> None:
        """Workers end; what they were to answer is not looked at any more."""

    def put(self, value: Any) -> int:
        """Put a value into the store, where nobody reads it."""
        with self._entered():
            self.counts.puts += 1
            self.counts.put_bytes += value.nbytes
            self._charge("put", self.calls.put + self.calls.put_byte * value.nbytes)
            return next(self._numbers)

    def wait(self, refs: Sequence[int], seconds: float) -> list[int]:
        """The replies that are there; time passes until the first of them is."""
        with self._entered():
            self.counts.waits += 1
            self.counts.refs += len(refs)
            self._charge("wait", self.calls.wait + self.calls.wait_ref * len(refs))
            self._arrive()
            self.looks.append(Look(self.now, len(refs), len(self._there), min(len(self._coming), self.size)))
            if not self._there:
                first = self._coming[0][0] if self._coming else self.now + seconds
                self.now = min(first, self.now + seconds)
                self._arrive()
            ready, self._there = self._there, []
            return ready

    def get(self, ref: int) -> Any:
        """A reply, which the driver unpacks in its own time."""
        with self._entered():
            self._charge("get", self.calls.get)
            body, buffers = self._bodies.pop(ref)
        return pickle.loads(body, buffers=buffers)

    # -- inside ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """What the driver has computed since the last call counts; what is done within does not."""
        spent = self._clock() - self._left
        self.driver += spent
        self.now += self.drag * spent
        try:
            yield
        finally:
            self._left = self._clock()

    def _charge(self, call: str, seconds: float) -> None:
        self.charged[call] = self.charged.get(call, 0.0) + seconds
        self.now += self.drag * seconds

    def _answer(self, ref: int, value: Any, when: float) -> int:
        buffers: list[Any] = []
        body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        self._bodies[ref] = body, buffers
        heapq.heappush(self._coming, (when, ref))
        return len(body) + sum(buffer.raw().nbytes for buffer in buffers)

    def _share(self, key: str, size: int, worker: Worker) -> int:
        worker.knows.add(key)
        self.counts.twice += key in self._keys
        self._keys.add(key)
        self.counts.shared += 1
        self.counts.shared_bytes += size
        return next(self._numbers)

    def _arrive(self) -> None:
        while self._coming and self._coming[0][0] <= self.now:
            self._there.append(heapq.heappop(self._coming)[1])


__all__ = ["Calls", "Counts", "Look", "VirtualCluster", "Worker"]
