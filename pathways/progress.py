"""Progress: what a run says while it works, and the log that keeps it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TextIO

from .text import measure_text, short_count

_PERIOD = 60.0  # seconds between lines of one search: a log shows life and stays short


@dataclass(frozen=True)
class End:
    """What came of a search for one task.

    Args:
        test: the task's test measure, `None` where it is not a number.
        metric: what that is.
        new_parameters: how many parameters it added, where it added to a system.
        parents: the tasks whose champions its path comes from.
    """

    test: float | None
    metric: str
    new_parameters: int | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """Where a search stands.

    Args:
        task: the task that is being learned; several joined by `+` when learned jointly.
        strategy: the name of the strategy that asks.
        tried: candidates with a result so far, those looked up in the ledger included.
        total: how many there will be, where the strategy knows.
        best: the best validation measure so far, in the metric's own unit.
        message: what else there is to say, such as `frozen`.
        busy, workers: how many workers have something to do, of how many; where the engine knows.
        failed: how many of those tried could not be trained.
        end: what came of it, when its result is recorded; then `tried` counts for nothing.
    """

    task: str
    strategy: str
    tried: int
    total: int | None = None
    best: float | None = None
    message: str = ""
    busy: int | None = None
    workers: int = 1
    failed: int = 0
    end: End | None = None


Progress = Callable[[Event], None]


@dataclass
class _Search:
    """A search as it is shown: where it stands, since when, and what a log said of it last."""

    event: Event
    began: float
    said_at: float
    said: Event | None = None


class ProgressLog:
    """Events as lines of a log: one for each search that ended, which says what came of it.

    A search that takes long has a line each minute, and searches that go on side by side have one when they first make
    room for another: however many results come at once, a log stays short. `pathways.live` has what a terminal shows.

    Args:
        stream: where to write, usually standard error.
        enabled: writes nothing when false.
        clock: seconds, for tests.

    Example:
        >>> import io
        >>> stream = io.StringIO()
        >>> with ProgressLog(stream) as log:
        ...     log(Event("omniglot/Greek", "munet", 3, 12, 0.91))
        >>> stream.getvalue().startswith("omniglot/Greek  munet  3/12 tried  best 0.910")
        True
    """

    def __init__(self, stream: TextIO, enabled: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._enabled = enabled
        self._clock = clock
        self._searches: dict[tuple[str, str], _Search] = {}
        self._last: _Search | None = None

    def __call__(self, event: Event) -> None:
        """Take an event; it is written now, later or, where newer ones overtake it, never."""
        if not self._enabled:
            return
        now, key = self._clock(), (event.task, event.strategy)
        if event.end is not None:
            self._finish(event, now)
            return
        if key not in self._searches:
            if self._last is not None:
                self._say(self._last, now)
            self._searches[key] = _Search(event, began=now, said_at=now)
        search = self._last = self._searches[key]
        search.event = event
        if now - search.said_at >= _PERIOD:
            self._say(search, now)

    def close(self) -> None:
        """Write what is not written yet."""
        now = self._clock()
        for search in self._searches.values():
            self._say(search, now)
        self._searches.clear()
        self._last = None

    def __enter__(self) -> ProgressLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _finish(self, event: Event, now: float) -> None:
        """Take the end of a search: it is said at once, and nothing more of that search."""
        search = self._searches.pop((event.task, event.strategy), None)
        if search is self._last:
            self._last = None
        search = search or _Search(event, began=now, said_at=now)
        search.event = replace(search.event, end=event.end)
        self._say(search, now)

    def _say(self, search: _Search, now: float) -> None:
        """Write a line, unless it says what the last one of that search said."""
        if search.said != search.event:
            self._stream.write(line_of(search.event, now - search.began) + "\n")
            self._stream.flush()
            search.said, search.said_at = search.event, now


def line_of(event: Event, seconds: float) -> str:
    """One line of text for an event.

    >>> line_of(Event("wine", "munet", 4, None, 0.5, "frozen"), 61)
    'wine  munet  4 tried  best 0.500  1:01  frozen'
    >>> line_of(Event("wine", "munet", 4, busy=2, workers=8), 61)
    'wine  munet  4 tried  2/8 workers busy  1:01'
    """
    tried = f"{event.tried}/{event.total} tried" if event.total else f"{event.tried} tried"
    tried = "" if event.end is not None and not event.tried else tried
    best = "" if event.best is None else f"best {event.best:.3f}"
    failed = f"{event.failed} failed" if event.failed else ""
    busy = "" if event.busy is None or event.end is not None else f"{event.busy}/{event.workers} workers busy"
    end = "" if event.end is None else end_text(event.end)
    parts = (event.task, event.strategy, tried, failed, best, busy, clock_text(seconds), event.message, end)
    return "  ".join(part for part in parts if part)


def end_text(end: End) -> str:
    """What came of a search, in a few words.

    >>> end_text(End(0.92, "accuracy", 12000, ("omniglot/Greek",)))
    'test 92.0, 12k new parameters, from omniglot/Greek'
    """
    test = "no test measure" if end.test is None else f"test {measure_text(end.test, end.metric)}"
    new = f"{short_count(end.new_parameters)} new parameters" if end.new_parameters is not None else ""
    parents = f"from {', '.join(end.parents)}" if end.parents else ""
    return ", ".join(part for part in (test, new, parents) if part)


def clock_text(seconds: float) -> str:
    """A time as a clock shows it.

    >>> clock_text(61), clock_text(3723)
    ('1:01', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
