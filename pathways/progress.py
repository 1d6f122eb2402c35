"""Progress: what a run says while it works, and the one calm line that shows it."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

_INTERVAL = 0.1  # seconds between redraws: ten a second look smooth and cost nothing


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
    """

    task: str
    strategy: str
    tried: int
    total: int | None = None
    best: float | None = None
    message: str = ""


Progress = Callable[[Event], None]


class ProgressLine:
    """Draws events: on a terminal one line rewritten in place, elsewhere one line for each finished search.

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
        self._last: Event | None = None
        self._began = self._drawn = clock()
        self._shown = ""

    def __call__(self, event: Event) -> None:
        """Take an event; it is drawn now, later or, where newer ones overtake it, never."""
        if not self._enabled:
            return
        now = self._clock()
        if self._last is None or (event.task, event.strategy) != (self._last.task, self._last.strategy):
            self._finish_search(now)
            self._began = now
            self._drawn = -math.inf
        self._last = event
        if self._terminal and now - self._drawn >= _INTERVAL:
            self._draw(line_of(event, now - self._began))
            self._drawn = now

    def close(self) -> None:
        """Draw what is not drawn yet and leave the cursor at the start of a fresh line."""
        self._finish_search(self._clock())
        self._last = None
        if self._terminal and self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _finish_search(self, now: float) -> None:
        if self._enabled and not self._terminal and self._last is not None:
            self._stream.write(line_of(self._last, now - self._began) + "\n")
            self._stream.flush()

    def _draw(self, line: str) -> None:
        if line != self._shown:
            self._stream.write(f"\r{_fit(line)}\x1b[K")
            self._stream.flush()
            self._shown = line


def line_of(event: Event, seconds: float) -> str:
    """One line of text for an event.

    >>> line_of(Event("wine", "munet", 4, None, 0.5, "frozen"), 61)
    'wine  munet  4 tried  best 0.500  1:01  frozen'
    """
    tried = f"{event.tried}/{event.total} tried" if event.total else f"{event.tried} tried"
    best = "" if event.best is None else f"best {event.best:.3f}"
    clock = f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    return "  ".join(part for part in (event.task, event.strategy, tried, best, clock, event.message) if part)


def _fit(line: str) -> str:
    """The line cut to the terminal's width, so that rewriting in place never wraps."""
    width = shutil.get_terminal_size().columns - 1
    return line if len(line) <= width else line[: width - 1] + "…"
