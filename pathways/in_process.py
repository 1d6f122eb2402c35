"""The engine that trains in this process."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path as FilePath

from pathways.modules import BUILT_IN, Families

from .devices import device_here
from .engine import CACHE_BYTES, Answer, Dispatch
from .errors import EngineError
from .pool import Pool
from .task import Task
from .trace import HERE, WAIT, Span, shifted
from .trainer import Trainer
from .trainer.prefix_cache import prefixes_of


class InProcess:
    """Trains each dispatch when its result is asked for, in this process, with one thread.

    Args:
        cache_bytes: the most activations of frozen prefixes that the run keeps on disk; 0 keeps none.
        device: what to compute on: `cpu`, `cuda`, `cuda:N`, or `auto`.

    Raises:
        ConfigError: the device is not here.
    """

    workers = 1

    def __init__(self, cache_bytes: int = CACHE_BYTES, device: str = "cpu") -> None:
        self.cache_bytes = cache_bytes
        self.device = device_here(device)
        self._queue: deque[tuple[Dispatch, float]] = deque()  # each with when it was queued
        self._trainer: Trainer | None = None

    def open(self, pool: FilePath, families: Families = BUILT_IN) -> None:
        """Make ready to train against the pool in that directory; opening the same pool again does nothing."""
        if self._trainer is None or self._trainer.pool.directory != pool or self._trainer.families is not families:
            prefixes = prefixes_of(pool, self.cache_bytes)
            self._trainer = Trainer(Pool(pool), families, prefixes=prefixes, device=self.device)
        self._queue.clear()

    def provide(self, task: Task) -> None:
        """Make a task's training and validation data known."""
        self._opened().provide(task.without_test())

    def submit(self, dispatch: Dispatch) -> None:
        """Queue a dispatch."""
        self._opened()
        self._queue.append((dispatch, time.time()))

    def next(self, timeout: float | None = None) -> Answer | None:
        """Train the next dispatch; `None` where none is queued."""
        if not self._queue:
            return None
        (dispatch, queued), trainer = self._queue.popleft(), self._opened()
        waited = Span(WAIT, HERE, queued, max(0.0, time.time() - queued))
        results = trainer.run(dispatch.candidates, dispatch.stacked, dispatch.slots)
        return Answer(dispatch, tuple(results), (waited, *shifted(trainer.spans, 0.0, HERE)))

    def cancel(self, dispatch: int) -> bool:
        """Drop a dispatch that has not started; whether it was dropped."""
        waiting = [entry for entry in self._queue if entry[0].id == dispatch]
        for found in waiting:
            self._queue.remove(found)
        return bool(waiting)

    def close(self) -> None:
        """Forget the data and the queue."""
        self._queue.clear()
        self._trainer = None

    def _opened(self) -> Trainer:
        if self._trainer is None:
            raise EngineError("the engine must be opened before work is submitted: call `open(pool, families)`.")
        return self._trainer
