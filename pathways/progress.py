"""Progress: what a run says while it works, and the one calm line that shows it."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

_INTERVAL = 0.1  # seconds between redraws: ten a second look smooth and cost nothing
_PLAIN = 60.0  # seconds between lines of one search that goes to a file: a log shows life and stays short


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
    """

    task: str
    strategy: str
    tried: int
    total: int | None = None
    best: float | None = None
    message: str = ""
    busy: int | None = None
    workers: int = 1


Progress = Callable[[Event], None]


@dataclass
class _Search:
    """A search as it is shown: where it stands, since when, and what a log said of it last."""

    event: Event
    began: float
    drawn: float
    said: Event | None = None


class ProgressLine:
    """Draws events: on a terminal one line rewritten in place, elsewhere one line for each finished search.

    Elsewhere a search that takes long has a line each minute, and searches that go on side by side have one when
    they first make room for another and one at the end: however many results come at once, a log stays short.

    Args:
        stream: where to write, usually standard error.
        enabled: draws nothing when false.
        clock: seconds, for tests.

    Example:
        >>> import io
        >>> stream = io.StringIO()
        >>> with ProgressLine(stream) as line:
        ...     line(Event("omniglot/Greek", "munet", 3, 12, 0.91))
        >>> stream.getvalue().strip().startswith("omniglot/Greek  munet  3/12 tried  best 0.910")
        True
    """

    def __init__(self, stream: TextIO, enabled: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._enabled = enabled
        self._clock = clock
        self._terminal = enabled and stream.isatty()
        self._searches: dict[tuple[str, str], _Search] = {}
        self._last: _Search | None = None
        self._drawn = -math.inf
        self._shown = ""

    def __call__(self, event: Event) -> None:
        """Take an event; it is drawn now, later or, where newer ones overtake it, never."""
        if not self._enabled:
            return
        now, key = self._clock(), (event.task, event.strategy)
        if key not in self._searches:
            if self._last is not None:
                self._say(self._last, now)
            self._searches[key] = _Search(event, began=now, drawn=now)
            self._drawn = -math.inf
        search = self._last = self._searches[key]
        search.event = event
        if not self._terminal and now - search.drawn >= _PLAIN:
            self._say(search, now)
        if self._terminal and now - self._drawn >= _INTERVAL:
            self._draw(line_of(event, now - search.began))
            self._drawn = now

    def close(self) -> None:
        """Draw what is not drawn yet and leave the cursor at the start of a fresh line."""
        now = self._clock()
        for search in self._searches.values():
            self._say(search, now)
        self._searches.clear()
        self._last = None
        if self._terminal and self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _say(self, search: _Search, now: float) -> None:
        """Write a line of a log, unless it says what the last one of that search said."""
        if not self._terminal and search.said != search.event:
            self._stream.write(line_of(search.event, now - search.began) + "\n")
            self._stream.flush()
            search.said, search.drawn = search.event, now

    def _draw(self, line: str) -> None:
        if line != self._shown:
            self._stream.write(f"\r{_fit(line)}\x1b[K")
            self._stream.flush()
            self._shown = line


def line_of(event: Event, seconds: float) -> str:
    """One line of text for an event.

    >>> line_of(Event("wine", "munet", 4, None, 0.5, "frozen"), 61)
    'wine  munet  4 tried  best 0.500  1:01  frozen'
    >>> line_of(Event("wine", "munet", 4, busy=2, workers=8), 61)
    'wine  munet  4 tried  2/8 workers busy  1:01'
    """
    tried = f"{event.tried}/{event.total} tried" if event.total else f"{event.tried} tried"
    best = "" if event.best is None else f"best {event.best:.3f}"
    clock = f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    busy = "" if event.busy is None else f"{event.busy}/{event.workers} workers busy"
    return "  ".join(part for part in (event.task, event.strategy, tried, best, busy, clock, event.message) if part)


def _fit(line: str) -> str:
    """The line cut to the terminal's width, so that rewriting in place never wraps."""
    width = shutil.get_terminal_size().columns - 1
    return line if len(line) <= width else line[: width - 1] + "…"
