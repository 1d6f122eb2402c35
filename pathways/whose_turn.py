"""Whose turn it is to be asked: of many searches side by side, only those of which something has changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .candidate import Candidate
from .paces import Pace


class Turns:
    """Searches side by side, by their place, and which of them may have something to ask.

    With a thousand of them, asking each whenever one is told something would take longer than what is told.

    Args:
        paces: of the searches.
    """

    def __init__(self, paces: Sequence[Pace]) -> None:
        self._paces = paces
        self._open = {place for place, pace in enumerate(paces) if not pace.ended}
        self._due = set(range(len(paces)))
        self._rounds = [0] * len(paces)
        self._renewed = True

    def told(self, place: int) -> None:
        """A search was told something."""
        self._due.add(place)

    def ask(self, room: Callable[[int], int]) -> list[tuple[int, list[Candidate]]]:
        """What searches ask for now, in their order; `room` says how much each may have under way of so many."""
        self._close(self._due)
        running, asked = len(self._open), []
        due, self._due = sorted(self._due), set()
        for place in due:
            pace = self._paces[place]
            if candidates := pace.ask(room(running)):
                asked.append((place, candidates))
                self._due.add(place)  # it may have more, of what was under way when a driver died
            if pace.rounds != self._rounds[place]:
                self._rounds[place], self._renewed = pace.rounds, True
        self._close(due)
        return asked

    def renewed(self) -> bool:
        """Whether a search has begun another round since the last call."""
        found, self._renewed = self._renewed, False
        return found

    def _close(self, places: Sequence[int] | set[int]) -> None:
        """Leave out the searches that have ended; then there is more room for all others."""
        ended = {place for place in places if place in self._open and self._paces[place].ended}
        if ended:
            self._open -= ended
            self._due |= self._open


__all__ = ["Turns"]
