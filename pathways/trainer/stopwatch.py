"""A stopwatch: what a trainer's time goes into, candidate by candidate."""

from __future__ import annotations

import time
from collections.abc import Callable

from pathways.trace import LOAD, TRAIN, WORK, Span


class Stopwatch:
    """Always counts for one kind of work, and makes spans of what it has counted when a candidate is done.

    Work goes to and fro: a candidate is measured in the middle of its training, too. Its pieces of one kind are put
    together, so that a candidate has at most one span of each kind and however often it is measured costs no more:
    lengths are exact, and spans of one candidate stand one behind the other in the order of `pathways.trace.WORK`.

    Args:
        clock: seconds that never go back, for durations.
        wall: seconds since 1970, for where a candidate's spans begin.
        settle: called where training ends or pauses; on a GPU it waits for what was launched, which is
            counted as what it is and not for what happens to wait for it.

    Example:
        >>> ticks = iter([0.0, 1.0, 4.0, 4.5, 6.5, 7.0])
        >>> watch = Stopwatch(clock=lambda: next(ticks), wall=lambda: 100.0)
        >>> watch.begin("a candidate")
        >>> watch.to("train"); watch.to("evaluate"); watch.to("train"); watch.to("evaluate")
        'load'
        'train'
        'evaluate'
        'train'
        >>> watch.end()
        >>> [(span.what, span.began, span.seconds) for span in watch.spans]
        [('load', 100.0, 1.0), ('train', 101.0, 5.0), ('evaluate', 106.0, 1.0)]
    """

    def __init__(
        self, clock: Callable[[], float] = time.perf_counter, wall: Callable[[], float] = time.time,
        settle: Callable[[], object] | None = None,
    ) -> None:
        self.spans: list[Span] = []
        self._clock, self._wall, self._settle = clock, wall, settle
        self._candidate = ""
        self._counted = dict.fromkeys(WORK, 0.0)
        self._now = LOAD
        self._began = self._since = 0.0

    def begin(self, candidate: str = "") -> None:
        """A candidate's work begins, by loading; `candidate` is its hash, or nothing for a whole stack."""
        self._candidate, self._now = candidate, LOAD
        self._counted = dict.fromkeys(WORK, 0.0)
        self._began, self._since = self._wall(), self._clock()

    def to(self, what: str) -> str:
        """Count for another kind of work from now on; returns what was counted for until now."""
        if self._settle is not None and self._now == TRAIN:
            self._settle()
        now, before = self._clock(), self._now
        self._counted[before] += now - self._since
        self._since, self._now = now, what
        return before

    def end(self) -> None:
        """The candidate's work is done: what was counted becomes spans."""
        self.to(LOAD)
        began = self._began
        for what, seconds in self._counted.items():
            if seconds > 0:
                self.spans.append(Span(what, "", began, seconds, self._candidate))
                began += seconds


__all__ = ["Stopwatch"]
