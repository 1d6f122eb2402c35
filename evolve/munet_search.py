"""The search of muNet: probes, then generations of children, of which those live that beat their parents."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pathways.candidate import Candidate, Result, Training
from pathways.champions import Champions
from pathways.modules import Frozen, FrozenDict, Init, Warm
from pathways.path import Path
from pathways.racing import Race
from pathways.recording import Record
from pathways.seeds import numpy_generator
from pathways.strategy import TaskInfo, View, Winner

from .guard import SCRATCH, Watch
from .hyperparameters import HyperparameterStudy, Sampler
from .member import FRESH, Member, inherited, root_of, seeds_of
from .multipath import mixed, trained
from .offspring import Child, make_child
from .outline import layers
from .parents import PROBE, Lineages, Prior, earlier_gains, transferability
from .paths import fresh, with_head, without_head
from .population import ALL, Turns, accepts, by_score, rank, survivors
from .rivals import Rivals
from .score import Score, accounted, discounted
from .seeds import Seeds

if TYPE_CHECKING:
    from .munet import MuNet

PROBED = ("probe",)
_MEASURE = ("measure",)
_MEASURING = {"steps": 0, "head_init": "random", "head_refit": "none"}  # the features count, not the head


class MuNetSearch:
    """One muNet search; see `MuNet`. `seeds`, `population`, `offspring`, `lineages` may be looked at while it runs."""

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
        self._number = self._told = 0
        self._turns: dict[int, Turns] = {}
        self._asked: list[tuple[Candidate, Child | None]] = []  # without a child where the guard has asked
        self._tried: dict[str, tuple[Candidate, Result]] = {}
        self._rivals = Rivals(settings.racing, view.tasks) if settings.racing else None
        self._probed: dict[str, str] = {}  # by seed's trunk, the candidate that was its probe
        drawn = isinstance(settings.hyperparameters, Sampler)
        names = (view.run, "+".join(self.names), settings.name)
        self._study = HyperparameterStudy(settings.space, settings.hyperparameters, *names) if drawn else None
        self._trials: list[int] = []
        self.lineages = self._lineages_of(settings.parents) if settings.parents else None
        self._reference = 0.0  # what the best probe has scored: gains are from there
        watched = bool(settings.guard) and not (self.seeds[0].untrained and len(self.names) == 1)
        self._watch = Watch(settings.guard, view.tasks) if watched else None

    def ask(self) -> list[Candidate]:
        """The probes first, with the guard's candidates, then a generation of children at a time."""
        self.generation += 1
        self._asked, self._trials = [], []
        if self.generation == 0:
            self._asked = [*self._probes(), *((candidate, None) for candidate in self._scratch())]
            self.generation = 0 if self._asked else 1  # where nothing is probed, children come first
        if 0 < self.generation <= self.generations:
            for parent, rng, chance in self._parents():
                trial, drawn = self._draw()
                self._trials += [] if trial is None else [trial]
                child = make_child(parent, self.settings, self.seeds, self.view.families, rng, drawn)
                self._asked.append((self._candidate(child, said=chance), child))
        return [candidate for candidate, _ in self._asked]

    def tell(self, results: Sequence[tuple[Candidate, Result]]) -> None:
        """A child joins the population only if its score beats its parent's; a probe joins and scores its seed."""
        trials: Sequence[int | None] = self._trials or [None] * len(results)  # probes are not drawn
        for (candidate, result), (_, child), trial in zip(results, self._asked, trials, strict=True):
            self._take(candidate, result, child, trial)
        self._cut()
        if self.generation == 0:
            self._refer()

    def _take(self, candidate: Candidate, result: Result, child: Child | None, trial: int | None) -> None:
        """Take one result: of a probe, of a child, or, where there is no child, of what the guard has asked."""
        self._told += 1
        self._remember(candidate, result, trial)
        if child is None:
            cast(Watch, self._watch).tell(candidate, result)
            return
        if self.lineages is not None and candidate.record is not None:
            self.lineages.measured(child.parent.key, transferability(result))
        if not result.ok or child.mutations == _MEASURE:
            return
        paths, seeds, probe = candidate.trained_paths(result), cast(Seeds, self.seeds), child.mutations == PROBED
        score = self._scored(paths, result)
        if probe:
            self._probed[child.trunk.hash] = candidate.hash
            seeds.score(child.trunk.hash, score)
        if self.lineages is not None:
            self._gained(child, score, probe)
        to_beat = child.parent.score if child.parent.heads else seeds.scored(child.parent.trunk.hash)
        if probe or to_beat is None or score > to_beat:
            self._join(candidate, result, child, paths, score)

    def _refer(self) -> None:
        """Count gains from the best probe."""
        self._reference = max((rank(member) for member in self.population), default=0.0)

    def best(self) -> Winner | None:
        """The member of the highest score; of equal ones the one that was found first."""
        winner = None
        if self.population:
            member = max(self.population, key=rank)
            candidate, result = self._tried[member.key]
            learned = {} if self.lineages is None else self.lineages.remembered()
            extra = {**inherited(member, self.settings), **learned}
            winner = Winner(candidate.trained_paths(result), candidate, result, member.parents, extra)
        return winner if self._watch is None else self._watch.decide(winner, self.names)

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

    def _draw(self) -> tuple[int, dict[str, Any]] | tuple[None, None]:
        """The number of a child's hyperparameters, and these, where a sampler draws them."""
        return (None, None) if self._study is None else self._study.ask()

    def _remember(self, candidate: Candidate, result: Result, trial: int | None) -> None:
        """Keep what later races and draws are made of."""
        if self._rivals is None and (self._study is None or trial is None):
            return  # a score takes as long as making a child
        factors = candidate.race.factors if candidate.race else {}
        score = self.score_of(candidate, result) if result.ok else None
        if self._rivals is not None:
            self._rivals.add(factors, result, score)
        if self._study is not None and trial is not None:
            curve = self._rivals.curve(factors, result) if self._rivals and result.stopped else ()
            self._study.tell(trial, score, curve)

    def _race(self, parent: Member, paths: Mapping[str, Path]) -> Race | None:
        """What a child is measured against: a probe, and a child of a seed that was not probed, against nobody."""
        if self._rivals is None:
            return None
        best = max(self.population, key=rank).key if self.population else None
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
        heads = {task: cast(Frozen, path.steps[path.head].modules[0]) for task, path in paths.items()}
        trunk = without_head(paths[self.names[0]])
        if child.member.extras:
            member = trained(child.member, candidate, result)
            self.population.append(replace(member, key=candidate.hash, score=score))
            return
        sizes = trunk.costs(self.view.families).sizes
        own = frozenset(blob for blob in result.blobs.values() if sizes.get(blob))
        states = {**child.member.optimizers, **{result.blobs[n]: blob for n, blob in result.optimizers.items()}}
        self.population.append(replace(
            child.member, key=candidate.hash, trunk=trunk, heads=heads, own=own, score=score, optimizers=states,
        ))

    def _probes(self) -> list[tuple[Candidate, Child]]:
        """Each seed as it is, with a new head; seeds of one trunk are probed once.

        Where transferability is recorded, those that are not probed are measured.
        """
        probes = []
        rule = self.settings.parents
        record = rule.record() if isinstance(rule, Prior) else None
        every = self.settings.probes == "all" or (isinstance(rule, Prior) and rule.estimator == PROBE)
        most = None if every else max(cast(int, self.settings.probes), int(self.seeds[0].untrained))
        for i, seed in enumerate(cast(Seeds, self.seeds).distinct(most if record is None else None)):
            probed = most is None or i < most
            changes = self.settings.scratch_training if seed.untrained else self.settings.probe_training
            training = replace(seed.training, **(changes if probed else _MEASURING))
            child = Child(seed, seed, seed.trunk, PROBED if probed else _MEASURE)
            probes.append((self._candidate(child, training, record), child))
        return probes

    def _scratch(self) -> list[Candidate]:
        """The guard's candidates: for each task networks of its own, of the root's architecture, from random weights.

        Where there is no root that reads its inputs, of the architecture of the newest champion.
        """
        if self._watch is None:
            return []
        model = root_of(self.settings, self.view) or self.seeds[0]
        trunk = model.trunk if model.untrained else fresh(model.trunk)
        base = cast(Training, self.settings.training or self.view.training)
        training = replace(base, **self.settings.scratch_training)
        member = replace(model, key=SCRATCH, training=training, rates={}, parents=())
        child = Child(member, member, trunk, (SCRATCH,))
        return [
            replace(self._candidate(child, tasks=(task,)), repeat=repeat, race=None, optimizer_state=False)
            for task in self.view.tasks for repeat in range(self.settings.guard.repeats)
        ]  # fmt: skip

    def _lineages_of(self, rule: Any) -> Lineages:
        """The seeds as parents of lineages; an untrained root is one only where there is no other."""
        seeds, champions = cast(Seeds, self.seeds), self.view.champions
        keys = seeds.keys()
        extras = ((champions[name].candidate, champions[name].extra) for name in seeds.names)
        return Lineages(rule, keys[1:] if seeds.untrained and len(keys) > 1 else keys, earlier_gains(rule, extras))

    def _gained(self, child: Child, score: float, probe: bool) -> None:
        """Tell the lineages what a probe or a child has scored."""
        lineages, key = cast(Lineages, self.lineages), child.parent.parents[0]
        if not probe:
            lineages.gained(key, score - self._reference)
        elif isinstance(lineages.rule, Prior) and lineages.rule.estimator == PROBE:
            lineages.measured(key, score)

    def _parents(self) -> Iterator[tuple[Member, np.random.Generator, dict[str, float]]]:
        """A round's parents, each with what its child is drawn with and, where a rule draws it, its chance."""
        names = (self.view.run, "+".join(self.names), "munet", self.generation)
        rng = numpy_generator(*names)
        if self.lineages is None:
            for _ in range(self.settings.children):
                yield self._parent(rng), rng, {}
            return
        for key, chance in self.lineages.draw(self.settings.children, rng):
            yield self._bred_from(key), numpy_generator(*names, key), {"chance": chance}

    def _bred_from(self, key: str) -> Member:
        """The best path that came of a parent; itself where none did."""
        own = [member for member in self.population if member.parents[0] == key]
        return max(own, key=rank) if own else cast(Seeds, self.seeds).of(key)

    def _parent(self, rng: np.random.Generator) -> Member:
        """By falling score, each accepted with probability 0.5 ** its children so far; else any member or seed.

        Where seeds are visited, too, they are between the two, in their turn.
        An untrained root is a parent itself only where no probe succeeded: else what it became is one.
        """
        skipped = 1 if self.population and self.seeds[0].untrained else 0  # a root is the first of the seeds
        members = len(self.population)
        drawn = int(rng.integers(members + len(self.seeds) - skipped))
        visited = (member for member in by_score(self.population) if accepts(member, self.offspring, rng))
        chosen = next(visited, None)
        if chosen is None and self.settings.visits == ALL:
            chosen = self._turns_from(skipped).visit(self.seeds, self.offspring, rng)
        if chosen is None:
            chosen = self.population[drawn] if drawn < members else self.seeds[drawn - members + skipped]
        self.offspring[chosen.key] = self.offspring.get(chosen.key, 0) + 1
        return chosen

    def _turns_from(self, first: int) -> Turns:
        """The order of the seeds; without an untrained root as soon as something came of it."""
        if first not in self._turns:
            rng = numpy_generator(self.view.run, "+".join(self.names), "munet", "turns")
            self._turns[first] = Turns(range(first, len(self.seeds)), rng)
        return self._turns[first]

    def _cut(self) -> None:
        """Let only so many of the population stay as there is room for."""
        most = self.settings.population
        if most is not None and len(self.population) > most:
            rng = numpy_generator(self.view.run, "+".join(self.names), "munet", "survivors", self._told)
            self.population = survivors(self.population, most, self.settings.survivors, self.offspring, rng)

    def _candidate(
        self, child: Child, training: Training | None = None, record: Record | None = None,
        tasks: Sequence[TaskInfo] = (), said: Mapping[str, float] = FrozenDict(),
    ) -> Candidate:
        parent, member = child.parent, child.member
        warm = parent.heads if parent.heads and self._outline(parent.trunk) == self._outline(child.trunk) else {}
        paths, tasks = {}, tasks or self.view.tasks
        for task in tasks:
            name = "head" if len(tasks) == 1 else f"head/{task.name}"
            head = warm.get(task.name)
            if head is not None and member.extras:
                paths[task.name] = mixed(member, head, self.settings.multipath, self.view.families)
                continue
            start = Init() if head is None else Warm(head.id, member.optimizers.get(head.id))
            paths[task.name] = with_head(
                child.trunk, task.target, name, start=start, inputs=task.inputs, families=self.view.families
            )
        labels = {
            "strategy": self.settings.name, "number": self._number, "generation": self.generation,
            "parent": parent.key, "parents": list(member.parents), "mutations": list(child.mutations),
            "rates": dict(member.rates), **said,
            **({"paths": [extra.key for extra in member.extras]} if member.extras else {}),
        }
        self._number += 1
        training = training or member.training
        return Candidate(
            paths, training, {task.name: task.fingerprint for task in tasks},
            self.view.run, self.generation, sampler=self.settings.sampler, labels=labels,
            optimizer_state=self.settings.optimizer_state != FRESH,
            race=self._race(parent, paths), record=record,
            workers=self.settings.workers if len(tasks) > 1 and training.steps else 1,
        )

    def _outline(self, trunk: Path) -> tuple[list[str], object]:
        """What must be equal for a head to go on behind another trunk: nothing but adapters may differ."""
        return layers(trunk, self.view.families), trunk.ports(self.view.families)[trunk.output]


def _score(settings: MuNet, view: View) -> Score:
    """The score in units of the root, or, where there is none, of the largest champion."""
    champions = Champions.of(view.champions, view.families).sketches.values()
    costs = champions if view.root is None else [view.root.costs(view.families)]
    parameters, flops = max(((c.parameters, c.flops) for c in costs), default=(1, 1))
    return Score(settings.size, settings.compute, max(1, parameters), max(1, flops))
