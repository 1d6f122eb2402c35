"""The live view: what a run does now, on a terminal; in a log or in CI, plain lines."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress import Event, Progress, ProgressLog, clock_text, end_text

_SHOWN = 6  # searches side by side that are drawn: more are counted
_REDRAWS = 4  # a second, so that clocks go on while candidates train


@contextmanager
def shown(stream: TextIO, *, quiet: bool = False, name: str = "", searches: int | None = None) -> Iterator[Progress]:
    r"""What is to be called with the events of a run: a live view on a terminal, else plain lines, or nothing.

    A terminal that cannot move its cursor (`TERM=dumb`) and CI (the variable `CI`) have plain lines, too.

    Args:
        stream: where to write, usually standard error.
        quiet: writes nothing.
        name: of the run.
        searches: how many there will be, tasks and controls, where that is known.

    Example:
        >>> import io
        >>> from pathways.progress import End
        >>> stream = io.StringIO()
        >>> with shown(stream) as progress:
        ...     progress(Event("wine", "munet", 3, best=0.9))
        ...     progress(Event("wine", "munet", 0, end=End(0.917, "accuracy", 1200)))
        >>> stream.getvalue()
        'wine  munet  3 tried  best 0.900  0:00  test 91.7, 1.2k new parameters\n'
    """
    if not quiet and stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb":
        with LiveView(Console(file=stream), name, searches) as view:
            yield view
    else:
        with ProgressLog(stream, enabled=not quiet) as log:
            yield log


class LiveView:
    """A view that is redrawn in place: what each search has reached, and how far the run is.

    What a search came to stays above it as a line, so that a terminal keeps the record of a run.

    Args:
        console: of the terminal.
        name: of the run.
        searches: how many there will be, where that is known.
        clock: seconds, for tests.
    """

    def __init__(
        self, console: Console, name: str = "", searches: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._name, self._total, self._clock = console, name, searches, clock
        self._searches: dict[tuple[str, str], tuple[Event, float]] = {}  # where each stands, and since when
        self._ended = 0
        self._began = clock()
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=_REDRAWS, transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip

    def __call__(self, event: Event) -> None:
        """Take an event; it is drawn with the next redraw, an end at once."""
        key, now = (event.task, event.strategy), self._clock()
        before, began = self._searches.pop(key, (event, now))
        if event.end is None:
            self._searches[key] = (event, began)  # the newest last
            return
        self._ended += 1
        tried = f"{before.tried} tried, " if before.tried else ""
        line = Text.from_markup(f"[green]✓[/] [bold]{escape(event.task)}[/] [dim]{escape(event.strategy)}[/]  ")
        line.append(f"{tried}{clock_text(now - began)}  " if before.tried else "", style="dim")
        line.append(end_text(event.end))
        self._live.console.print(line, highlight=False, soft_wrap=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def render(self) -> RenderableType:
        """What is drawn now: a line for the run, one for each of the searches that go on."""
        now = self._clock()
        going = [(event, now - began) for event, began in list(self._searches.values())]
        rows = Table.grid(padding=(0, 2))
        for event, seconds in going[-_SHOWN:]:
            rows.add_row(
                Text(event.task, style="bold"), Text(event.strategy, style="dim"), _tried(event),
                "" if event.best is None else f"best {event.best:.3f}",
                Text(f"{event.failed} failed" if event.failed else "", style="yellow"),
                "" if event.busy is None else f"{event.busy}/{event.workers} workers busy",
                Text(clock_text(seconds), style="dim"),
            )  # fmt: skip
        hidden = len(going) - _SHOWN
        more = [Text(f"and {hidden} more searches", style="dim")] if hidden > 0 else []
        return Group(self._head(now), rows, *more)

    def _head(self, now: float) -> RenderableType:
        seconds = now - self._began
        words = [f"{self._ended} of {self._total} searches" if self._total else f"{self._ended} searches ended"]
        words.append(clock_text(seconds))
        if self._total and 2 <= self._ended < self._total:
            left = seconds / self._ended * (self._total - self._ended)
            words.append(f"about {clock_text(left)} left")
        head = Table.grid(padding=(0, 2))
        cells: list[RenderableType] = [Text(self._name, style="bold cyan")] if self._name else []
        if self._total:
            done = min(self._ended, self._total)
            cells.append(ProgressBar(self._total, done, width=24, complete_style="cyan", finished_style="cyan"))
        head.add_row(*cells, Text("  ".join(words)))
        return head


def _tried(event: Event) -> str:
    return f"{event.tried}/{event.total} tried" if event.total else f"{event.tried} tried"


__all__ = ["LiveView", "shown"]
