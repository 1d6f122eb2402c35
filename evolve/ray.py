"""The engine of Ray actors, on this machine or on a cluster."""

from __future__ import annotations

import logging
import math
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from pathways.cores import usable_cores
from pathways.devices import device_here, kind_of
from pathways.engine import CACHE_BYTES, Answer, Dispatch
from pathways.errors import BlobError, EngineError, PathwaysError
from pathways.modules import BUILT_IN, Families
from pathways.pool import Pool
from pathways.task import Task
from pathways.trace import Journey, Span
from pathways.trainer.numerics import numerics

from .cluster import NODE_LOST, UNREACHABLE, Cluster, WorkerFailedError, WorkerLostError, room
from .crew import Crew
from .far_worker import ERROR, MEMORY, PARTED, WRITTEN, Reply, Setting
from .gang import READY, RESERVING, TRAINING, Gang
from .importable import importable, search_path
from .lending import Lending
from .scheduler import Job, Rules, Scheduler, checked_deadline, checked_retries

_log = logging.getLogger("pathways.ray")

LOOK_SECONDS = 2.0
"""How often to look whether the cluster has grown or shrunk, while nothing else happens."""

HEAD_SECONDS = 20.0
"""How long to go on without the cluster's head; after 60 Ray ends this process with a message of its own."""

ROOM_SECONDS = 0.5
"""How often to end idle workers in whose place a gang waits to begin."""


