"""The engine of Ray actors, on this machine or on a cluster."""

from __future__ import annotations

import logging
import math
import pickle
import time
from collections.abc import Mapping
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
from pathways.trainer.numerics import numerics

from .cluster import Cluster, WorkerFailedError, WorkerLostError, room, said_of
from .importable import importable, search_path
from .lending import Lending
from .scheduler import Job, Rules, Scheduler

_log = logging.getLogger("pathways.ray")

LOOK_SECONDS = 2.0
"""How often to look whether the cluster has grown or shrunk, while nothing else happens."""

STARTS = 5
"""So many workers in a row that die before they are ready are no accident."""


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
        self.needs = _needs(self._asked, retries, cpus_per_worker, gpus_per_worker, deadline)
        self.retries, self.deadline, self.patience = retries, deadline, patience
        self.autoscaling = autoscaling
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
        self._scheduler = Scheduler(Rules(self.retries, self.deadline))
        self._workers: dict[int, _Worker] = {}
        self._pending: dict[Any, _Sent] = {}
        self._lending: Lending
        self._numbers = self._refused = self._bad_starts = 0
        self._looked = 0.0
        self._target = self._asked or 1

    # -- the protocol ---------------------------------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """How many dispatches are trained at the same time, once all workers are there."""
        return self._target

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
            self._scheduler.clear()
            return
        importable(families)
        self._end_workers()
        self.cluster.connect()
        self._pool, self._families = pool, families
        self._lending = Lending(Pool(pool), self._tasks, self.cluster.put, self.cache_bytes)
        self._refuse_what_never_fits(1)
        self._fill()
        self._wait_for_one()

    def provide(self, task: Task) -> None:
        """Make a task's training and validation data known; it enters the object store when it is first needed."""
        self._tasks[task.fingerprint] = task.without_test()

    def submit(self, dispatch: Dispatch) -> None:
        """Queue a dispatch."""
        if self._pool is None:
            raise EngineError("the engine must be opened before work is submitted: call `open(pool, families)`.")
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
        return [worker.pid for worker in self._workers.values() if worker.pid]

    def busy(self) -> int:
        """How many workers train."""
        return self._scheduler.busy()

    # -- workers --------------------------------------------------------------------------------------------------

    def _refuse_what_never_fits(self, count: int) -> None:
        """Raise an `EngineError` where so many workers at once do not fit the nodes, however idle they are."""
        nodes = self.cluster.nodes()
        if self.autoscaling or (found := room(nodes, self.needs)) >= count:
            return
        what = "a worker needs" if count == 1 else f"a candidate asks for {count} workers at once, each with"
        raise EngineError(
            f"{what} {said_of(self.needs)}, found nodes of {'; '.join(map(said_of, nodes)) or 'nothing'}, which have "
            f"room for {found}: ask for less, or join a larger cluster."
        )

    def _look(self) -> None:
        """End what is overdue; every now and then see whether there is room for more workers."""
        now = time.monotonic()
        for job in self._scheduler.overdue(now):
            worker = self._scheduler.worker_of(job)
            if worker is not None:
                self._lost(worker, f"it took longer than its deadline of {self.deadline:g} s")
        if now - self._looked >= LOOK_SECONDS:
            self._fill()

    def _fill(self) -> None:
        """Ask for workers up to the target; those that find no room wait in Ray, where an autoscaler sees them."""
        self._looked = time.monotonic()
        if self._asked is None:
            self._target = max(1, room(self.cluster.nodes(), self.needs))
        for _ in range(self._target - self._refused - len(self._workers)):
            number, self._numbers = self._numbers, self._numbers + 1
            actor, greeting = self.cluster.start(self._setting(), self.needs)
            self._workers[number] = _Worker(actor)
            self._pending[greeting] = _Sent(number)

    def _setting(self) -> Any:
        from .far_worker import Setting

        device = "cuda" if kind_of(self.device) == "cuda" else self.device  # Ray shows a worker just its own GPUs
        return Setting(
            search_path(), tuple(importable(self._families)), numerics(self.device), device, self.cache_bytes
        )

    def _wait_for_one(self) -> None:
        until = time.monotonic() + self.patience
        while not self._scheduler.workers:
            if not self._collect(min(LOOK_SECONDS, until - time.monotonic())) and time.monotonic() >= until:
                raise EngineError(
                    f"a worker needs {said_of(self.needs)}, found {said_of(self.cluster.free())} free on nodes of "
                    f"{'; '.join(map(said_of, self.cluster.nodes()))} after {self.patience:g} s: free some, or join a "
                    f"larger cluster."
                )
            self._fill()

    def _end_workers(self) -> None:
        if self._workers:
            self.cluster.kill([worker.actor for worker in self._workers.values()], wait=10.0)
        self._reset()

    def _ready(self, number: int, greeting: Mapping[str, Any]) -> None:
        worker = self._workers[number]
        worker.pid, worker.node = greeting["pid"], greeting["node"]
        self._bad_starts = 0
        self._lending.join(number)
        self._scheduler.join(number)

    def _not_ready(self, number: int, error: Exception) -> None:
        """A worker could not be opened: one that computes otherwise is left out, in place of others one begins."""
        self.cluster.kill([self._workers.pop(number).actor])
        if isinstance(error.__cause__, EngineError):
            self._refused += 1
            _log.warning("a worker is left out: %s", error.__cause__)
            if self._refused >= self._target:
                raise error.__cause__
            return
        self._bad_starts += 1
        if self._bad_starts >= STARTS:
            raise EngineError(f"workers must stay alive, found that {STARTS} in a row died as they began: {error}.")

    def _lost(self, number: int, why: str) -> None:
        """A worker is gone, or is to go."""
        worker = self._workers.pop(number, None)
        if worker is None:
            return
        self.cluster.kill([worker.actor])
        _log.info("worker %d on %s: %s; its work goes to another", number, worker.node, why)
        self._lending.leave(number)
        self._pending = {ref: sent for ref, sent in self._pending.items() if sent.worker != number}
        self._scheduler.leave(number, why, time.monotonic())
        self._fill()

    # -- work out, results in -------------------------------------------------------------------------------------

    def _feed(self) -> None:
        for worker, job in self._scheduler.assign(time.monotonic()):
            self._send(worker, job)

    def _send(self, number: int, job: Job) -> None:
        parcel = self._lending.parcel(number, job)
        body = pickle.dumps(parcel.dispatch, protocol=5)
        rest = replace(parcel, dispatch=Dispatch(parcel.dispatch.id, ()))
        size = len(body) + sum(map(len, parcel.starts.values()))
        ref = self.cluster.send(self._workers[number].actor, body, rest)
        self._pending[ref] = _Sent(number, job.id, size, self._lending.epoch)

    def _until_something_is_due(self) -> float:
        due = self._scheduler.next_deadline()
        return min(LOOK_SECONDS, max(0.0, due - time.monotonic()) if due is not None else math.inf)

    def _collect(self, seconds: float) -> bool:
        """Wait for something to arrive, and take all that has; whether anything did."""
        if not self._pending:
            time.sleep(max(0.0, min(seconds, 0.05)))
            return False
        ready = self.cluster.wait(list(self._pending), seconds)
        for ref in ready:
            if ref in self._pending:  # a worker that is lost takes with it what else was sent to it
                self._receive(self._pending.pop(ref), ref)
        return bool(ready)

    def _receive(self, sent: _Sent, ref: Any) -> None:
        try:
            reply = self.cluster.get(ref)
        except (WorkerLostError, WorkerFailedError) as error:
            if sent.job is None:
                self._not_ready(sent.worker, error)
            elif isinstance(error, WorkerLostError):
                self._lost(sent.worker, str(error))
            else:
                self._scheduler.failed(sent.job, f"its worker failed: {error}"[:300], time.monotonic())
        else:
            if sent.job is None:
                self._ready(sent.worker, reply)
            else:
                self._take(sent, sent.job, reply)

    def _take(self, sent: _Sent, job: int, reply: Any) -> None:
        from .far_worker import ERROR, MEMORY, WRITTEN

        lending, now = self._lending, time.monotonic()
        if reply.kind == ERROR:
            raise reply.error if isinstance(reply.error, PathwaysError) else EngineError(str(reply.error))
        if sent.epoch != lending.epoch or reply.kind == WRITTEN:
            if sent.epoch == lending.epoch:
                _log.warning("something wrote to %s, which workers share: work is done again on copies", reply.written)
                lending.void()
            self._scheduler.redo(job, now)
        elif reply.kind == MEMORY:
            self._scheduler.failed(job, next(r.failure for r in reply.results if r.failure), now)
        else:
            try:
                for blob, data in reply.blobs.items():
                    lending.pool.write(blob, memoryview(data))
            except BlobError as error:
                self._scheduler.failed(job, str(error), now)
                return
            lending.made(sent.worker, reply.prefixes)
            back = sum(len(data) for data in reply.blobs.values())
            self._scheduler.done(job, reply.results, now, moved=sent.size + back + reply.fetched)


