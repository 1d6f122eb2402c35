"""How a search is worked off: in rounds, each told as a whole, or steadily, one candidate as soon as there is room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from .candidate import Candidate, Result
from .errors import LedgerError
from .ledger_log import Line
from .strategy import Search, SteadySearch

IN_FLIGHT = 2
"""Candidates under way for each worker of a steady search: one is trained, the next waits, so that no worker does."""


class Pace(Protocol):
    """What is under way of one search."""

    @property
    def ended(self) -> bool:
        """Whether nothing is under way, nor will be."""
        ...

    @property
    def rounds(self) -> int:
        """Grows with what was asked, as often as a lease should be renewed."""
        ...

    def ask(self, room: int) -> list[Candidate]:
        """What to try now beside what is under way; nothing where results must come first, or it has ended.

        Of searches without rounds `room` candidates may be under way.
        """
        ...

    def notes(self, hashes: Iterable[str]) -> tuple[Line, ...]:
        """What the log must hold before the results of these candidates are taken."""
        ...

    def take(self, result: Result) -> bool:
        """Take a result; whether it was waited for."""
        ...


class Rounds:
    """A search that is told all results of a round at once: it does not see who was fast.

    Args:
        search: what asks and is told.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self._ended, self._rounds = False, 0
        self._asked: list[Candidate] = []
        self._results: dict[str, Result] = {}

    @property
    def ended(self) -> bool:
        """Whether a round was empty."""
        return self._ended

    @property
    def rounds(self) -> int:
        """How many rounds were asked for."""
        return self._rounds

    def ask(self, room: int) -> list[Candidate]:
        """The next round, where the last is told."""
        if self._asked or self._ended:
            return []
        self._asked = list(self.search.ask())
        self._ended = not self._asked
        self._rounds += 1
        return self._asked

    def notes(self, hashes: Iterable[str]) -> tuple[Line, ...]:
        """Nothing: the round's number is in each candidate's hash, and its order tells the rest."""
        return ()

    def take(self, result: Result) -> bool:
        """Tell the round where this is its last result."""
        missing = {candidate.hash for candidate in self._asked} - self._results.keys()
        if result.candidate not in missing:
            return False
        self._results[result.candidate] = result
        if len(missing) == 1:
            told = [(candidate, self._results[candidate.hash]) for candidate in self._asked]
            self._asked, self._results = [], {}
            self.search.tell(told)
        return True


class Steady:
    """A search that is asked whenever there is room and told each result as it comes, in an order that is logged.

    Lines are kept by whoever records results, in the same transaction: what was asked since then is not in the log
    when the driver dies, and is asked again, equally, since it follows from what is there.

    Args:
        search: what asks and is told.
        name: under which its log is kept.
    """

    def __init__(self, search: SteadySearch, name: str) -> None:
        self.search, self.name = search, name
        self._waiting: dict[str, deque[Candidate]] = {}
        self._under_way = self._asks = self._place = 0
        self._together = -1
        self._lines: list[Line] = []
        self._again: list[list[Candidate]] = []  # asked together before the driver died

    @property
    def ended(self) -> bool:
        """Whether nothing is under way, nor will be."""
        return self.search.ended and not self._under_way

    @property
    def rounds(self) -> int:
        """How many candidates were asked for, in dozens."""
        return self._asks // 12

    def ask(self, room: int) -> list[Candidate]:
        """As many as there is room for; first what was under way when the driver died."""
        if self._again:
            return self._again.pop(0)
        asked: list[Candidate] = []
        while self._under_way < room and (candidate := self.search.next()) is not None:
            self._together += not asked
            self._await(candidate)
            self._note(candidate.hash, told=False)
            asked.append(candidate)
        return asked

    def notes(self, hashes: Iterable[str]) -> tuple[Line, ...]:
        """All that was asked since the last call, and that these candidates are now told."""
        for key in hashes:
            for _ in self._waiting.get(key, ()):
                self._note(key, told=True)
        lines, self._lines = tuple(self._lines), []
        return lines

    def take(self, result: Result) -> bool:
        """Tell the result to all who wait for it: equal candidates may be asked more than once."""
        waiting = self._waiting.pop(result.candidate, ())
        for candidate in waiting:
            self._under_way -= 1
            self.search.told(candidate, result)
        return bool(waiting)

    def replay(self, lines: Sequence[Line], known: Callable[[Candidate, Sequence[Candidate]], Result]) -> None:
        """Go through a log: the search asks as it did and is told what it was.

        Args:
            lines: of the log.
            known: the result of a candidate that was told, and which others were asked together with it.

        Raises:
            LedgerError: the search asks for something else than its log says.
        """
        rounds: dict[int, list[Candidate]] = {}
        at: dict[str, int] = {}
        for line in lines:
            if line.told and self._waiting.get(line.hash):
                candidate = self._waiting[line.hash].popleft()
                self._under_way -= 1
                self.search.told(candidate, known(candidate, rounds[at[line.hash]]))
                continue
            asked = None if line.told else self.search.next()
            if asked is None or asked.hash != line.hash:
                found = "nothing" if asked is None else f"candidate {asked.hash[:12]}"
                raise LedgerError(
                    f"a search without rounds must ask again for what its log says, candidate {line.hash[:12]} in line "
                    f"{line.place}, found {found}: go on with the release that began it, or begin a new run."
                )
            self._await(asked)
            rounds.setdefault(line.together, []).append(asked)
            at.setdefault(line.hash, line.together)
            self._together, self._asks = line.together, self._asks + 1
        self._place = len(lines)
        self._waiting = {key: waiting for key, waiting in self._waiting.items() if waiting}
        self._again = [rounds[number] for number in sorted({at[key] for key in self._waiting})]

    def _await(self, candidate: Candidate) -> None:
        self._waiting.setdefault(candidate.hash, deque()).append(candidate)
        self._under_way += 1

    def _note(self, key: str, told: bool) -> None:
        self._asks += not told
        self._lines.append(Line(self.name, self._place, key, told, self._together))
        self._place += 1


__all__ = ["IN_FLIGHT", "Pace", "Rounds", "Steady"]
