"""The local engine: trainers in this process, or in worker processes of one thread each."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path as FilePath
from typing import Any, cast

from pathways.cores import crowded, load, one_thread_each, usable_cores
from pathways.devices import device_here, of_worker
from pathways.engine import CACHE_BYTES, Answer, Dispatch
from pathways.errors import EngineError, PathwaysError
from pathways.in_process import InProcess
from pathways.modules import BUILT_IN, Families
from pathways.task import Task
from pathways.trace import Journey
from pathways.trainer.failures import OUT_OF_MEMORY
from pathways.trainer.numerics import numerics

from .importable import importable
from .scheduler import DIED, Job, Rules, Scheduler, checked_deadline, checked_retries

_log = logging.getLogger(__name__)


class Local:
    """Runs dispatches here (`workers=0`) or in N processes, each with one thread and its data loaded once.

    Results do not depend on the number of workers, so there are never more of them than cores that this process
    may use: programs that wait for each other's threads can be many times slower. A worker that dies is replaced
    and its dispatch sent again, up to `retries` times; then its candidates are recorded as failed, with the reason.
    Workers are started as `python -m pathways.evolve.worker`,
    so that a script needs no `if __name__ == "__main__"` guard; they end when this process ends, however it does.

    Args:
        workers: processes, at most; 0 trains in this process.
        retries: how often work that failed with its worker is tried again.
        deadline: seconds that a candidate may take in a worker; `None` is no limit.
        oversubscribe: start all of them, however few cores there are.
        cache_bytes: the most activations of frozen prefixes that the run keeps on disk, for all workers; 0 keeps none.
        device: what to compute on: `cpu`, `cuda`, `cuda:N`, or `auto`. With `cuda` and several GPUs, worker i computes
            on `cuda:{i % count}`; more workers than GPUs share them.

    Raises:
        EngineError: `workers` is not a whole number of at least 0.
        ConfigError: the device is not here.

    Example:
        >>> from pathways import evolve
        >>> engine = evolve.Local(workers=1000)
        >>> engine.workers < 1000
        True
    """

    def __init__(
        self, workers: int = 0, retries: int = 2, *, deadline: float | None = None, oversubscribe: bool = False,
        cache_bytes: int = CACHE_BYTES, device: str = "cpu",
    ) -> None:
        if not isinstance(workers, int) or workers < 0:
            raise EngineError(
                f"`workers` must be a whole number of at least 0, found {workers!r}: 0 trains in this process."
            )
        self._cores = usable_cores()
        self._asked = workers
        self._count = workers if oversubscribe else min(workers, self._cores)
        self._warned = False
        self._scheduler = Scheduler(Rules(checked_retries(retries), checked_deadline(deadline), ahead=0))
        self._tasks: dict[str, Task] = {}
        self._pool: FilePath | None = None
        self._families: Families = BUILT_IN
        self.cache_bytes = cache_bytes
        self.device = device_here(device)
        self._here = InProcess(cache_bytes, self.device)
        self._workers: list[_Worker] = []

    @property
    def workers(self) -> int:
        """How many dispatches are trained at the same time."""
        return max(1, self._count)

    def busy(self) -> int | None:
        """How many of the workers have a dispatch; `None` where there are none."""
        return self._scheduler.busy() if self._count else None

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def open(self, pool: FilePath, families: Families = BUILT_IN) -> None:
        """Make ready to train against the pool in that directory; opening another pool closes the first."""
        if self._pool == pool and self._families is families:
            self._settle()
            return
        self.close()
        self._pool, self._families = pool, families
        if self._count == 0:
            self._here.open(pool, families)
        else:
            importable(families)
            self._warn()
            self._workers = [self._worker(i) for i in range(self._count)]
            for i in range(self._count):
                self._scheduler.join(i)

    def provide(self, task: Task) -> None:
        """Make a task's training and validation data known; a worker gets it when it first needs it."""
        self._tasks[task.fingerprint] = task.without_test()
        if self._count == 0:
            self._here.provide(task)

    def submit(self, dispatch: Dispatch) -> None:
        """Queue a dispatch."""
        if self._pool is None:
            raise EngineError("the engine must be opened before work is submitted: call `open(pool, families)`.")
        if self._count == 0:
            self._here.submit(dispatch)
            return
        self._scheduler.submit(dispatch, time.monotonic())
        self._feed()

    def next(self, timeout: float | None = None) -> Answer | None:
        """The next finished dispatch; `None` where none finished in time or none is under way."""
        if self._count == 0:
            return self._here.next(timeout)
        scheduler, until = self._scheduler, None if timeout is None else time.monotonic() + timeout
        while not scheduler.answers and scheduler.unfinished:
            due = [moment for moment in (until, scheduler.next_deadline()) if moment is not None]
            left = max(0.0, min(due) - time.monotonic()) if due else None
            ready = wait([worker.connection for worker in self._workers if worker.job is not None], left)
            for i, worker in enumerate(self._workers):
                if worker.connection in ready:
                    self._receive(i)
            now = time.monotonic()
            for job in scheduler.overdue(now):
                if (late := scheduler.worker_of(job)) is not None:
                    self._lost(late, f"it took longer than its deadline of {scheduler.rules.deadline:g} s")
            self._feed()
            if not ready and until is not None and now >= until:
                break
        return scheduler.answers.popleft() if scheduler.answers else None

    def cancel(self, dispatch: int) -> bool:
        """Drop a dispatch that has not started; whether it was dropped."""
        if self._count == 0:
            return self._here.cancel(dispatch)
        return self._scheduler.cancel(dispatch)

    def close(self) -> None:
        """Stop the workers and wait until they are gone; what they were training is dropped."""
        for worker in self._workers:
            worker.stop()
        self._workers = []
        self._scheduler = Scheduler(self._scheduler.rules)
        self._here.close()
        self._pool = None

    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [worker.process.pid for worker in self._workers]

    # -- inside -------------------------------------------------------------------------------------------

    def _warn(self) -> None:
        """Say once what speaks against so many workers."""
        if self._warned:
            return
        self._warned = True
        if self._count < self._asked:
            _log.warning(
                "`workers` is %d, of which %d are started, one for each core that this process may use: results do not "
                "depend on it; `Local(workers=%d, oversubscribe=True)` starts them all.",
                self._asked, self._count, self._asked,
            )
        if found := crowded(self._count, self._cores, load()):
            _log.warning("%s", found)

    def _settle(self) -> None:
        """Drop what an interrupted search left queued, and wait for what is being trained; its answers are stale."""
        self._scheduler.clear()
        if self._count == 0 and self._pool is not None:
            self._here.open(self._pool, self._families)
        for i, worker in enumerate(self._workers):
            if worker.job is not None:
                try:
                    worker.receive()
                except (EOFError, OSError, pickle.UnpicklingError):
                    self._replace(i)

    def _feed(self) -> None:
        """Give each idle worker the next dispatch; one that died while it was idle is replaced."""
        while assigned := self._scheduler.assign(time.monotonic()):
            for i, job in assigned:
                try:
                    self._workers[i].send(job, self._tasks)
                except OSError:
                    self._lost(i, DIED, blame=not self._workers[i].proven)
                except PathwaysError:
                    self._scheduler.drop(job.id, time.monotonic())
                    raise

    def _receive(self, index: int) -> None:
        """Take what a worker has to say, or note that it died."""
        worker = self._workers[index]
        job = cast(Job, worker.job)  # only a worker that has one says something
        try:
            kind, payload = worker.receive()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._lost(index, DIED)
            return
        now = time.monotonic()
        if kind == "error":
            self._scheduler.drop(job.id, now)
            raise payload
        results, own, received, answered = payload
        lacks = [result.failure for result in results if result.failure.startswith(OUT_OF_MEMORY)]
        if lacks:
            self._scheduler.failed(job.id, lacks[0], now)
            return
        journey = Journey(worker.sent - (job.began - job.queued), worker.sent, received, answered, time.time())
        self._scheduler.done(job.id, results, now, journey.spans(f"here/{index}", own, offset=0.0), worker.moved)

    def _lost(self, index: int, why: str, blame: bool = True) -> None:
        """A worker is gone, or is to go; another takes its place, and its work goes back to the queue."""
        self._replace(index)
        self._scheduler.leave(index, why, time.monotonic(), blame=blame)
        self._scheduler.join(index)

    def _replace(self, index: int) -> None:
        self._workers[index].stop()
        self._workers[index] = self._worker(index)

    def _worker(self, index: int) -> _Worker:
        device = of_worker(self.device, index)
        return _Worker(cast(FilePath, self._pool), self._families, self.cache_bytes, device, numerics(self.device))


