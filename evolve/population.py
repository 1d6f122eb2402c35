"""Who of a muNet population is asked for children and who stays: visits by falling score, decayed by offspring."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from .member import Member

BEST, DECAY = "best", "decay"
SURVIVORS = (BEST, DECAY)
OWN, ALL = "own", "all"
VISITS = (OWN, ALL)


def rank(member: Member) -> float:
    """Its score; one without comes last."""
    return float("-inf") if member.score is None else member.score


def by_score(population: Sequence[Member]) -> list[Member]:
    """The members, the best first; of equal ones the one that was found first."""
    return sorted(population, key=rank, reverse=True)


def accepts(member: Member, offspring: Mapping[str, int], rng: np.random.Generator) -> bool:
    """Whether a visited path is taken: with probability 0.5 ** its children so far."""
    return bool(rng.random() < 0.5 ** offspring.get(member.key, 0))


class Turns:
    """The order in which seeds are visited after a task's own paths: shuffled once, whoever was visited goes last.

    Args:
        places: of the seeds that may be parents.
        rng: shuffles them.
    """

    def __init__(self, places: Sequence[int], rng: np.random.Generator) -> None:
        self._places = deque(int(place) for place in rng.permutation(np.asarray(places, dtype=np.int64)))

    def visit(
        self, seeds: Sequence[Member], offspring: Mapping[str, int], rng: np.random.Generator
    ) -> Member | None:
        """The first that is accepted; `None` where none is."""
        for _ in range(len(self._places)):
            seed = seeds[self._places[0]]
            self._places.rotate(-1)
            if accepts(seed, offspring, rng):
                return seed
        return None


def survivors(
    population: Sequence[Member], most: int, rule: str, offspring: Mapping[str, int], rng: np.random.Generator
) -> list[Member]:
    """The members that stay where there is room for `most`, in their order; the best always does.

    Args:
        population: all members.
        most: how many stay.
        rule: `best` keeps the highest scores; `decay` draws one after another as parents are drawn: by falling score,
            accepted with probability 0.5 ** its children, else any of those that are left.
        offspring: children so far, by key.
        rng: where the draws come from.
    """
    if len(population) <= most:
        return list(population)
    ranked = by_score(population)
    kept, left = ranked[:1], ranked[1:]
    while len(kept) < most:
        drawn = int(rng.integers(len(left))) if rule == DECAY else 0
        first = next((i for i, member in enumerate(left) if rule == BEST or accepts(member, offspring, rng)), drawn)
        kept.append(left.pop(first))
    keys = {member.key for member in kept}
    return [member for member in population if member.key in keys]


__all__ = ["ALL", "BEST", "DECAY", "OWN", "SURVIVORS", "VISITS", "Turns", "accepts", "by_score", "rank", "survivors"]
