"""The search of muNet: probes, then generations of children, of which those live that beat their parents."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pathways.candidate import Candidate, Result, Training
from pathways.champions import Champions
from pathways.modules import Frozen, Init, Warm
from pathways.path import Path
from pathways.racing import Race
from pathways.seeds import numpy_generator
from pathways.strategy import View, Winner

from .hyperparameters import HyperparameterStudy, Sampler
from .member import Member, inherited, seeds_of
from .offspring import Child, make_child
from .outline import layers
from .paths import with_head, without_head
from .rivals import Rivals
from .score import Score, accounted, discounted
from .seeds import Seeds

if TYPE_CHECKING:
    from .munet import MuNet


class MuNetSearch:
    """One muNet search; see `MuNet`. `seeds`, `population` and `offspring` may be looked at while it runs."""

    def __init__(self, settings: MuNet, view: View) -> None:
        self.settings, self.view = settings, view
        self.names = tuple(task.name for task in view.tasks)
        self.score = _score(settings, view)
        self.users = Champions.of(view.champions, view.families).users
        self.seeds: Sequence[Member] = seeds_of(settings, view)
        other = settings.scratch_generations if self.seeds[0].untrained else None
        self.generations = settings.generations if other is None else other
        self.population: list[Member] = []
        self.offspring: dict[str, int] = {}
        self.generation = -1
        self._number = 0
        self._asked: list[tuple[Candidate, Child]] = []
        self._tried: dict[str, tuple[Candidate, Result]] = {}
        self._rivals = Rivals(settings.racing, view.tasks) if settings.racing else None
        self._probed: dict[str, str] = {}  # by seed's trunk, the candidate that was its probe
        drawn = isinstance(settings.hyperparameters, Sampler)
        names = (view.run, "+".join(self.names), settings.name)
        self._study = HyperparameterStudy(settings.space, settings.hyperparameters, *names) if drawn else None
        self._trials: list[int] = []

    def ask(self) -> list[Candidate]:
        """The probes first, then a generation of children at a time."""
        self.generation += 1
        self._asked, self._trials = [], []
        if self.generation == 0:
            self._asked = self._probes()
        elif self.generation <= self.generations:
            rng = numpy_generator(self.view.run, "+".join(self.names), "munet", self.generation)
            for _ in range(self.settings.children):
                parent, drawn = self._parent(rng), self._draw()
                child = make_child(parent, self.settings, self.seeds, self.view.families, rng, drawn)
                self._asked.append((self._candidate(child), child))
        return [candidate for candidate, _ in self._asked]

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """A child joins the population only if its score beats its parent's; a probe joins and scores its seed."""
        self._remember(results)
        for (candidate, result), (_, child) in zip(results, self._asked, strict=True):
            if not result.ok:
                continue
            paths = candidate.trained_paths(result)
            score = self._scored(paths, result)
            if self.generation == 0:
                self._probed[child.trunk.hash] = candidate.hash
                cast(Seeds, self.seeds).score(child.trunk.hash, score)
            elif child.parent.score is not None and score <= child.parent.score:
                continue
            self._join(candidate, result, child, paths, score)

    def best(self) -> Winner | None:
        """The member of the highest score; of equal ones the one that was found first."""
        if not self.population:
            return None
        member = max(self.population, key=_rank)
        candidate, result = self._tried[member.key]
        extra = inherited(member, self.settings)
        return Winner(candidate.trained_paths(result), candidate, result, member.parents, extra)

    def score_of(self, candidate: Candidate, result: Result) -> float:
        """The score of a candidate that was trained to its end."""
        return self._scored(candidate.trained_paths(result), result)

    def _scored(self, paths: Mapping[str, Path], result: Result) -> float:
        """The mean over the tasks of each one's quality, discounted."""
        factors = self._factors(paths)
        scores = [discounted(result.measures[task].quality, factors[task]) for task in paths]
        return sum(scores) / len(scores)

    def _factors(self, paths: Mapping[str, Path]) -> dict[str, float]:
        """By task, what its quality is multiplied by; of what the tasks share, each is charged its part."""
        costs = {task: path.costs(self.view.families) for task, path in paths.items()}
        shared = set.intersection(*(set(c.sizes) for c in costs.values()))
        parts = {blob: {*self.users.get(blob, ()), *self.names} for blob in shared}
        users: Mapping[str, Set[str]] = ChainMap(cast(Any, parts), cast(Any, self.users))
        return {
            task: self.score.factor(accounted(path, task, users, self.view.families), costs[task].flops)
            for task, path in paths.items()
        }

    def _draw(self) -> dict[str, Any] | None:
        """A child's hyperparameters, where a sampler draws them."""
        if self._study is None:
            return None
        number, drawn = self._study.ask()
        self._trials.append(number)
        return drawn

    def _remember(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """Keep what later races and draws are made of."""
        for i, (candidate, result) in enumerate(results):
            factors = candidate.race.factors if candidate.race else {}
            score = self.score_of(candidate, result) if result.ok else None
            if self._rivals is not None:
                self._rivals.add(factors, result, score)
            if self._study is not None and i < len(self._trials):  # probes are not drawn
                curve = self._rivals.curve(factors, result) if self._rivals and result.stopped else ()
                self._study.tell(self._trials[i], score, curve)

    def _race(self, parent: Member, paths: Mapping[str, Path]) -> Race | None:
        """What a child is measured against: a probe, and a child of a seed that was not probed, against nobody."""
        if self._rivals is None:
            return None
        best = max(self.population, key=_rank).key if self.population else None
        probe = parent.key if parent.heads else self._probed.get(parent.trunk.hash, parent.key)
        key = None if self.generation == 0 else probe
        return self._rivals.race(self._factors(paths), key, best)

    def _join(
        self, candidate: Candidate, result: Result, child: Child, paths: Mapping[str, Path], score: float
    ) -> None:
        if candidate.hash in self._tried:  # a sibling is the same
            return
        self._tried[candidate.hash] = (candidate, result)
        # All of a path is trained by now, and all paths have one trunk.
        heads = {task: cast(Frozen, path.steps[path.output].modules[0]) for task, path in paths.items()}
        trunk = without_head(paths[self.names[0]])
        sizes = trunk.costs(self.view.families).sizes
        own = frozenset(blob for blob in result.blobs.values() if sizes.get(blob))
        self.population.append(
            replace(child.member, key=candidate.hash, trunk=trunk, heads=heads, own=own, score=score)
        )

    def _probes(self) -> list[tuple[Candidate, Child]]:
        """Each seed as it is, with a new head; seeds of one trunk are probed once."""
        probes = []
        most = None if self.settings.probes == "all" else cast(int, self.settings.probes)
        for seed in cast(Seeds, self.seeds).distinct(most):
            changes = self.settings.scratch_training if seed.untrained else self.settings.probe_training
            training = replace(seed.training, **changes)
            child = Child(seed, seed, seed.trunk, ("probe",))
            probes.append((self._candidate(child, training), child))
        return probes

    def _parent(self, rng: np.random.Generator) -> Member:
        """By falling score, each accepted with probability 0.5 ** its children so far; else any member or seed.

        An untrained root is a parent itself only where no probe succeeded: else what it became is one.
        """
        skipped = 1 if self.population and self.seeds[0].untrained else 0  # a root is the first of the seeds
        members = len(self.population)
        drawn = int(rng.integers(members + len(self.seeds) - skipped))
        for member in sorted(self.population, key=_rank, reverse=True):
            if rng.random() < 0.5 ** self.offspring.get(member.key, 0):
                chosen = member
                break
        else:
            chosen = self.population[drawn] if drawn < members else self.seeds[drawn - members + skipped]
        self.offspring[chosen.key] = self.offspring.get(chosen.key, 0) + 1
        return chosen

    def _candidate(self, child: Child, training: Training | None = None) -> Candidate:
        parent, member = child.parent, child.member
        warm = parent.heads if parent.heads and self._outline(parent.trunk) == self._outline(child.trunk) else {}
        paths = {}
        for task in self.view.tasks:
            name = "head" if len(self.names) == 1 else f"head/{task.name}"
            start = Warm(warm[task.name].id) if task.name in warm else Init()
            paths[task.name] = with_head(
                child.trunk, task.target, name, start=start, inputs=task.inputs, families=self.view.families
            )
        labels = {
            "strategy": self.settings.name, "number": self._number, "generation": self.generation,
            "parent": parent.key, "parents": list(member.parents), "mutations": list(child.mutations),
            "rates": dict(member.rates),
        }
        self._number += 1
        return Candidate(
            paths, training or member.training, {task.name: task.fingerprint for task in self.view.tasks},
            self.view.run, self.generation, sampler=self.settings.sampler, labels=labels,
            race=self._race(parent, paths),
        )

    def _outline(self, trunk: Path) -> tuple[list[str], object]:
        """What must be equal for a head to go on behind another trunk: nothing but adapters may differ."""
        return layers(trunk, self.view.families), trunk.ports(self.view.families)[trunk.output]


def _rank(member: Member) -> float:
    return float("-inf") if member.score is None else member.score


def _score(settings: MuNet, view: View) -> Score:
    """The score in units of the root, or, where there is none, of the largest champion."""
    champions = Champions.of(view.champions, view.families).sketches.values()
    costs = champions if view.root is None else [view.root.costs(view.families)]
    parameters, flops = max(((c.parameters, c.flops) for c in costs), default=(1, 1))
    return Score(settings.size, settings.compute, max(1, parameters), max(1, flops))
