"""Races: their stated error rate, what they are made of, and that they change nothing of what they do not stop."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pathways.candidate import Augment, Candidate, Measures, Result
from pathways.errors import ConfigError, PathwaysError
from pathways.learn import Work
from pathways.ledger import Ledger
from pathways.modules import Draft, Image, ModuleSpec, Vector
from pathways.path import Path, Step
from pathways.pool import Pool
from pathways.racing import Paired, Race, Rival, as_rule, pack, unpack
from pathways.trainer.train import Trainer

PAIRED = Paired()


def against(*points: Any, rule: Any = PAIRED, factor: float = 1.0, own: float = 1.0, **fields: Any) -> Race:
    """A race for task `a` against one rival that measured `points`."""
    rival = Rival("r" * 64, factors={"a": factor}, merits={"a": tuple(map(pack, points))})
    return Race(rule, {"a": own}, (rival,), **fields)


# -- the stated rate ----------------------------------------------------------------------------------------


def stopped(race: Race, points: Any) -> bool:
    """Whether a candidate that measures `points`, one after another, is stopped at one of them."""
    return any(race.stops([{"a": p} for p in points[: i + 1]]) for i in range(len(points)))


def rate(alpha: float, own: float, chance: Callable[[np.random.Generator], tuple[Any, Any]], tries: int) -> float:
    """How often a candidate is stopped that is drawn, with its rival, by `chance`."""
    count = 0
    for i in range(tries):
        mine, theirs = chance(np.random.default_rng((7, i)))
        count += stopped(against(*theirs, rule=Paired(alpha), own=own), mine)
    return count / tries


@pytest.mark.parametrize(("alpha", "own", "share"), [(0.05, 1.0, 0.6), (0.2, 1.0, 0.9), (0.05, 0.8, 0.6)])
def test_who_does_not_do_worse_is_stopped_at_most_at_the_stated_rate(alpha: float, own: float, share: float) -> None:
    """At all three points together; the bound is one that a true rate of `alpha` passes in all but 1 of 1,000."""
    def equal(rng: np.random.Generator) -> tuple[Any, Any]:
        # The candidate is right as much more often as its discount asks for, so that both scores are equal.
        theirs = rng.random((3, 120)) < share * own
        return (rng.random((3, 120)) < share).astype(float), theirs.astype(float)

    tries = 1500
    found = rate(alpha, own, equal, tries)
    assert found <= binom.ppf(0.999, tries, alpha) / tries
    assert found > 0, "a rule that never stops would pass, too"


def test_who_does_worse_is_stopped_often() -> None:
    def worse(rng: np.random.Generator) -> tuple[Any, Any]:
        return (rng.random((3, 120)) < 0.5).astype(float), (rng.random((3, 120)) < 0.75).astype(float)

    assert rate(0.05, 1.0, worse, 100) > 0.9


def test_the_rate_holds_for_values_too() -> None:
    tries, count = 1500, 0
    for i in range(tries):
        rng = np.random.default_rng((8, i))
        mine, theirs = -rng.normal(0, 1, (3, 100)) ** 2, -rng.normal(0, 1, (3, 100)) ** 2
        count += stopped(against(*theirs, values=("a",)), mine)
    assert 0 < count <= binom.ppf(0.999, tries, 0.05)
    errors = -np.random.default_rng(0).normal(0, 1, 200) ** 2
    assert against(errors, values=("a",)).stops([{"a": 2 * errors}])
    assert not against(2 * errors, values=("a",)).stops([{"a": errors}])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=80), st.floats(0.3, 1.0),
       st.sampled_from([0.001, 0.05, 0.9]))
def test_who_measures_the_same_at_the_same_cost_is_never_stopped(
    merits: list[float], factor: float, alpha: float
) -> None:
    race = against(*[merits] * 3, rule=Paired(alpha), factor=factor, own=factor)
    assert not stopped(race, [np.array(merits)] * 3)
    errors = -np.array(merits)
    race = against(*[errors] * 3, rule=Paired(alpha), factor=factor, own=factor, values=("a",))
    assert not stopped(race, [errors] * 3)


def test_discounts_count() -> None:
    """What is wanted is the score: a dearer candidate must be better, a cheaper one may be worse."""
    rng = np.random.default_rng(5)
    mine, theirs = (rng.random(300) < 0.7).astype(float), (rng.random(300) < 0.7).astype(float)
    assert not against(theirs).stops([{"a": mine}])
    assert against(theirs, own=0.5).stops([{"a": mine}])
    worse = (rng.random(300) < 0.45).astype(float)
    assert against(theirs).stops([{"a": worse}])
    assert not against(theirs, factor=0.5).stops([{"a": worse}])
    errors = -rng.normal(0, 1, 300) ** 2
    assert against(errors, own=0.5, values=("a",)).stops([{"a": errors}])
    assert not against(errors, factor=0.5, values=("a",)).stops([{"a": 2 * errors}])


def test_differences_of_scores_are_the_scores_differences() -> None:
    rng = np.random.default_rng(6)
    for values, mine, theirs in [((), rng.random(50), rng.random(50)), (("a",), -rng.random(50), -rng.random(50))]:
        race = against(theirs, own=0.9, factor=0.7, values=values)
        other = Race(Paired(), {"a": 0.7}, values=values)
        gap = race.score({"a": mine}) - other.score({"a": theirs})
        assert race.difference("a", mine, theirs, race.rivals[0]).mean() == pytest.approx(gap)


def test_several_tasks_are_one_score() -> None:
    rng = np.random.default_rng(9)
    better, worse = rng.random(200) < 0.9, rng.random(200) < 0.4
    rival = Rival("r", factors={"a": 1.0, "b": 1.0}, merits={"a": (pack(worse),), "b": (pack(better),)})
    race = Race(Paired(), {"a": 1.0, "b": 1.0}, (rival,))
    assert not race.stops([{"a": better * 1.0, "b": worse * 1.0}])
    assert race.stops([{"a": worse * 1.0, "b": worse * 1.0}])
    assert race.score({"a": np.ones(2), "b": np.zeros(8)}) == 0.5


# -- plain data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "points"), [(100, (25, 50, 75)), (4, (1, 2, 3)), (3, ()), (2, ()), (0, ())])
def test_points_are_distinct_steps_within_the_budget(steps: int, points: tuple[int, ...]) -> None:
    assert Race(Paired(), {"a": 1.0}).points(steps) == points


def test_races_survive_json_and_answer_the_same() -> None:
    for rule in (Paired(0.1, (0.5,), "best"), as_rule({"pruner": {"name": "median", "n_startup_trials": 1}})):
        race = replace(against([1.0, 0.0, 1.0], rule=rule), values=())
        again = Race.from_json(json.loads(json.dumps(race.to_json())))
        assert again == race == pickle.loads(pickle.dumps(race))
        assert again.hash == race.hash
        assert again.stops([{"a": np.zeros(3)}]) == race.stops([{"a": np.zeros(3)}])


def test_the_identity_is_of_rule_rivals_and_discounts() -> None:
    race = against([1.0])
    others = [
        against([1.0], rule=Paired(0.01)), against([1.0], own=0.5), against([1.0], factor=0.5),
        against([1.0], values=("a",)), replace(race, rivals=()),
        replace(race, rivals=(replace(race.rivals[0], candidate="s" * 64),)),
    ]  # fmt: skip
    assert len({race.hash, *(other.hash for other in others)}) == len(others) + 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=50))
def test_merits_are_packed_exactly(merits: list[float]) -> None:
    assert unpack(pack(np.array(merits))).tolist() == merits


@pytest.mark.parametrize(("value", "message"), [
    ("fast", "`racing` must be 'paired', or one of 'paired' and 'pruner' with settings, found 'fast'"),
    ({"paired": {}, "pruner": {}}, "`racing` must be 'paired', or one of"),
    ({"paired": 3}, "`paired` of `racing` must be a mapping of settings, found 3"),
    ({"paired": {"alfa": 0.1}}, r"must hold \['alpha', 'at', 'rival'\], found \['alfa'\]"),
    ({"paired": {"alpha": 0}}, "`alpha` of `paired` must be above 0 and below 1, found 0"),
    ({"paired": {"alpha": True}}, "`alpha` of `paired` must be above 0"),
    ({"paired": {"rival": "root"}}, r"`rival` of `paired` must be one of \('parent', 'best'\), found 'root'"),
    ({"paired": {"at": [0.5, 0.25]}}, "`at` must be rising shares of the steps, above 0 and below 1"),
    ({"paired": {"at": [0.5, 1]}}, "`at` must be rising shares"),
    ({"paired": {"at": []}}, "`at` must be rising shares"),
    ({"paired": {"at": "half"}}, "`at` must be rising shares"),
])
def test_rules_that_are_not_valid_are_refused(value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        as_rule(value)


def test_rules_are_read_as_they_are_written() -> None:
    assert as_rule(None) is None
    assert as_rule("paired") == as_rule({"paired": None}) == Paired()
    for rule in (Paired(0.01, (0.1, 0.9), "best"), as_rule({"pruner": {"name": "hyperband", "at": [0.5]}})):
        assert as_rule(rule) is rule
        assert as_rule(json.loads(json.dumps(rule.to_json()))) == rule


def test_a_race_needs_no_optuna_unless_it_is_by_a_pruner() -> None:
    code = (
        "import sys, numpy as np\n"
        "from pathways.racing import *\n"
        "rival = Rival('r', factors={'a': 1.0}, merits={'a': (pack(np.ones(9)),)})\n"
        "print(Race(as_rule('paired'), {'a': 1.0}, (rival,)).stops([{'a': np.zeros(9)}]), 'optuna' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "False"]


# -- training -----------------------------------------------------------------------------------------------

TASK = tiny.clusters(n=60, spread=1.5)
PICTURES = tiny.images(n=30)
NUMBERS = tiny.plane()
RECORD = Race(Paired(), {"clusters": 1.0, "images": 1.0, "plane": 1.0})


def run(folder: FilePath, *candidates: Candidate) -> list[Result]:
    trainer = Trainer(Pool(folder / "pool"))
    for task in (TASK, PICTURES, NUMBERS):
        trainer.provide(task.without_test())
    return trainer.run(candidates)


def plain(**training: Any) -> Candidate:
    """A small network on clusters, without seeds of its own: weights come from the candidate's hash."""
    path = tiny.chain(Vector(4), tiny.linear("a", 8, None), tiny.head(3, seed=None))
    return tiny.candidate(path, TASK, **training)


