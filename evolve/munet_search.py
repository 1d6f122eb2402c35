"""The search of muNet: probes, then generations of children, of which those live that beat their parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from pathways.candidate import Candidate, Result, Training
from pathways.modules import Draft, Frozen, ModuleRef, Warm
from pathways.path import Path
from pathways.seeds import numpy_generator
from pathways.strategy import View, Winner

from .member import Member, inherited, seeds_of
from .offspring import Child, make_child
from .outline import layers
from .paths import with_head, without_head
from .score import Score, accounted, users_of

if TYPE_CHECKING:
    from .munet import MuNet


class MuNetSearch:
    """One muNet search; see `MuNet`. `seeds`, `population` and `offspring` may be looked at while it runs."""

    def __init__(self, settings: MuNet, view: View) -> None:
        self.settings, self.view, self.task = settings, view, view.task
        self.score = _score(settings, view)
        self.users = users_of(view.champions.values())
        self.seeds = seeds_of(settings, view)
        self.population: list[Member] = []
        self.offspring: dict[str, int] = {}
        self.generation = -1
        self._number = 0
        self._asked: list[tuple[Candidate, Child]] = []
        self._tried: dict[str, tuple[Candidate, Result]] = {}

    def ask(self) -> list[Candidate]:
        """The probes first, then a generation of children at a time."""
        self.generation += 1
        self._asked = []
        if self.generation == 0:
            self._asked = self._probes()
        elif self.generation <= self.settings.generations:
            rng = numpy_generator(self.view.run, self.task.name, "munet", self.generation)
            for _ in range(self.settings.children):
                child = make_child(self._parent(rng), self.settings, self.seeds, self.view.families, rng)
                self._asked.append((self._candidate(child), child))
        return [candidate for candidate, _ in self._asked]

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """A child joins the population only if its score beats its parent's; a probe joins and scores its seed."""
        for (candidate, result), (_, child) in zip(results, self._asked, strict=True):
            if not result.ok:
                continue
            path = candidate.trained_paths(result)[self.task.name]
            charged = accounted(path, self.task.name, self.users, self.view.families)
            score = self.score(result.quality, charged, result.flops)
            if self.generation == 0:
                self.seeds = [replace(s, score=score) if s.trunk.hash == child.trunk.hash else s for s in self.seeds]
            elif child.parent.score is not None and score <= child.parent.score:
                continue
            self._join(candidate, result, child, path, score)

    def best(self) -> Winner | None:
        """The member of the highest score; of equal ones the one that was found first."""
        if not self.population:
            return None
        member = max(self.population, key=_rank)
        candidate, result = self._tried[member.key]
        extra = inherited(member, self.settings)
        return Winner(candidate.trained_paths(result), candidate, result, member.parents, extra)

    def _join(self, candidate: Candidate, result: Result, child: Child, path: Path, score: float) -> None:
        if candidate.hash in self._tried:  # a sibling is the same
            return
        self._tried[candidate.hash] = (candidate, result)
        head = cast(Frozen, path.steps[path.output].modules[0])  # all of the path is trained
        sizes = path.costs(self.view.families).sizes
        own = frozenset(blob for blob in result.blobs.values() if sizes.get(blob)) - {head.id}
        self.population.append(
            replace(child.member, key=candidate.hash, trunk=without_head(path), head=head, own=own, score=score)
        )

    def _probes(self) -> list[tuple[Candidate, Child]]:
        """Each seed as it is, with a new head; seeds of one trunk are probed once."""
        probes: dict[str, tuple[Candidate, Child]] = {}
        for seed in self.seeds:
            training = replace(seed.training, **self.settings.probe_training)
            child = Child(seed, seed, seed.trunk, ("probe",))
            if seed.trunk.hash not in probes and len(probes) != self.settings.probes:
                probes[seed.trunk.hash] = (self._candidate(child, training), child)
        return list(probes.values())

    def _parent(self, rng: np.random.Generator) -> Member:
        """By falling score, each accepted with probability 0.5 ** its children so far; else any member or seed."""
        everyone = [*self.population, *self.seeds]
        chosen = everyone[int(rng.integers(len(everyone)))]
        for member in sorted(self.population, key=_rank, reverse=True):
            if rng.random() < 0.5 ** self.offspring.get(member.key, 0):
                chosen = member
                break
        self.offspring[chosen.key] = self.offspring.get(chosen.key, 0) + 1
        return chosen

    def _candidate(self, child: Child, training: Training | None = None) -> Candidate:
        parent, member = child.parent, child.member
        path = with_head(child.trunk, self.task.target, families=self.view.families)
        if parent.head is not None and self._outline(parent.trunk) == self._outline(child.trunk):
            path = _with_warm_head(path, parent.head)
        labels = {
            "strategy": self.settings.name, "number": self._number, "generation": self.generation,
            "parent": parent.key, "parents": list(member.parents), "mutations": list(child.mutations),
            "rates": dict(member.rates),
        }
        self._number += 1
        return Candidate(
            {self.task.name: path}, training or member.training, {self.task.name: self.task.fingerprint},
            self.view.run, self.generation, labels=labels,
        )

    def _outline(self, trunk: Path) -> tuple[list[str], object]:
        """What must be equal for a head to go on behind another trunk: nothing but adapters may differ."""
        return layers(trunk, self.view.families), trunk.ports(self.view.families)[trunk.output]


def _rank(member: Member) -> float:
    return float("-inf") if member.score is None else member.score


def _with_warm_head(path: Path, head: Frozen) -> Path:
    def warm(ref: ModuleRef) -> ModuleRef:
        return replace(ref, start=Warm(head.id)) if isinstance(ref, Draft) and ref.name == "head" else ref

    return path.map_refs(warm)


def _score(settings: MuNet, view: View) -> Score:
    """The score in units of the root, or, where there is none, of the largest champion."""
    paths = [champion.path for champion in view.champions.values()] if view.root is None else [view.root]
    costs = [path.costs(view.families) for path in paths]
    parameters, flops = max(((c.parameters, c.flops) for c in costs), default=(1, 1))
    return Score(settings.size, settings.compute, max(1, parameters), max(1, flops))