class _Worker:
    """One worker process, the connection to it, and what it is working on."""

    def __init__(
        self, pool: FilePath, families: Families, cache_bytes: int, device: str, expected: dict[str, Any]
    ) -> None:
        ours, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pathways.evolve.worker", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()], env=one_thread_each(os.environ), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self.connection: Connection[Any, Any] = ours
        self.job: Job | None = None
        self.proven = False  # whether it has answered before
        self.sent = 0.0  # when, in seconds since 1970 (UTC)
        self.moved = 0  # bytes, for the dispatch
        self.known: set[str] = set()
        self._greeting: tuple[Any, ...] | None = (
            str(pool), sys.path, importable(families), expected, cache_bytes, device,
        )

    def send(self, job: Job, tasks: dict[str, Task]) -> None:
        """Send a job's dispatch, after the data that it needs and this worker has not seen."""
        dispatch = job.dispatch
        new = sorted({f for c in dispatch.candidates for f in c.data.values() if f in tasks} - self.known)
        messages = [("task", _packed_task(tasks[fingerprint])) for fingerprint in new]
        if self._greeting is not None:
            messages.insert(0, ("open", pickle.dumps(self._greeting)))
            self._greeting = None
        self.known.update(new)
        messages.append(("dispatch", pickle.dumps(dispatch)))
        self.moved = sum(len(packed) for _, packed in messages)
        self.sent = time.time()
        for message in messages:
            self.connection.send(message)
        self.job = job

    def receive(self) -> tuple[str, Any]:
        """The worker's next message: `results`, or `error` with an exception to raise here."""
        packed = self.connection.recv_bytes()
        self.moved += len(packed)
        self.job, self.proven = None, True
        kind, payload = pickle.loads(packed)
        if kind == "error" and not isinstance(payload, PathwaysError):
            payload = EngineError(f"a worker stopped with {payload}")
        return kind, payload

    def stop(self) -> None:
        """End the process and wait for it."""
        self.connection.close()
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _packed_task(task: Task) -> bytes:
    # Plain pickle: the multiprocessing pickler would move tensors through shared memory, which a killed process leaks.
    try:
        return pickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise EngineError(
            f"task {task.name!r} must be one that can be sent to worker processes, found: {error}: "
            f"define its metric's function in a file of its own, or train with `workers=0`."
        ) from None
