"""What the driver's time goes into: timers around the methods of the scheduler, the lending, the ledger, the pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from threading import get_ident
from typing import Any

from pathways.evolve.lending import Lending
from pathways.evolve.munet_search import MuNetSearch
from pathways.evolve.munet_steady import SteadyMuNetSearch
from pathways.evolve.ray import Ray
from pathways.evolve.scheduler import Scheduler
from pathways.ledger import Ledger
from pathways.pool import Pool

PHASES: Mapping[str, Sequence[tuple[type, str]]] = {
    "search": [(MuNetSearch, "ask"), (MuNetSearch, "tell"), (SteadyMuNetSearch, "next"), (SteadyMuNetSearch, "told")],
    "ledger, read": [(Ledger, "known")],
    "ledger, write": [(Ledger, "commit_all"), (Ledger, "reuse"), (Ledger, "renew")],
    "scheduler": [(Scheduler, name) for name in ("submit", "assign", "done", "busy", "overdue", "next_deadline")],
    "lending": [(Lending, "parcel"), (Lending, "made")],
    "pool": [(Pool, "write")],
    "engine": [(Ray, "submit"), (Ray, "next"), (Ray, "busy")],
}
"""By name, the methods whose own time it is; what they call of another phase is that one's."""


class Phases:
    """Seconds by phase, of this thread; only the innermost of those under way counts.

    Args:
        clock: of the driver's work.

    Attributes:
        seconds: by phase.
        calls: how often each was entered.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.calls = dict.fromkeys(PHASES, 0)
        self._inner = 0.0
        self._thread = get_ident()

    def timed(self, phase: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """The method, whose own time is added to a phase."""

        @wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if get_ident() != self._thread:  # one that renews leases, say
                return method(*args, **kwargs)
            outer, self._inner = self._inner, 0.0
            begun = self.clock()
            try:
                return method(*args, **kwargs)
            finally:
                took = self.clock() - begun
                self.seconds[phase] += took - self._inner
                self.calls[phase] += 1
                self._inner = outer + took

        return timed


@contextmanager
def phases(clock: Callable[[], float]) -> Iterator[Phases]:
    """Time the methods of `PHASES` within a block."""
    found = Phases(clock)
    before = [(owner, name, owner.__dict__.get(name)) for methods in PHASES.values() for owner, name in methods]
    for phase, methods in PHASES.items():
        for owner, name in methods:
            setattr(owner, name, found.timed(phase, getattr(owner, name)))
    try:
        yield found
    finally:
        for owner, name, method in before:
            if method is None:
                delattr(owner, name)
            else:
                setattr(owner, name, method)


__all__ = ["PHASES", "Phases", "phases"]
