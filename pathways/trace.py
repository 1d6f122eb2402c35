"""Where the time of a run goes: spans of what was done, by whom, from when to when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

WAIT, TRANSFER, LOAD, TRAIN, EVALUATE, STORE = "wait", "transfer", "load", "train", "evaluate", "store"
"""What a span may be of: a dispatch waits for a worker, travels to it, has its weights and data loaded, trains, is
measured, and its blobs are stored. What is left between a worker's spans is idle."""
COMMIT = "commit"
"""What the driver does for a dispatch: the ledger's transaction."""
WORK = (LOAD, TRAIN, EVALUATE, STORE)
"""What a worker does itself, in the order in which it does it."""
DRIVER = "driver"
HERE = "here/0"
"""Who trains where there is one process only."""


@dataclass(frozen=True)
class Span:
    """Something that took time.

    Args:
        what: one of the words above.
        worker: who did it: `NODE/NUMBER`, or `driver`.
        began: when, in seconds since 1970 (UTC) by the driver's clock.
        seconds: how long it took.
        candidate: the hash of the candidate it was done for; empty where it was for a whole dispatch.

    Example:
        >>> Span("train", "here/0", began=0.0, seconds=1.5).ended
        1.5
    """

    what: str
    worker: str
    began: float
    seconds: float
    candidate: str = ""

    @property
    def ended(self) -> float:
        """When it was over."""
        return self.began + self.seconds


@dataclass(frozen=True)
class Journey:
    """The times of a dispatch's way to a worker and back: three by the driver's clock, two by the worker's.

    All in seconds since 1970 (UTC).

    Args:
        submitted: when it was queued; driver.
        sent: when it left for the worker; driver.
        received: when it was there; worker.
        answered: when its answer left; worker.
        returned: when that was back; driver.

    Example: the worker's clock is 10 s fast, each way takes 1 s, the work 3 s.

        >>> journey = Journey(submitted=0.0, sent=2.0, received=13.0, answered=16.0, returned=7.0)
        >>> journey.offset
        -10.0
        >>> [(span.what, span.began, span.seconds) for span in journey.spans("n1/0", [Span("train", "", 13.0, 3.0)])]
        [('wait', 0.0, 2.0), ('transfer', 2.0, 1.0), ('train', 3.0, 3.0), ('transfer', 6.0, 1.0)]
    """

    submitted: float
    sent: float
    received: float
    answered: float
    returned: float

    @property
    def offset(self) -> float:
        """What must be added to the worker's clock to get the driver's: NTP's estimate from four times.

        It is wrong by half of what the way there takes more than the way back, at most by half of both together.

        Reference: Mills et al. 2010, "Network Time Protocol Version 4", RFC 5905, section 8.
        """
        return ((self.sent - self.received) + (self.returned - self.answered)) / 2

    def spans(self, worker: str, own: Iterable[Span], offset: float | None = None) -> tuple[Span, ...]:
        """All spans of the dispatch by the driver's clock: it waited, travelled, was worked on, and its answer came.

        What the worker did before the dispatch was sent, such as its start, it did not do for it.

        Args:
            worker: who did it.
            own: the trainer's spans, by the worker's clock.
            offset: of the clocks; 0 on one machine, where there is nothing to estimate; as estimated when not given.
        """
        found = self.offset if offset is None else offset
        there, left = max(self.sent, self.received + found), self.answered + found
        return (
            Span(WAIT, worker, self.submitted, max(0.0, self.sent - self.submitted)),
            Span(TRANSFER, worker, self.sent, there - self.sent),
            *(_from(span, self.sent) for span in shifted(own, found, worker)),
            Span(TRANSFER, worker, left, max(0.0, self.returned - left)),
        )


def _from(span: Span, began: float) -> Span:
    """What of a span is not before that moment."""
    late = max(0.0, began - span.began)
    return replace(span, began=span.began + late, seconds=max(0.0, span.seconds - late))


def shifted(spans: Iterable[Span], seconds: float, worker: str = "") -> tuple[Span, ...]:
    """The spans so much later, done by `worker` where that is given.

    >>> shifted([Span("train", "", 1.0, 2.0)], 0.5, "n1/0")
    (Span(what='train', worker='n1/0', began=1.5, seconds=2.0, candidate=''),)
    """
    return tuple(replace(span, began=span.began + seconds, worker=worker or span.worker) for span in spans)
