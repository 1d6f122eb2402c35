"""Champions as a mapping that reads a path only when it is looked at, and knows all of them in short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pathways.modules import Families

from .brief import Sketch, sketch_of
from .strategy import Champion


class Champions(Mapping[str, Champion]):
    """The champions of tasks by name, in the order learned.

    Args:
        sketches: what is known of each one's path.
        load: gives a champion by its task's name.
        users: the tasks whose champions use a blob, in the order learned.
    """

    def __init__(
        self, sketches: Mapping[str, Sketch], load: Callable[[str], Champion], users: Callable[[str], Sequence[str]]
    ) -> None:
        self.sketches, self._load, self._users = sketches, load, users

    @classmethod
    def of(cls, champions: Mapping[str, Champion], families: Families) -> Champions:
        """Any mapping of champions so."""
        if isinstance(champions, Champions):
            return champions
        sketches = {task: sketch_of(champion.path, families) for task, champion in champions.items()}
        users: dict[str, list[str]] = {}
        for task, sketch in sketches.items():
            for blob in sketch.sizes:
                users.setdefault(blob, []).append(task)
        return cls(sketches, champions.__getitem__, lambda blob: users.get(blob, []))

    @property
    def users(self) -> Users:
        """For each blob, the tasks whose champions use it; a blob that none uses is not in it."""
        return Users(self)

    def using(self, blob: str) -> list[str]:
        """The tasks whose champions use a blob, in the order learned."""
        return [task for task in self._users(blob) if task in self.sketches]

    def but(self, tasks: frozenset[str]) -> Champions:
        """These champions without those of `tasks`."""
        left = {task: sketch for task, sketch in self.sketches.items() if task not in tasks}
        return Champions(left, self._load, self._users)

    def __getitem__(self, task: str) -> Champion:
        if task not in self.sketches:
            raise KeyError(task)
        return self._load(task)

    def __iter__(self) -> Iterator[str]:
        return iter(self.sketches)

    def __len__(self) -> int:
        return len(self.sketches)

    def __contains__(self, task: object) -> bool:
        return task in self.sketches

    def __repr__(self) -> str:
        return f"Champions({list(self)})"


class Users(Mapping[str, "frozenset[str]"]):
    """The tasks that use each blob, looked up when asked for."""

    def __init__(self, champions: Champions) -> None:
        self._champions = champions

    def __getitem__(self, blob: str) -> frozenset[str]:
        if found := self._champions.using(blob):
            return frozenset(found)
        raise KeyError(blob)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(blob for sketch in self._champions.sketches.values() for blob in sketch.sizes))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, blob: Any) -> bool:
        return bool(self._champions.using(blob))
