"""A cluster in this process: workers that train when somebody waits for them, and that fail when they are told to."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from pathways.evolve.cluster import WorkerFailedError, WorkerLostError
from pathways.evolve.far_worker import FarWorker
from pathways.packing import Packed


@dataclass(eq=False)
class Actor:
    """A worker: its trainer, and what it was sent."""

    number: int
    worker: FarWorker | None = None
    alive: bool = True
    inbox: list[tuple[int, bytes, Any]] = field(default_factory=list)
    place: Any = None
    rank: int = 0


class FakeCluster:
    """What `pathways.evolve.cluster.Cluster` offers, without Ray.

    Args:
        nodes: what each has.
        fails: called with a worker and a dispatch before it is trained; what it returns, where that is not empty,
            is why the worker dies.
        seed: of the order in which workers answer.
    """

    def __init__(
        self, nodes: Sequence[Mapping[str, float]] = ({"CPU": 4.0},),
        fails: Callable[[int, Any], str] = lambda worker, dispatch: "", seed: int = 0,
    ) -> None:
        self.all = list(nodes)
        self.fails = fails
        self.random = random.Random(seed)
        self.objects: dict[int, Any] = {}
        self.puts: list[Any] = []
        self.actors: list[Actor] = []
        self.answers: dict[int, Any] = {}
        self.sent: list[tuple[int, Any]] = []
        self.groups: dict[int, int] = {}
        self.reserving: list[tuple[int, int, int]] = []
        self.connected = False
        self.head = True
        self.refuse: Exception | None = None
        self._numbers = count()

    def connect(self) -> None:
        self.connected = True

    def disconnect(self) -> None:
        self.connected = False

    def reachable(self) -> bool:
        return self.head

    def nodes(self) -> list[Any]:
        return self.all

    def free(self) -> Any:
        return {"CPU": float(max(0, self._room() - self._taken()))}

    def start(self, setting: Any, needs: Any, place: Any = None) -> tuple[Actor, int]:
        actor, ref = Actor(len(self.actors)), next(self._numbers)
        self.actors.append(actor)
        actor.place = place
        if place is not None or self._taken() <= self._room():
            try:
                if self.refuse:
                    raise self.refuse
                actor.worker = FarWorker(setting, self._fetch, self._share)
                self.answers[ref] = {"pid": 1000 + actor.number, "node": "here"}
            except Exception as error:
                self.answers[ref] = error
        return actor, ref

    def _room(self) -> int:
        return int(sum(n["CPU"] for n in self.all)) - sum(self.groups.values())

    def _taken(self) -> int:
        return len([a for a in self.actors if a.alive and a.place is None])

    def reserve(self, count: int, needs: Any) -> tuple[int, int]:
        group, ref = next(self._numbers), next(self._numbers)
        self.reserving.append((group, count, ref))
        return group, ref

    def release(self, group: int) -> None:
        self.groups.pop(group, None)
        self.reserving = [wait for wait in self.reserving if wait[0] != group]

    def meeting_place(self, worker: Actor) -> int:
        ref = next(self._numbers)
        self.answers[ref] = "here:1"
        return ref

    def send_rank(self, worker: Actor, body: bytes, parcel: Any, rank: int, size: int, address: str) -> int:
        assert (worker.place[1], address) == (rank, "here:1")
        ref = self.send(worker, body, parcel)
        worker.rank = rank
        return ref

    def send(self, worker: Actor, body: bytes, parcel: Any) -> int:
        ref = next(self._numbers)
        parcel = pickle.loads(pickle.dumps(parcel))  # it must be able to travel
        worker.inbox.append((ref, body, parcel))
        self.sent.append((worker.number, parcel))
        return ref

    def kill(self, workers: Sequence[Actor], wait: float = 0.0) -> None:
        for actor in workers:
            actor.alive = False

    def put(self, value: Any) -> int:
        self.puts.append(value)
        return self._share(value)

    def wait(self, refs: Sequence[int], seconds: float) -> list[int]:
        for group, size, ref in self.reserving[:1]:
            if self._room() - self._taken() >= size:
                self.reserving.pop(0)
                self.groups[group] = size
                self.answers[ref] = "reserved"
        ready = [ref for ref in refs if ref in self.answers]
        busy = [actor for actor in self.actors if actor.alive and actor.inbox]
        if ready or not busy:
            return ready
        actor = self.random.choice(busy)
        ref, body, parcel = actor.inbox.pop(0)
        dispatch = pickle.loads(body)
        why = self.fails(actor.number, dispatch)
        if why:
            self._die(actor, why, ref)
        else:
            assert actor.worker is not None
            # One process that takes the parts in turn gives the bits of many.
            sent = dispatch if actor.rank == 0 else replace(dispatch, candidates=())
            self.answers[ref] = actor.worker.take(replace(parcel, dispatch=sent))
        return [ref for ref in refs if ref in self.answers]

    def get(self, ref: int) -> Any:
        found = self.answers.pop(ref)
        if isinstance(found, WorkerLostError):
            raise found
        if isinstance(found, Exception):
            raise WorkerFailedError(str(found)) from found
        return found

    def _die(self, actor: Actor, why: str, ref: int) -> None:
        actor.alive = False
        for lost in (ref, *(ref for ref, _, _ in actor.inbox)):
            self.answers[lost] = WorkerLostError(why)
        actor.inbox.clear()

    def _share(self, value: Any) -> int:
        ref = next(self._numbers)
        if isinstance(value, Packed):  # read-only, like the object store's
            for array in value.arrays:
                array.flags.writeable = False
        self.objects[ref] = value
        return ref

    def _fetch(self, refs: Sequence[int]) -> list[Any]:
        return [self.objects[ref] for ref in refs]