def with_router() -> Candidate:
    """A path whose router draws noise in every step."""
    experts = (tiny.linear("a", 6, None), tiny.linear("b", 6, None))
    router = Draft("router", ModuleSpec("topk_router", {"experts": 2, "k": 1}))
    steps = {"mix": Step(experts, ("x",), combine=router), "head": Step((tiny.head(3, seed=None),), ("mix",))}
    return tiny.candidate(Path({"x": Vector(4)}, steps, "head"), TASK)


def with_images() -> Candidate:
    """Convolution with batch norm, new changes for each batch, several views of the validation images."""
    spec = ModuleSpec("conv", {"channels": 4, "norm": "batch"})
    path = tiny.chain(Image(1, 6, 6), Draft("c", spec), Draft("f", ModuleSpec("flatten")), tiny.head(2, seed=None))
    return tiny.candidate(path, PICTURES, augment=Augment(rotate=10.0, views=0), score_views=3)


def regression() -> Candidate:
    path = tiny.chain(Vector(4), Draft("head", ModuleSpec("regressor", {"values": 2})))
    return tiny.candidate(path, NUMBERS)


CASES = {
    "adamw": plain(),
    "sgd": plain(optimizer="sgd", momentum=0.9, lr=0.1),
    "best": plain(evaluate_every=5, keep="best"),
    "last": plain(evaluate_every=3, keep="last", clip=1.0),
    "refit": plain(head_refit="discriminant"),
    "noise": with_router(),
    "images": with_images(),
    "values": regression(),
}


