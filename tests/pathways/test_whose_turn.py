"""Of many searches only those are asked of which something has changed; none is forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pathways.whose_turn import Turns


@dataclass
class Some:
    """A pace with so much to ask, some of it at a time."""

    left: int
    each: int = 1
    ended: bool = False
    asks: int = 0
    rounds: int = 0
    rooms: list[int] = field(default_factory=list)

    def ask(self, room: int) -> list[Any]:
        self.asks += 1
        self.rooms.append(room)
        given = min(self.each, self.left)
        self.left -= given
        self.rounds += given > 0
        return ["candidate"] * given

    def notes(self, hashes: Iterable[str]) -> tuple[Any, ...]:
        return ()

    def take(self, result: Any) -> bool:
        return True


def room(running: int) -> int:
    return 12 // max(1, running)


def test_all_are_asked_at_first_then_those_that_gave_or_were_told_something() -> None:
    paces = [Some(1), Some(0), Some(2)]
    turns = Turns(paces)
    assert [place for place, _ in turns.ask(room)] == [0, 2]
    assert [place for place, _ in turns.ask(room)] == [2]
    assert [pace.asks for pace in paces] == [2, 1, 2], "one that gave nothing is not asked again"
    turns.ask(room)
    turns.told(1)
    paces[1].left = 1
    assert [place for place, _ in turns.ask(room)] == [1]
    assert [pace.asks for pace in paces] == [2, 2, 3]


def test_one_that_ends_leaves_its_room_to_all_others() -> None:
    paces = [Some(0), Some(0), Some(0)]
    turns = Turns(paces)
    turns.ask(room)
    paces[0].ended = True
    turns.told(0)
    turns.ask(room)
    assert [pace.rooms for pace in paces] == [[4, 6], [4, 6], [4, 6]]


def test_it_is_said_once_when_a_round_begins() -> None:
    turns = Turns([Some(1)])
    turns.ask(room)
    assert turns.renewed()
    assert not turns.renewed()
