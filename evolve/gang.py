"""So many workers that train one candidate together: reserved all or none, started, met, at work."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pathways.engine import Dispatch

from .cluster import Cluster, Resources
from .far_worker import ERROR, MEMORY, PARTED, WRITTEN, Reply
from .lending import Lending
from .scheduler import Job

RESERVING, STARTING, READY, MEETING, TRAINING = "reserving", "starting", "ready", "meeting", "training"


@dataclass
class Rank:
    """One worker of a gang: its number, its actor, and where it is."""

    number: int
    actor: Any
    pid: int = 0
    node: str = ""
    sent: int = 0


@dataclass
class Work:
    """A job under way, what its ranks have said, and when it was sent, in seconds since 1970 (UTC)."""

    job: Job
    at: float
    epoch: int
    replies: dict[int, Reply] = field(default_factory=dict)


class Gang:
    """A placement group of workers. It moves on by what its `pending` references bring.

    Args:
        cluster, lending: of the engine.
        setting: what workers are opened with.
        needs: what each reserves.
        size: how many they are.
        number: gives each a number of its own, as workers have.
    """

    def __init__(
        self, cluster: Cluster, lending: Lending, setting: Any, needs: Resources, size: int, number: Callable[[], int]
    ) -> None:
        self.cluster, self.lending, self.setting, self.needs, self.size = cluster, lending, setting, needs, size
        self.stage = RESERVING
        self.since = time.monotonic()
        self.ranks: list[Rank] = []
        self.work: Work | None = None
        self._number = number
        self.group, ref = cluster.reserve(size, needs)
        self.pending: dict[Any, int] = {ref: 0}

    def train(self, job: Job) -> None:
        """Begin with a job: rank 0 is asked where the ranks can meet."""
        self.work = Work(job, time.time(), self.lending.epoch)
        self._to(MEETING, {self.cluster.meeting_place(self.ranks[0].actor): 0})

    def receive(self, ref: Any, value: Any) -> bool:
        """Take what a pending reference brought; whether the job's replies are all there now.

        One that says that the ranks have lost each other, or that all is void, ends the waiting for the others.
        """
        rank = self.pending.pop(ref)
        if self.stage == RESERVING:
            self._start()
        elif self.stage == STARTING:
            self.ranks[rank].pid, self.ranks[rank].node = value["pid"], value["node"]
            if not self.pending:
                self._to(READY, {})
        elif self.stage == MEETING:
            self._send(value)
        else:
            assert self.work is not None
            self.work.replies[rank] = value
            return not self.pending or value.kind == ERROR
        return False

    def take(self) -> tuple[Work, Reply]:
        """The finished job, and the reply that counts: the first that is none of results, else that of rank 0."""
        work, self.work = self.work, None
        assert work is not None
        self._to(READY, {})
        for kind in (ERROR, PARTED, WRITTEN, MEMORY):
            for reply in work.replies.values():
                if reply.kind == kind:
                    return work, reply
        return work, work.replies[0]

    def end(self) -> None:
        """Stop all of it, and give its place back."""
        self.cluster.kill([rank.actor for rank in self.ranks])
        self.cluster.release(self.group)
        for rank in self.ranks:
            self.lending.leave(rank.number)
        self.pending.clear()

    def moved(self) -> int:
        """The bytes that were sent for the job under way."""
        return sum(rank.sent for rank in self.ranks)

    def pids(self) -> Iterator[int]:
        """The processes that are ready."""
        return (rank.pid for rank in self.ranks if rank.pid)

    def _to(self, stage: str, pending: dict[Any, int]) -> None:
        self.stage, self.pending, self.since = stage, pending, time.monotonic()

    def _start(self) -> None:
        greetings = {}
        for place in range(self.size):
            actor, greeting = self.cluster.start(self.setting, self.needs, (self.group, place))
            rank = Rank(self._number(), actor)
            self.lending.join(rank.number)
            self.ranks.append(rank)
            greetings[greeting] = place
        self._to(STARTING, greetings)

    def _send(self, address: str) -> None:
        assert self.work is not None
        job, replies = self.work.job, {}
        body = pickle.dumps(job.dispatch, protocol=5)
        for place, rank in enumerate(self.ranks):
            parcel = replace(self.lending.parcel(rank.number, job), dispatch=Dispatch(job.dispatch.id, ()))
            rank.sent = len(body) + sum(map(len, parcel.starts.values()))
            replies[self.cluster.send_rank(rank.actor, body, parcel, place, self.size, address)] = place
        self._to(TRAINING, replies)


__all__ = ["MEETING", "READY", "RESERVING", "STARTING", "TRAINING", "Gang", "Rank", "Work"]
