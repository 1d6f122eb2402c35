"""Who trains what, and when: the queue of an engine, its workers, and what happens when one of them fails.

There are no processes here and no clock of its own: engines tell what happened and when, and are told what to send.
`Local`, `Ray` and the simulator of large clusters (`pathways.experiments.benchmarks.scale`) drive this same code.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from pathways.candidate import Result
from pathways.engine import Answer, Dispatch
from pathways.errors import EngineError
from pathways.trace import Span

DIED = "its worker died"
"""Why work failed whose worker is gone, where nothing else is known."""

BLAMELESS = 10
"""How often work is tried again that is not to blame for what happened to its worker, such as the loss of a node."""


def checked_retries(retries: int) -> int:
    """How often to try again; an `EngineError` where that is no number of times."""
    if type(retries) is not int or retries < 0:
        raise EngineError(f"`retries` must be a whole number of at least 0, found {retries!r}.")
    return retries


def checked_deadline(deadline: float | None) -> float | None:
    """The seconds that a candidate may take; an `EngineError` where these are none."""
    if deadline is not None and (isinstance(deadline, bool) or not isinstance(deadline, (int, float)) or deadline <= 0):
        raise EngineError(f"`deadline` must be seconds above 0, or None, found {deadline!r}.")
    return deadline


@dataclass(frozen=True)
class Rules:
    """What a scheduler goes by.

    Args:
        retries: how often work that failed with its worker is tried again, elsewhere, with the same seeds.
        deadline: seconds that a candidate may take, from its worker's beginning; `None` is no limit.
        ahead: dispatches that a worker is sent beyond the one it trains, while there are more than workers.
        gangs: whether candidates that ask for several workers get them; else one worker computes their parts in turn.
    """

    retries: int = 2
    deadline: float | None = None
    ahead: int = 1
    gangs: bool = False


@dataclass(eq=False)
class Whole:
    """A dispatch as it was submitted, and what is known of its results."""

    dispatch: Dispatch
    submitted: float
    results: dict[int, Result] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    moved: int = 0


@dataclass(eq=False)
class Job:
    """A dispatch, or a part of one, on its way to a worker.

    Args:
        id: its number; an answer counts for the job that it names, once.
        dispatch: what to train.
        whole: what it is a part of.
        places: where its candidates stand there.
        queued: when it was queued.
        tries: how often it failed with its worker.
        losses: how often its worker was lost, whoever was to blame.
        copies: whether frozen weights are to be copied, as something wrote to shared ones.
        began: when it was sent, or, behind another, when that one was done.
    """

    id: int
    dispatch: Dispatch
    whole: Whole
    places: tuple[int, ...]
    queued: float
    tries: int = 0
    losses: int = 0
    copies: bool = False
    began: float = 0.0

    @property
    def workers(self) -> int:
        """How many workers it asks for."""
        return self.dispatch.workers


class Scheduler:
    """The state of an engine: what waits, who trains what, what is done.

    Args:
        rules: what it goes by.

    Example:
        >>> scheduler = Scheduler(Rules(retries=1))
        >>> scheduler.join(0)
        >>> scheduler.submit(Dispatch(7, ()), now=0.0)
        >>> [(worker, job)] = scheduler.assign(now=0.0)
        >>> scheduler.done(job.id, (), now=1.0)
        >>> [answer.dispatch.id for answer in scheduler.answers]
        [7]
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.answers: deque[Answer] = deque()
        self.retried = 0
        self._numbers = count()
        self._queue: deque[Job] = deque()
        self._loads: dict[int, deque[Job]] = {}
        self._at: dict[int, tuple[int | None, Job]] = {}  # by job's number, its worker and itself; no worker is a gang
        self._idle: list[int] = []
        self._room: deque[int] = deque()
        self._deadlines: list[tuple[float, int]] = []
        self._busy = 0

    # -- work -----------------------------------------------------------------------------------------------------

    def submit(self, dispatch: Dispatch, now: float) -> None:
        """Queue a dispatch."""
        places = tuple(range(len(dispatch.candidates)))
        self._queue.append(Job(next(self._numbers), dispatch, Whole(dispatch, now), places, now))

    def cancel(self, dispatch: int) -> bool:
        """Drop a dispatch of which nothing was sent and nothing failed; whether it was dropped."""
        for job in self._queue:
            if job.whole.dispatch.id == dispatch and job.dispatch is job.whole.dispatch and not job.tries:
                self._queue.remove(job)
                return True
        return False

    def clear(self) -> None:
        """Drop all that waits and all that is done; what workers hold is stale from now on."""
        self._queue.clear()
        self.answers.clear()
        self._at.clear()
        self._deadlines.clear()
        for worker, load in self._loads.items():
            if load:
                load.clear()
                self._freed(worker)
        self._busy = 0

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """How many jobs workers hold."""
        return len(self._at)

    @property
    def unfinished(self) -> bool:
        """Whether anything is waiting, running or to be fetched."""
        return bool(self._queue or self._at or self.answers)

    # -- workers --------------------------------------------------------------------------------------------------

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return len(self._loads)

    def join(self, worker: int) -> None:
        """A worker is ready."""
        self._loads[worker] = deque()
        self._freed(worker)

    def leave(self, worker: int, why: str, now: float, *, blame: bool = True) -> None:
        """A worker is gone: what it was training failed with it, what stood behind that goes back unharmed.

        Without `blame` that is not held against what it was training, up to a number of times: it was gone before it
        began, or its whole node is.
        """
        load = self._loads.pop(worker, deque())
        self._busy -= bool(load)
        for job in reversed(load):  # the first goes back last, and so stands first
            self._at.pop(job.id, None)
            first = job is load[0]
            job.losses += first
            if first and (blame or job.losses > BLAMELESS):
                self._failed(job, why, now)
            else:
                self.retried += first
                self._requeue([job])

    def busy(self) -> int:
        """How many workers train."""
        return self._busy

    def idle(self) -> list[int]:
        """The workers that hold nothing."""
        return [worker for worker, load in self._loads.items() if not load]

    def head(self, worker: int) -> Job | None:
        """What a worker trains."""
        load = self._loads.get(worker)
        return load[0] if load else None

    # -- who trains what ------------------------------------------------------------------------------------------

    def assign(self, now: float) -> list[tuple[int, Job]]:
        """What is to be sent to whom. A gang at the head of the queue holds back what stands behind it."""
        sent: list[tuple[int, Job]] = []
        while self._queue and not self._is_gang(self._queue[0]):
            worker = self._free()
            if worker is None:
                break
            job = self._queue.popleft()
            load = self._loads[worker]
            load.append(job)
            self._at[job.id] = (worker, job)
            if len(load) == 1:
                self._busy += 1
                self._begin(job, now)
            if len(load) <= self.rules.ahead:
                self._room.append(worker)
            sent.append((worker, job))
        return sent

    def gang(self) -> Job | None:
        """The job at the head of the queue, where it asks for several workers."""
        return self._queue[0] if self._queue and self._is_gang(self._queue[0]) else None

    def begin_gang(self, now: float) -> Job:
        """Take the gang from the queue, as its workers are there."""
        job = self._queue.popleft()
        self._at[job.id] = (None, job)
        self._begin(job, now)
        return job

    def overdue(self, now: float) -> list[Job]:
        """The jobs whose deadline has passed; each is named once."""
        late = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, number = heapq.heappop(self._deadlines)
            if number in self._at:
                late.append(self._at[number][1])
        return late

    def next_deadline(self) -> float | None:
        """When the next deadline passes."""
        while self._deadlines and self._deadlines[0][1] not in self._at:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def holds(self, job: int) -> bool:
        """Whether somebody has the job of that number: else what is said of it is late."""
        return job in self._at

    def worker_of(self, job: Job) -> int | None:
        """Who holds a job; `None` where that is a gang, or nobody."""
        return self._at.get(job.id, (None, job))[0]

    # -- what comes of it -----------------------------------------------------------------------------------------

    def done(
        self, job: int, results: Sequence[Result], now: float, spans: Sequence[Span] = (), moved: int = 0
    ) -> None:
        """Take a job's results; those of a job that nobody holds are late, and dropped."""
        found = self._take(job, now)
        if found is not None:
            found.whole.spans += spans
            found.whole.moved += moved
            self._finish(found, results)

    def failed(self, job: int, why: str, now: float) -> None:
        """A job failed, not by its candidates' own doing: it is tried again, or its candidates fail."""
        found = self._take(job, now)
        if found is not None:
            self._failed(found, why, now)

    def drop(self, job: int, now: float) -> None:
        """Let go of a job that could not be sent: nothing comes of it."""
        self._take(job, now)

    def redo(self, job: int, now: float) -> None:
        """What a job gave is void, as its frozen weights were written to: each candidate again, on copies."""
        found = self._take(job, now)
        if found is not None:
            self._requeue(self._apart(found, copies=True))

    # -- inside ---------------------------------------------------------------------------------------------------

    def _is_gang(self, job: Job) -> bool:
        return self.rules.gangs and job.workers > 1

    def _begin(self, job: Job, now: float) -> None:
        job.began = now
        if self.rules.deadline is not None:
            until = now + self.rules.deadline * max(1, len(job.places))
            heapq.heappush(self._deadlines, (until, job.id))

    def _free(self) -> int | None:
        """A worker that holds nothing, the one that was used last; else, where much waits, one that has room."""
        while self._idle:
            worker = self._idle.pop()
            if worker in self._loads and not self._loads[worker]:
                return worker
        while self._room and len(self._queue) > len(self._loads):
            worker = self._room.popleft()
            if worker in self._loads and len(self._loads[worker]) <= self.rules.ahead:
                return worker
        return None

    def _freed(self, worker: int) -> None:
        if self._loads[worker]:
            self._room.append(worker)
        else:
            self._idle.append(worker)

    def _take(self, number: int, now: float) -> Job | None:
        """The job, which nobody holds any more; what stands behind it begins."""
        worker, job = self._at.pop(number, (None, None))
        if worker is not None and worker in self._loads:
            load = self._loads[worker]
            first = load[0] is job
            load.remove(job)  # type: ignore[arg-type]
            self._busy -= not load
            if first and load:
                self._begin(load[0], now)
            self._freed(worker)
        return job

    def _failed(self, job: Job, why: str, now: float) -> None:
        tries = job.tries + 1
        if tries > self.rules.retries:
            times = "" if tries == 1 else f", {tries} times"
            self._finish(job, [Result(c.hash, failure=f"{why}{times}"[:500]) for c in job.dispatch.candidates])
            return
        self.retried += 1
        job.tries = tries
        # One bad candidate must not take the others with it: what fails twice is taken apart.
        self._requeue(self._apart(job) if tries > 1 and len(job.places) > 1 else [job])

    def _apart(self, job: Job, copies: bool = False) -> list[Job]:
        """A job for each candidate; a stack of one is trained as the stack was, to the same bits."""
        if len(job.places) <= 1:
            job.copies = job.copies or copies
            return [job]
        return [
            Job(
                next(self._numbers), replace(job.dispatch, candidates=(candidate,)), job.whole, (place,), job.queued,
                job.tries if copies else 1, job.losses, copies or job.copies,
            )
            for place, candidate in zip(job.places, job.dispatch.candidates, strict=True)
        ]  # fmt: skip

    def _requeue(self, jobs: Sequence[Job]) -> None:
        """Put jobs at the head of the queue, under new numbers: what is still said of the old ones is void."""
        for job in reversed(jobs):
            job.id = next(self._numbers)
            self._queue.appendleft(job)

    def _finish(self, job: Job, results: Sequence[Result]) -> None:
        whole = job.whole
        whole.results.update(zip(job.places, results, strict=True))
        if len(whole.results) == len(whole.dispatch.candidates):
            ordered = tuple(whole.results[place] for place in range(len(whole.results)))
            self.answers.append(Answer(whole.dispatch, ordered, tuple(whole.spans), whole.moved))


__all__ = ["BLAMELESS", "DIED", "Job", "Rules", "Scheduler", "Whole", "checked_deadline", "checked_retries"]
