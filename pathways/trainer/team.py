"""Who computes which part of each batch when a candidate trains data-parallel: one process in turn, or several ranks.

A candidate with `workers: k` cuts each batch in k parts. The gradients of the parts, each weighted by its share of the
samples, are gathered and added in the order of the parts, so that the result has the same bits whoever computes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from .failures import FAILURES, words_of
from .team_link import Link, joined

TIMEOUT = 300.0
"""Seconds that a rank waits for the others, unless told otherwise: the first of them also measures meanwhile."""


def share_of(n: int, size: int, part: int) -> slice:
    """Which of n samples are part `part` of `size`: sizes as equal as can be, the larger ones first.

    >>> [share_of(7, 3, part) for part in range(3)]
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    least, more = divmod(n, size)
    start = part * least + min(part, more)
    return slice(start, start + least + (part < more))


@dataclass(frozen=True, eq=False)
class Team:
    """What a rank knows of those it trains with.

    Args:
        rank: its number, from 0; rank 0 measures, stores blobs and returns the results.
        size: how many parts a batch has.
        link: to the other ranks; `None` where this process computes all parts, one after another.

    Example:
        >>> Team.alone(2).leads
        True
    """

    rank: int
    size: int
    link: Link | None = None

    @classmethod
    def alone(cls, size: int) -> Team:
        """The team of one process that takes all parts in turn."""
        return cls(0, size)

    @classmethod
    @contextmanager
    def join(
        cls, rank: int, size: int, address: str, timeout: float = TIMEOUT, device: str = "cpu", backend: str = "",
    ) -> Iterator[Team]:
        """Meet the other ranks, one process each; they part when the context ends.

        Args:
            rank: of this process.
            size: how many ranks there are.
            address: `host:port` on which rank 0 listens, the same for all.
            timeout: seconds that any rank waits for the others, to meet and at each step.
            device: what it computes on.
            backend: of `torch.distributed`; by default `nccl` where the device is a GPU, which each rank must then have
                for itself, else `gloo`.

        Raises:
            TeamError: the others did not come in time, or one of them went.
        """
        with joined(rank, size, address, timeout, device, backend) as link:
            yield cls(rank, size, link)

    @property
    def leads(self) -> bool:
        """Whether this process measures, stores and returns results."""
        return self.rank == 0

    def begin(self) -> None:
        """Begin with a candidate."""
        if self.link is not None:
            self.link.begin()

    def meet(self, identity: bytes, layout: Sequence[Tensor]) -> None:
        """Make sure that all ranks train the same from the same weights.

        Args:
            identity: what must be equal on all.
            layout: tensors like those that every part will hand over.
        """
        if self.link is not None:
            self.link.meet(identity, layout)

    def parts(self, compute: Callable[[int], list[Tensor]]) -> Iterator[list[Tensor]]:
        """What every part gives, in the order of the parts, whoever computes it; each is read before the next is made.

        Args:
            compute: gives the tensors of a part, alike in number, shape and type for all.
        """
        if self.link is None:
            for part in range(self.size):
                yield compute(part)
            return
        try:
            mine = compute(self.rank)
        except FAILURES as error:
            self.link.exchange(None, words_of(error))  # raises what the first of those that failed says
            raise
        yield from self.link.exchange(mine)

    def told(self, decide: Callable[[], bool]) -> bool:
        """What rank 0 decides; the others do not compute it."""
        if self.link is None:
            return decide()
        if not self.leads:
            return self.link.decision()
        try:
            decided = decide()
        except FAILURES as error:
            self.link.exchange(None, words_of(error))
            raise
        return self.link.decision(decided)

    def end(self) -> None:
        """The last step is done: what fails from here on is rank 0's alone."""
        if self.link is not None:
            self.link.end()

    def failed(self, error: Exception) -> str:
        """What the candidate's failure is called: the others are told, and of several ranks' the first's counts."""
        return words_of(error) if self.link is None else self.link.failed(error, words_of(error))

    def cpu_seconds(self) -> float:
        """This rank's processor time on the candidate, for rank 0 to add; 0 where it is rank 0's own."""
        return 0.0 if self.link is None or self.leads else time.process_time() - self.link.began


__all__ = ["TIMEOUT", "Team", "share_of"]