@pytest.mark.parametrize("case", CASES)
def test_who_is_not_stopped_has_the_same_result_as_without_a_race(case: str, tmp_path: FilePath) -> None:
    alone = CASES[case]
    raced = replace(alone, race=RECORD)
    assert raced.hash != alone.hash
    assert raced.unraced == alone.hash
    (without,), (with_race,) = run(tmp_path / "a", alone), run(tmp_path / "b", raced)
    assert without.ok, without.failure
    times = {"seconds": 0.0, "cpu_seconds": 0.0}
    (task,) = alone.paths
    assert [len(unpack(text)) for text in with_race.merits[task]] == [
        {"clusters": 60, "images": 30, "plane": 40}[task]
    ] * 3
    expected = replace(without, candidate=raced.hash, merits=with_race.merits, **times)
    assert replace(with_race, **times) == expected
    assert not without.merits


def perfect(race: Race, n: int) -> Race:
    """The race against a rival that was always right."""
    rival = Rival("r", factors=race.factors, merits={"clusters": (pack(np.ones(n)),) * 3})
    return replace(race, rivals=(rival,))


def test_who_cannot_win_stops_and_leaves_no_weights(tmp_path: FilePath) -> None:
    candidate = replace(plain(evaluate_every=5), race=perfect(RECORD, 60))
    (result,) = run(tmp_path, candidate)
    assert result.stopped == 5
    assert not result.ok
    assert not result.failure
    assert (result.blobs, result.optimizers) == ({}, {})
    assert not list((tmp_path / "pool").rglob("*.safetensors"))
    assert [step for step, _, _ in result.curve] == [5], "it is not measured twice in one step"
    assert result.measures["clusters"].validation == result.curve[0][2] < 1
    assert len(result.merits["clusters"]) == 1
    assert unpack(result.merits["clusters"][0]).mean() == pytest.approx(result.measures["clusters"].quality)
    (full,) = run(tmp_path, plain(evaluate_every=5))
    assert full.curve[0] == result.curve[0], "up to there it is the same training"


