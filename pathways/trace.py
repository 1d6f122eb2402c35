"""Where the time of a run goes: spans of what was done, by whom, from when to when."""

from __future__ import annotations

from dataclasses import dataclass

WAIT, TRANSFER, LOAD, TRAIN, EVALUATE, STORE = "wait", "transfer", "load", "train", "evaluate", "store"
"""What a span may be of: a dispatch waits for a worker, travels to it, has its weights and data loaded, trains, is
measured, and its blobs are stored. What is left between a worker's spans is idle."""


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
