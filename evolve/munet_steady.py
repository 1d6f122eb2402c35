"""The search of muNet without rounds: a child whenever there is room, of the population as it is then."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pathways.candidate import Candidate, Result
from pathways.seeds import numpy_generator
from pathways.strategy import View

from .member import Member
from .munet_search import MuNetSearch
from .offspring import Child, make_child
from .parents import EXHAUSTIVE

if TYPE_CHECKING:
    from .munet import MuNet

Asked = tuple[Candidate, Child | None, int | None]
"""A candidate, the child that it is (`None` where the guard has asked), and the trial that drew its hyperparameters."""


class SteadyMuNetSearch(MuNetSearch):
    """One muNet search without rounds; see `MuNet.steady`.

        probes first, with the guard's candidates
        child i, of generations · children:  once a probe has succeeded, or all are told
            its draws derive from (run, tasks, "munet", i), its batches from i // children
        told:  a probe joins; a child joins where its score beats its parent's as it is known then

    Where a rule draws parents (`parents`), children wait until every probe is told, since it compares them all.
    """

    def __init__(self, settings: MuNet, view: View) -> None:
        super().__init__(settings, view)
        keys = None if self.lineages is None else len(self.lineages.keys)
        every = settings.parents == EXHAUSTIVE
        self.each = settings.children if keys is None else keys if every else min(settings.children, keys)
        self.made = 0  # children so far
        self._first: deque[Asked] | None = None
        self._probing = 0  # probes that are not told
        self._open: dict[str, deque[Asked]] = {}

    @property
    def ended(self) -> bool:
        """Whether all children are made."""
        return not self._waiting() and self.made >= self.generations * self.each

    def next(self) -> Candidate | None:
        """The next probe or child; `None` while children wait for probes, and at the end."""
        if first := self._waiting():
            asked = first.popleft()
        elif self.ended or not (self._all_probed or (self.lineages is None and self.population)):
            return None
        else:
            asked = self._child(self.made)
            self.made += 1
        self._open.setdefault(asked[0].hash, deque()).append(asked)
        return asked[0]

    def told(self, candidate: Candidate, result: Result) -> None:
        """Take the result of a probe, a child or what the guard has asked."""
        asked, child, trial = self._open[candidate.hash].popleft()
        self._take(asked, result, child, trial)
        self._cut()
        if child is not None and asked.order == 0:
            self._probing -= 1
            if self._all_probed:
                self._refer()

    def ask(self) -> list[Candidate]:
        """One candidate."""
        candidate = self.next()
        return [] if candidate is None else [candidate]

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """Take what `ask` has asked for."""
        for candidate, result in results:
            self.told(candidate, result)

    @property
    def _all_probed(self) -> bool:
        return self._first is not None and not self._probing

    def _waiting(self) -> deque[Asked]:
        """What is asked first and was not yet."""
        if self._first is None:
            self.generation = 0
            probes: list[Asked] = [(candidate, child, None) for candidate, child in self._probes()]
            self._probing = len(probes)
            self._first = deque([*probes, *((candidate, None, None) for candidate in self._scratch())])
        return self._first

    def _child(self, i: int) -> Asked:
        self.generation = 1 + i // self.each
        parent, rng, said = self._parent_of(i)
        trial, drawn = self._draw()
        child = make_child(parent, self.settings, self.seeds, self.view.families, rng, drawn)
        return self._candidate(child, said=said), child, trial

    def _parent_of(self, i: int) -> tuple[Member, np.random.Generator, Mapping[str, float]]:
        """The parent of child i, what the child is drawn with and, where a rule draws it, the parent's chance."""
        names = (self.view.run, "+".join(self.names), "munet", i)
        if self.lineages is None:
            rng = numpy_generator(*names)
            return self._parent(rng), rng, {}
        key, chance = self.lineages.turn(i, self.each, *names[:-1])
        return self._bred_from(key), numpy_generator(*names, key), {"chance": chance}


__all__ = ["SteadyMuNetSearch"]