def test_stopped_results_survive_json_and_the_ledger(tmp_path: FilePath) -> None:
    candidate = replace(plain(), race=perfect(RECORD, 60))
    (result,) = run(tmp_path, candidate)
    assert Result.from_json(json.loads(json.dumps(result.to_json()))) == result
    assert Candidate.from_json(json.loads(json.dumps(candidate.to_json()))) == candidate
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.commit("munet", ["clusters"], 0, [(candidate, result)])
        assert ledger.known([candidate.hash]) == {candidate.hash: result}
        assert ledger.candidate(candidate.hash) == candidate
        assert ledger.candidate(candidate.hash).hash == candidate.hash


def test_existing_hashes_do_not_know_of_races() -> None:
    assert plain().hash == plain().unraced
    assert replace(plain(), race=None).hash == plain().hash
    assert replace(plain(), race=RECORD).hash != replace(plain(), race=perfect(RECORD, 60)).hash


def test_a_budget_too_short_for_the_points_is_not_raced(tmp_path: FilePath) -> None:
    (result,) = run(tmp_path, replace(plain(steps=2), race=perfect(RECORD, 60)))
    assert result.ok
    assert result.merits == {}


def test_progress_shows_the_best_that_can_win_and_says_where_nobody_can() -> None:
    class Nothing:
        def best(self) -> None:
            return None

    work = Work(Nothing(), "munet", ("a",))  # type: ignore[arg-type]
    measures = {"a": Measures(0.9, 0.9, 0.1, 0.9, 10)}
    assert work.see(Result("s", measures=measures, stopped=5)).best is None
    with pytest.raises(PathwaysError, match="in 1 candidates: races stopped them all"):
        work.winner()
    assert work.see(Result("t", measures=measures)).best == 0.9