class Ray:
    """Runs dispatches in Ray actors, each a trainer with one thread whose data and frozen modules are loaded once.

    Results are those of `Local` for the same seed, however many workers there are and whichever of them fail. What is
    frozen, data and cached prefixes enter the object store once and are read in place; with a candidate travel its
    path and what its drafts start from. No file system in common is needed: blobs come back to this process, which
    writes them to the pool.

    A worker that dies, a node that is lost, a candidate past its deadline or out of memory: the work is sent to
    another worker, up to `retries` times; then the candidate is recorded as failed, with the reason. Workers may join
    and leave while a run goes on.

    Args:
        workers: actors, at most; as many as the cluster has room for when not given, also as it grows.
        retries: how often work that failed with its worker is tried again.
        address: `local` starts Ray here and stops it in the end; `auto`, or `HOST:PORT`, joins the cluster of that
            address. Where this process is connected to Ray already, that connection is used, and left as it is.
        cpus_per_worker, gpus_per_worker: what a worker reserves, fractions too.
        deadline: seconds that a candidate may take; `None` is no limit.
        patience: seconds to wait for resources that others hold, or nodes that are still to come.
        autoscaling: whether the cluster may grow: then what does not fit its nodes now is waited for, not refused.
        oversubscribe: with `local`, start all workers, however few cores there are.
        cache_bytes: the most bytes of what is shared in the object store: data, frozen modules, prefixes.
        device: what workers compute on: `cpu`, or `cuda`, which needs `gpus_per_worker`.
        num_workers: the same as `workers`, by the name that Ray uses.

    Raises:
        EngineError: a number out of range.

    Example:
        >>> from pathways import evolve
        >>> engine = evolve.Ray(workers=2, cpus_per_worker=0.5)
        >>> engine.cluster.address
        'local'
    """

    def __init__(
        self, workers: int | None = None, retries: int = 2, *, address: str = "local", cpus_per_worker: float = 1,
        gpus_per_worker: float = 0, deadline: float | None = None, patience: float = 300.0, autoscaling: bool = False,
        oversubscribe: bool = False, cache_bytes: int = CACHE_BYTES, device: str = "cpu",
        num_workers: int | None = None,
    ) -> None:
        asked = num_workers if workers is None else workers
        self._asked = asked or None  # 0 workers, as configurations have it, are as many as there is room for
        self.needs = _needs(self._asked, cpus_per_worker, gpus_per_worker)
        self.retries, self.deadline = checked_retries(retries), checked_deadline(deadline)
        self.patience, self.autoscaling = patience, autoscaling
        self.cache_bytes = cache_bytes
        self.device = device_here(device)
        if kind_of(self.device) == "cuda" and not gpus_per_worker:
            self.needs["GPU"] = 1.0
        cores = usable_cores()
        wanted = max(1, math.ceil((self._asked or cores) * self.needs["CPU"]))
        if address == "local" and not oversubscribe and wanted > cores:
            _log.warning(
                "`workers` ask for %d cores, of which this process may use %d: as many begin as fit; results do not "
                "depend on it; `oversubscribe=True` starts them all.", wanted, cores,
            )  # fmt: skip
            wanted, self._asked = cores, max(1, int(cores / self.needs["CPU"] + 1e-9))
        self.cluster = Cluster(address, wanted)
        self._tasks: dict[str, Task] = {}
        self._pool: FilePath | None = None
        self._families: Families = BUILT_IN
        self._reset()

    def _reset(self) -> None:
        self._scheduler = Scheduler(Rules(self.retries, self.deadline, gangs=True))
        self._crew = Crew(self.cluster, self.needs, self._asked, self.patience, self.autoscaling, self._setting)
        self._pending: dict[Any, _Sent] = {}
        self._gang: Gang | None = None
        self._lending: Lending
        self._looked = self._made_room = 0.0
        self._silent: float | None = None

    # -- the protocol ---------------------------------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """How many dispatches are trained at the same time, once all workers are there."""
        return self._crew.target

    def __enter__(self) -> Ray:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def open(self, pool: FilePath, families: Families = BUILT_IN) -> None:
        """Make ready to train against the pool in that directory; opening another pool closes the first.

        Raises:
            EngineError: Ray cannot be started or joined, a worker fits no node, or none was ready in time.
        """
        if self._pool == pool and self._families is families:
            self._settle()
            return
        importable(families)
        self._end_workers()
        self.cluster.connect()
        self._pool, self._families = pool, families
        self._lending = Lending(Pool(pool), self._tasks, self.cluster.put, self.cache_bytes)
        self._crew.refuse_what_never_fits(1)
        self._fill()
        self._wait_for_one()

    def provide(self, task: Task) -> None:
        """Make a task's training and validation data known; it enters the object store when it is first needed."""
        self._tasks[task.fingerprint] = task.without_test()

    def submit(self, dispatch: Dispatch) -> None:
        """Queue a dispatch.

        Raises:
            EngineError: the engine is not open, or a candidate asks for more workers at once than the cluster has.
        """
        if self._pool is None:
            raise EngineError("the engine must be opened before work is submitted: call `open(pool, families)`.")
        if dispatch.workers > 1:
            self._crew.refuse_what_never_fits(dispatch.workers)
        self._scheduler.submit(dispatch, time.monotonic())
        self._feed()

    def next(self, timeout: float | None = None) -> Answer | None:
        """The next finished dispatch; `None` where none finished in time or none is under way."""
        until = math.inf if timeout is None else time.monotonic() + timeout
        while not self._scheduler.answers:
            if not self._scheduler.unfinished:
                return None
            self._look()
            self._feed()
            left = until - time.monotonic()
            if self._scheduler.answers or not self._collect(min(max(0.0, left), self._until_something_is_due())):
                if self._scheduler.answers:
                    break
                if left <= 0:
                    return None
        return self._scheduler.answers.popleft()

    def cancel(self, dispatch: int) -> bool:
        """Drop a dispatch that has not started; whether it was dropped."""
        return self._scheduler.cancel(dispatch)

    def close(self) -> None:
        """Stop the workers and wait until they are gone; Ray too, where this engine has started it."""
        self._end_workers()
        self._pool = None
        self.cluster.disconnect()

    def pids(self) -> list[int]:
        """The process ids of the workers that are ready, each on its own machine."""
        return [*self._crew.pids(), *(self._gang.pids() if self._gang is not None else ())]

    def busy(self) -> int:
        """How many workers train."""
        gang = self._gang.size if self._gang is not None and self._gang.stage == TRAINING else 0
        return self._scheduler.busy() + gang

    def ready(self) -> int:
        """How many answers are there already."""
        return len(self._scheduler.answers)

    # -- workers --------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """End what is overdue; every now and then see whether there is room for more workers."""
        now = time.monotonic()
        for job in self._scheduler.overdue(now):
            worker = self._scheduler.worker_of(job)
            why = f"it took longer than its deadline of {self.deadline:g} s"
            if worker is not None:
                self._lost(worker, why)
            else:
                self._gang_lost(why)
        if now - self._looked >= LOOK_SECONDS:
            self._fill()

    def _fill(self) -> None:
        """See to it that there are as many workers as there are to be."""
        self._looked = time.monotonic()
        if not self._head_there(self._looked):
            return
        if self._gang is None or self._gang.stage != RESERVING:  # to which what workers leave belongs
            self._crew.fill()

    def _head_there(self, now: float) -> bool:
        """Whether the cluster's head can be reached; an `EngineError` where it has not been for long."""
        if self.cluster.reachable():
            self._silent = None
        elif self._silent is None:
            self._silent = now
        elif now - self._silent >= HEAD_SECONDS:
            raise EngineError(
                f"the head of the Ray cluster must be reachable, found that it was not for {HEAD_SECONDS:g} s: "
                f"what is recorded is safe; `pathways resume` goes on, on another cluster or with `--engine local`."
            )
        return self._silent is None

    def _setting(self) -> Setting:
        device = "cuda" if kind_of(self.device) == "cuda" else self.device  # Ray shows a worker just its own GPUs
        return Setting(
            search_path(), tuple(importable(self._families)), numerics(self.device), device, self.cache_bytes
        )

    def _wait_for_one(self) -> None:
        until = time.monotonic() + self.patience
        while not self._scheduler.workers:
            if not self._collect(min(LOOK_SECONDS, until - time.monotonic())) and time.monotonic() >= until:
                raise self._crew.no_room(1)
            self._fill()

    def _settle(self) -> None:
        """Drop what an interrupted search left behind, with the workers that are at it."""
        self._scheduler.clear()
        for number in {sent.worker for sent in self._pending.values()}:
            self._lost(number, "what it trains is no longer wanted")
        if self._gang is not None and self._gang.work is not None:
            self._gang_lost("what it trains is no longer wanted")

    def _end_workers(self) -> None:
        if self._gang is not None:
            self._gang.end()
        self._crew.end_all()
        self._reset()

    def _lost(self, number: int, why: str) -> None:
        """A worker is gone, or is to go; its work goes to another."""
        worker = self._crew.end(number)
        if worker is None:
            return
        _log.info("worker %d on %s: %s; its work goes to another", number, worker.node, why)
        self._lending.leave(number)
        self._pending = {ref: sent for ref, sent in self._pending.items() if sent.worker != number}
        self._scheduler.leave(number, why, time.monotonic(), blame=why not in (NODE_LOST, UNREACHABLE))
        self._fill()

    # -- work out, results in -------------------------------------------------------------------------------------

    def _feed(self) -> None:
        for worker, job in self._scheduler.assign(time.monotonic()):
            self._send(worker, job)
        self._see_to_gangs()

    def _send(self, number: int, job: Job) -> None:
        try:
            parcel = self._lending.parcel(number, job)
        except PathwaysError:
            self._scheduler.drop(job.id, time.monotonic())
            raise
        body = pickle.dumps(parcel.dispatch, protocol=5)
        rest = replace(parcel, dispatch=Dispatch(parcel.dispatch.id, ()))
        size = len(body) + sum(map(len, parcel.starts.values()))
        ref = self.cluster.send(self._crew.workers[number].actor, body, rest)
        self._pending[ref] = _Sent(number, job, job.id, size, self._lending.epoch, time.time())

    def _until_something_is_due(self) -> float:
        due = self._scheduler.next_deadline()
        making_room = self._gang is not None and self._gang.stage == RESERVING
        left = math.inf if due is None else max(0.0, due - time.monotonic())
        return min(left, ROOM_SECONDS if making_room else LOOK_SECONDS)

    def _collect(self, seconds: float) -> bool:
        """Wait for something to arrive, and take all that has; whether anything did."""
        gang = self._gang.pending if self._gang is not None else ()
        pending = [*self._pending, *self._crew.starting, *gang]
        if not pending:
            time.sleep(max(0.0, min(seconds, 0.05)))
            return False
        ready = self.cluster.wait(pending, seconds)
        for ref in ready:
            if ref in self._pending:  # a worker that is lost takes with it what else was sent to it
                self._receive(self._pending.pop(ref), ref)
            elif ref in self._crew.starting:
                self._greeted(ref)
            elif self._gang is not None and ref in self._gang.pending:
                self._receive_of_gang(self._gang, ref)
        return bool(ready)

    def _greeted(self, ref: Any) -> None:
        """A worker is ready, or could not be."""
        number = self._crew.greeted(ref)
        if number is not None:
            self._lending.join(number)
            self._scheduler.join(number)

    def _receive(self, sent: _Sent, ref: Any) -> None:
        try:
            reply = self.cluster.get(ref)
        except WorkerLostError as error:
            self._lost(sent.worker, str(error))
        except WorkerFailedError as error:
            self._lending.made(sent.worker, sent.number, {})
            self._scheduler.failed(sent.number, f"its worker failed: {error}"[:300], time.monotonic())
        else:
            name = f"{self._crew.workers[sent.worker].node}/{sent.worker}"
            spans = _journey(sent.job, sent.at, reply).spans(name, reply.spans)
            if sent.epoch == self._lending.epoch:
                self._lending.made(sent.worker, sent.number, reply.prefixes)
            self._take(sent.number, sent.epoch, reply, spans, sent.size)

    def _take(self, job: int, epoch: int, reply: Reply, spans: Sequence[Span], size: int) -> None:
        """Take a job's reply: its results count, or it goes back to the queue; one that is late is dropped."""
        lending, now = self._lending, time.monotonic()
        if not self._scheduler.holds(job):
            return
        if reply.kind == ERROR:
            self._scheduler.drop(job, now)
            raise reply.error if isinstance(reply.error, PathwaysError) else EngineError(str(reply.error))
        if epoch != lending.epoch or reply.kind == WRITTEN:
            if epoch == lending.epoch:
                _log.warning("%s was written to, which workers share: work is done again on copies", reply.written)
                lending.void()
            self._scheduler.redo(job, now)
        elif reply.kind == MEMORY:
            self._scheduler.failed(job, next(r.failure for r in reply.results if r.failure), now)
        else:
            try:
                for blob, data in reply.blobs.items():
                    lending.write(blob, data.data)
            except BlobError as error:
                self._scheduler.failed(job, str(error), now)
                return
            back = sum(len(data) for data in reply.blobs.values())
            self._scheduler.done(job, reply.results, now, spans, size + back + reply.fetched)

    # -- gangs ----------------------------------------------------------------------------------------------------

    def _see_to_gangs(self) -> None:
        """Have room, workers and work for the gang at the head of the queue; let a gang go that nobody asks for."""
        job, gang, now = self._scheduler.gang(), self._gang, time.monotonic()
        if gang is not None and gang.stage in (READY, RESERVING) and (job is None or job.workers != gang.size):
            idle = job is not None or len(self._crew.workers) < self._crew.target or now - gang.since > LOOK_SECONDS
            if gang.stage == RESERVING or idle:
                gang.end()
                self._gang = gang = None
                self._fill()
        if job is None:
            return
        if gang is None:
            setting, needs = self._setting(), self.needs
            self._gang = Gang(self.cluster, self._lending, setting, needs, job.workers, self._crew.number)
        elif gang.stage == READY:
            gang.train(self._scheduler.begin_gang(now))
        elif gang.stage == RESERVING:
            self._make_room(gang, now)

    def _make_room(self, gang: Gang, now: float) -> None:
        """End workers that have nothing to do, in whose place a gang can begin; wait for the others to be done."""
        if self._scheduler.busy():
            gang.since = now
        elif now - gang.since > self.patience:
            raise self._crew.no_room(gang.size)
        if now - self._made_room >= ROOM_SECONDS:
            self._made_room = now
            missing = gang.size - room([self.cluster.free()], self.needs)
            for number in self._scheduler.idle()[: max(1, missing)]:
                self._crew.end(number)
                self._lending.leave(number)
                self._scheduler.leave(number, "", now)

    def _receive_of_gang(self, gang: Gang, ref: Any) -> None:
        try:
            value = self.cluster.get(ref)
        except (WorkerLostError, WorkerFailedError) as error:
            if isinstance(error.__cause__, EngineError):
                raise error.__cause__ from None
            self._gang_lost(str(error))
            return
        if not gang.receive(ref, value):
            return
        sent = gang.moved()
        work, reply = gang.take()
        if reply.kind == PARTED:
            self._gang_lost(str(reply.error), work.job)
            return
        spans: list[Span] = []
        for place, said in work.replies.items():
            rank = gang.ranks[place]
            spans += _journey(work.job, work.at, said).spans(f"{rank.node}/{rank.number}", said.spans)
            if work.epoch == self._lending.epoch:
                self._lending.made(rank.number, work.job.id, said.prefixes)
        self._take(work.job.id, work.epoch, reply, spans, sent)

    def _gang_lost(self, why: str, job: Job | None = None) -> None:
        """A rank is gone, or all are to go: the others go too, and the job goes back to the queue."""
        gang, self._gang = self._gang, None
        if gang is None:
            return
        _log.info("a gang of %d: %s; its work is done again", gang.size, why)
        job = job or (gang.work.job if gang.work is not None else None)
        gang.end()
        if job is not None:
            self._scheduler.failed(job.id, why, time.monotonic())
        self._fill()


@dataclass(frozen=True)
class _Sent:
    """A job whose reply is awaited of a worker, and the number it had then; how many bytes were sent, and when."""

    worker: int
    job: Job
    number: int
    size: int
    epoch: int
    at: float


def _journey(job: Job, sent: float, reply: Reply) -> Journey:
    """The times of a job's way; the scheduler's clock does not know the date."""
    waited = max(0.0, job.began - job.queued)
    return Journey(sent - waited, sent, reply.received, reply.finished, time.time())


def _needs(workers: int | None, cpus: float, gpus: float) -> dict[str, float]:
    """What a worker reserves, after checking all numbers."""
    if workers is not None and (type(workers) is not int or workers < 1):
        raise EngineError(f"`workers` must be a whole number of at least 1, or None, found {workers!r}.")
    for name, value, least in (("cpus_per_worker", cpus, 0.001), ("gpus_per_worker", gpus, 0.0)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
            raise EngineError(f"`{name}` must be a number of at least {least:g}, found {value!r}.")
    return {"CPU": float(cpus), "GPU": float(gpus)}


__all__ = ["Ray"]