@dataclass
class _Worker:
    """An actor, and where it is, once it is ready."""

    actor: Any
    pid: int = 0
    node: str = ""


@dataclass(frozen=True)
class _Sent:
    """What is awaited of a worker: its greeting, or the reply to a job."""

    worker: int
    job: int | None = None
    size: int = 0
    epoch: int = 0


def _needs(
    workers: int | None, retries: int, cpus: float, gpus: float, deadline: float | None
) -> dict[str, float]:
    """What a worker reserves, after checking all numbers."""
    if workers is not None and (type(workers) is not int or workers < 1):
        raise EngineError(f"`workers` must be a whole number of at least 1, or None, found {workers!r}.")
    if type(retries) is not int or retries < 0:
        raise EngineError(f"`retries` must be a whole number of at least 0, found {retries!r}.")
    for name, value, least in (("cpus_per_worker", cpus, 0.001), ("gpus_per_worker", gpus, 0.0)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < math.inf:
            raise EngineError(f"`{name}` must be a number of at least {least:g}, found {value!r}.")
    if deadline is not None and (isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or deadline <= 0):
        raise EngineError(f"`deadline` must be seconds above 0, or None, found {deadline!r}.")
    return {"CPU": float(cpus), "GPU": float(gpus)}


__all__ = ["Ray"]
