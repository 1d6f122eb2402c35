"""muNet without rounds: what it asks follows from what it was told until then, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers_munet import OFTEN, VIEW, after, quality

from pathways.candidate import Candidate, Result
from pathways.errors import ConfigError
from pathways.evolve import Guard, MuNet, Prior
from pathways.evolve.munet_steady import SteadyMuNetSearch
from pathways.racing import pack
from pathways.seeds import numpy_generator
from pathways.strategy import SteadySearch, View
from pathways.testing import StrategySuite
from pathways.testing.fake import example_root, example_view, failed, fake_result

STEADY = MuNet(generations=3, children=6, rates=OFTEN, steady=True)


class TestSteadyMuNet(StrategySuite):
    strategy = MuNet(generations=3, children=6, steady=True)


class TestSteadyMuNetFromScratch(StrategySuite):
    strategy = MuNet(generations=2, children=5, rates=OFTEN, scratch=True, steady=True)
    view = example_view(root=example_root(frozen=False))


class TestSteadyMuNetOfSeveralTasks(StrategySuite):
    strategy = MuNet(generations=2, children=5, rates=OFTEN, size=0.8, guard=True, racing="paired", steady=True)
    view = example_view(3)


class TestSteadyMuNetWithSampler(StrategySuite):
    strategy = MuNet(generations=2, children=4, hyperparameters="optuna", parents="prior", steady=True)


Answer = Callable[[Candidate], Result]
Happened = list[tuple[str, Candidate]]


def shuffled(
    strategy: MuNet, view: View, seed: int = 0, room: int = 5, answer: Answer = fake_result
) -> tuple[SteadyMuNetSearch, Happened]:
    """Drive a search whose answers come in a seeded random order; what was asked and told, in order."""
    search = strategy.begin(view)
    assert isinstance(search, SteadyMuNetSearch)
    rng = numpy_generator("shuffled", seed)
    under_way: list[Candidate] = []
    happened: Happened = []
    while True:
        while len(under_way) < room and (candidate := search.next()) is not None:
            under_way.append(candidate)
            happened.append(("asked", candidate))
        if not under_way:
            assert search.ended
            return search, happened
        candidate = under_way.pop(int(rng.integers(len(under_way))))
        happened.append(("told", candidate))
        search.told(candidate, answer(candidate))


def children_of(happened: Happened) -> list[Candidate]:
    return [c for what, c in happened if what == "asked" and c.order > 0]


VARIANTS: dict[str, MuNet] = {
    "plain": STEADY,
    "races": replace(STEADY, racing="paired"),
    "prior": replace(STEADY, parents="prior", guard=None),
    "measured prior": replace(STEADY, parents=Prior("h_score"), guard=None),
    "uniform": replace(STEADY, parents="uniform"),
    "exhaustive": replace(STEADY, parents="exhaustive"),
    "sampler": replace(STEADY, hyperparameters="optuna"),
    "guard": replace(STEADY, guard=Guard(repeats=2)),
    "few probes": replace(STEADY, probes=1),
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("tasks", [1, 2])
def test_the_same_order_of_answers_gives_the_same_questions(name: str, tasks: int) -> None:
    view = replace(after(3), tasks=example_view(tasks).tasks)
    once, first = shuffled(VARIANTS[name], view)
    again, second = shuffled(VARIANTS[name], view)
    assert [(what, c.hash, c.labels) for what, c in first] == [(what, c.hash, c.labels) for what, c in second]
    assert once.best() == again.best() is not None
    other = [c.hash for _, c in shuffled(VARIANTS[name], view, seed=1)[1]]
    assert name == "exhaustive" or [c.hash for _, c in first] != other
    each = 6 if VARIANTS[name].parents is None else 4  # a rule asks each parent once a round
    assert len(children_of(first)) == VARIANTS[name].generations * each


def test_it_is_a_steady_search_only_where_it_is_told_so() -> None:
    assert isinstance(STEADY.begin(VIEW), SteadySearch)
    assert not isinstance(replace(STEADY, steady=False).begin(VIEW), SteadySearch)
    assert STEADY.to_json()["steady"] is True
    with pytest.raises(ConfigError, match="`steady` must be true or false, found 'yes'"):
        MuNet(steady="yes")  # type: ignore[arg-type]


def test_children_begin_with_the_first_probe_that_succeeded() -> None:
    search = STEADY.begin(after(2))
    assert isinstance(search, SteadyMuNetSearch)
    probes = [search.next() for _ in range(3)]
    assert all(probe is not None and probe.labels["mutations"] == ["probe"] for probe in probes)
    assert search.next() is None
    assert not search.ended
    search.told(probes[2], failed(probes[2]))
    assert search.next() is None
    search.told(probes[1], fake_result(probes[1]))
    child = search.next()
    assert child is not None
    assert child.labels["generation"] == 1
    assert child.labels["parent"] == probes[1].hash  # the only member


def test_without_a_successful_probe_children_come_when_all_have_failed() -> None:
    search = STEADY.begin(after(1))
    probes = [search.next(), search.next()]
    for probe in probes:
        assert search.next() is None
        search.told(probe, failed(probe))
    assert search.next().labels["parent"] in ("root", *after(1).champions)


@pytest.mark.parametrize("rule", ["prior", "uniform", "exhaustive"])
def test_a_rule_over_parents_waits_for_all_probes_but_not_for_the_guard(rule: str) -> None:
    search = replace(STEADY, parents=rule, guard=True).begin(after(2))
    *probes, scratch = (search.next() for _ in range(4))
    assert scratch.labels["mutations"] == ["scratch"]
    for probe in probes:
        assert search.next() is None
        search.told(probe, fake_result(probe))
    assert search.next() is not None


def test_batches_are_those_of_a_round_and_draws_those_of_a_child() -> None:
    _, happened = shuffled(STEADY, VIEW, room=7)
    children = children_of(happened)
    assert [c.order for c in children] == [1 + i // 6 for i in range(18)]
    assert [c.labels["number"] for c in children] == list(range(1, 19))


def test_a_uniform_rule_asks_each_parent_once_a_round() -> None:
    view = after(3)
    _, happened = shuffled(replace(STEADY, parents="uniform", children=4), view)
    firsts = [c.labels["parents"][0] for c in children_of(happened)]
    for at in range(0, 12, 4):
        assert set(firsts[at : at + 4]) == {"root", *view.champions}


def test_a_child_must_beat_what_is_known_of_its_parent_when_it_is_told() -> None:
    """A child of a seed whose own probe is answered later joins; one that is told after the probe must beat it."""
    never = replace(STEADY, guard=None)

    def search_of() -> tuple[Any, Any, Any]:
        search = never.begin(after(1))
        probes = [search.next(), search.next()]
        search.told(probes[0], failed(probes[0]))  # the root's fails, the champion's is under way
        return search, probes[1], None

    search, probe, _ = search_of()
    assert search.next() is None  # nobody has succeeded and one is under way
    good, bad = quality(lambda c: 0.9), quality(lambda c: 0.1)
    search.told(probe, good(probe))
    child = search.next()
    search.told(child, bad(child))
    assert len(search.population) == 1
    child = search.next()
    search.told(child, quality(lambda c: 0.99)(child))
    assert len(search.population) == 2


def test_races_are_against_what_was_told_so_far() -> None:
    def answer(candidate: Candidate) -> Result:
        made = fake_result(candidate)
        assert candidate.race is not None
        points = len(candidate.race.points(candidate.training.steps))
        merits = {task: (pack(np.full(100, m.quality)),) * points for task, m in made.measures.items()}
        return replace(made, merits=merits)

    search, happened = shuffled(replace(STEADY, racing="paired"), after(2), answer=answer)
    raced = 0
    for at, (what, child) in enumerate(happened):
        if what == "asked" and child.order > 0:
            told = {c.hash for done, c in happened[:at] if done == "told"}
            rivals = {rival.candidate for rival in child.race.rivals}
            assert rivals <= told
            raced += bool(rivals)
    assert raced > 9
    assert search.best() is not None


def test_all_failed_gives_no_winner_and_ends() -> None:
    search, happened = shuffled(STEADY, VIEW, answer=failed)
    assert search.best() is None
    assert len(children_of(happened)) == 18
