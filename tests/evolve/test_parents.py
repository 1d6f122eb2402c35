"""Whom muNet asks for children where a rule decides: every parent, any, or those that a prior believes in."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
from helpers_munet import OFTEN, VIEW, after, only, quality, told
from helpers_tiny import TRAINING, interrupt_after, task_of, tiny_root

from pathways import System
from pathways.affinity.table import TRANSFERABILITY
from pathways.candidate import Candidate, Result
from pathways.errors import ConfigError
from pathways.evolve import MuNet, Prior
from pathways.evolve.parents import Lineages, as_parents, earlier_gains, transferability
from pathways.evolve.paths import without_head
from pathways.modules import Init
from pathways.recording import pack_reading
from pathways.seeds import numpy_generator
from pathways.strategy import View
from pathways.testing import StrategySuite
from pathways.testing.fake import Drive, drive, example_root, example_view, fake_result, later_view

FIVE = after(5)
RULES: list[Any] = ["uniform", "exhaustive", "prior"]
SETTINGS = MuNet(generations=2, children=3, rates=OFTEN, mutable_rates=False, guard=False)


class TestMuNetWithUniformParents(StrategySuite):
    strategy = replace(SETTINGS, parents="uniform")
    view = FIVE


class TestMuNetWithEveryParent(StrategySuite):
    strategy = replace(SETTINGS, parents="exhaustive")
    view = FIVE


class TestMuNetWithAPrior(StrategySuite):
    strategy = replace(SETTINGS, parents="prior")
    view = FIVE


class TestMuNetWithAPriorFromScratch(StrategySuite):
    strategy = replace(SETTINGS, parents="prior", scratch=True)
    view = example_view(root=example_root(frozen=False))


class TestMuNetWithAPriorOfSeveralTasks(StrategySuite):
    strategy = replace(SETTINGS, parents="prior")
    view = example_view(3)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an estimator that trainers measure."""
    monkeypatch.setitem(TRANSFERABILITY, "told", "tests:told")
    return "told"


def reading(value: dict[str, float]) -> Any:
    """A fake engine in which a parent's transferability is told, by its key."""
    def answer(candidate: Candidate) -> Result:
        result = fake_result(candidate)
        if candidate.record is None:
            return result
        found = [value[candidate.labels["parent"]]] * len(candidate.paths)
        return replace(result, readings=((0, pack_reading(found)),))

    return answer


def parents_of(run: Drive, generation: int) -> list[str]:
    """The seeds whose lineages were asked for children."""
    return [c.labels["parents"][0] for c in run.asked[generation]]


# -- who is asked -------------------------------------------------------------------------------------------


def test_exhaustive_asks_every_trunk_for_one_child_a_round() -> None:
    run = drive(replace(SETTINGS, parents="exhaustive", children=1), FIVE)
    expected = ["root", *reversed(FIVE.champions)]
    assert [parents_of(run, g) for g in (1, 2)] == [expected, expected]
    assert all(c.labels["chance"] == 1.0 for c in run.asked[1])


def test_equal_trunks_are_one_parent() -> None:
    view = after(2, MuNet(generations=0))  # every task ends with the root and a head
    assert parents_of(drive(replace(SETTINGS, parents="exhaustive"), view), 1) == ["root"]


def test_uniform_asks_different_parents_each_as_often() -> None:
    found: Counter[str] = Counter()
    for run in range(100):
        search = replace(SETTINGS, parents="uniform").begin(replace(FIVE, run=run))
        told(search)
        chosen = [c.labels["parents"][0] for c in search.ask()]
        assert len(set(chosen)) == 3
        found.update(chosen)
    assert set(found) == {"root", *FIVE.champions}
    assert all(abs(count - 50) < 5 * (100 * 0.25) ** 0.5 for count in found.values())


@pytest.mark.parametrize("rule", RULES)
def test_a_round_asks_each_parent_at_most_once(rule: Any) -> None:
    run = drive(replace(SETTINGS, parents=rule, children=50), FIVE)
    assert [len(asked) for asked in run.asked] == [6, 6, 6]


def test_a_parents_child_is_the_same_whichever_rule_asks_for_it() -> None:
    first = {
        str(rule): {c.labels["parents"][0]: c.hash for c in drive(replace(SETTINGS, parents=rule), FIVE).asked[1]}
        for rule in RULES
    }
    for rule in ("uniform", "prior"):
        assert first[rule].items() <= first["exhaustive"].items()


def test_a_child_is_bred_from_the_best_of_its_lineage() -> None:
    good = quality(lambda c: 0.5 + 0.1 * c.order + 0.001 * fake_result(c).quality)  # every child beats its parent
    run = drive(replace(SETTINGS, parents="exhaustive", generations=3), FIVE, good)
    for before, asked in zip(run.asked, run.asked[1:], strict=False):
        by_lineage = {c.labels["parents"][0]: c.hash for c in before}
        assert [c.labels["parent"] for c in asked] == [by_lineage[c.labels["parents"][0]] for c in asked]


def test_a_parent_that_was_not_probed_has_children_with_new_heads() -> None:
    run = drive(replace(SETTINGS, parents="exhaustive", probes=1), FIVE)
    assert [c.labels["parent"] for c in run.asked[0]] == ["root"]
    child = run.asked[1][1]
    assert child.labels["parent"] == child.labels["parents"][0] == next(reversed(FIVE.champions))
    assert child.drafts()["head"].start == Init()


def test_an_untrained_root_is_a_parent_only_where_there_is_no_other() -> None:
    untrained = example_view(root=example_root(frozen=False))
    settings = replace(SETTINGS, parents="exhaustive", scratch=True)
    first = drive(settings, untrained)
    assert parents_of(first, 1) == ["root"]
    assert first.winner is not None
    later = drive(settings, later_view(untrained, first.winner))
    assert [c.labels["parent"] for c in later.asked[0]] == ["root", "task0"], "it competes, as `scratch` says"
    assert parents_of(later, 1) == ["task0"]


# -- the prior ----------------------------------------------------------------------------------------------


def test_transferability_is_measured_of_every_parent_and_probes_stay_as_they_are(recorded: str) -> None:
    rule = {"prior": {"estimator": recorded, "options": {"ridge": 0.1}}}
    settings = replace(SETTINGS, parents=rule, probes=2, probe_training={"steps": 4})
    asked = settings.begin(FIVE).ask()
    assert [c.labels["parent"] for c in asked] == ["root", *reversed(FIVE.champions)]
    assert [c.labels["mutations"] for c in asked] == [["probe"]] * 2 + [["measure"]] * 4
    assert [c.training.steps for c in asked] == [4, 4, 0, 0, 0, 0]
    for candidate in asked:
        assert candidate.record is not None
        assert candidate.record.to_json() == {"estimator": recorded, "every": 10, "options": {"ridge": 0.1}}
        assert set(only(candidate).drafts()) - {"head"} <= {f"{only(candidate).steps['head'].reads[0]}"}
        assert not [d for n, d in without_head(only(candidate)).drafts().items() if "flatten" not in n]
    assert replace(settings, parents=None).begin(FIVE).ask() == [replace(c, record=None) for c in asked[:2]]


def test_what_is_only_measured_is_no_member(recorded: str) -> None:
    settings = replace(SETTINGS, parents={"prior": {"estimator": recorded}}, probes=1)
    search = settings.begin(FIVE)
    asked = told(search, reading(dict.fromkeys(["root", *FIVE.champions], 1.0)))
    assert [m.key for m in search.population] == [asked[0].hash]


def test_without_gains_the_parents_of_high_transferability_are_asked(recorded: str) -> None:
    values = dict(zip(["root", *FIVE.champions], [0.0, 0.1, 9.0, 0.2, 8.5, 0.3], strict=True))
    found: Counter[str] = Counter()
    settings = replace(SETTINGS, parents=Prior(recorded, correlation=0.95), children=2, generations=1)
    for run in range(60):
        found.update(parents_of(drive(settings, replace(FIVE, run=run), reading(values)), 1))
    assert sum(count for key, count in found.items() if values[key] > 1) > 0.9 * 120


def test_gains_of_the_first_rounds_move_the_later_ones() -> None:
    """A parent whose children gain much is asked again and again, though its probe is like all others."""
    best = next(iter(FIVE.champions))

    def answer(candidate: Candidate) -> float:
        mine = candidate.labels["parents"][0] == best
        return 0.5 if candidate.order == 0 else 0.6 + 0.3 * mine + 0.001 * candidate.order

    settings = replace(SETTINGS, parents=Prior(noise=0.2), children=2, generations=12)  # gains say much of their parent
    rounds = drive(settings, FIVE, quality(answer)).asked[1:]
    asked = [best in [c.labels["parents"][0] for c in each] for each in rounds]
    assert any(asked)
    first = asked.index(True)
    assert all(asked[first + 1 :]), "once its child has gained, it is asked in every round"
    chances = [max(c.labels["chance"] for c in each if c.labels["parents"][0] == best) for each in rounds[first + 1 :]]
    assert min(chances) > 0.5


def test_champions_remember_gains_and_later_searches_learn_from_them(recorded: str) -> None:
    """Transferability that was misleading in earlier tasks is turned around in the next."""
    view: View = FIVE
    settings = replace(SETTINGS, parents={"prior": {"estimator": recorded}}, children=6, generations=1)
    for _ in range(4):
        values = {key: float(i) for i, key in enumerate(["root", *view.champions])}

        def answer(candidate: Candidate, values: Any = values) -> Result:
            key = candidate.labels["parents"][0]
            result = reading(values)(candidate)
            value = 0.3 if candidate.order == 0 else 0.8 - 0.05 * values[key]
            return replace(result, measures=quality(lambda c: value)(candidate).measures)

        winner = drive(settings, view, answer).winner
        assert winner is not None
        gains = winner.extra["gains"]
        assert gains["estimator"] == recorded
        assert json.loads(json.dumps(gains)) == gains
        assert len(gains["pairs"]) >= 5
        z, gain = zip(*gains["pairs"], strict=True)
        assert (z[0] - z[-1]) * (gain[0] - gain[-1]) < 0
        view = later_view(view, winner)
    search = settings.begin(view)
    values = {key: float(i) for i, key in enumerate(["root", *view.champions])}
    told(search, reading(values))
    assert search.lineages is not None
    assert len(search.lineages.earlier) == 4
    belief = search.lineages.belief(Prior(recorded))
    keys = search.lineages.keys
    highest = keys.index(max(keys, key=lambda key: values[key]))
    assert belief.mean[highest] == belief.mean.min(), "the parent of highest transferability is believed in least"
    other = MuNet(parents="prior").begin(view)
    assert other.lineages is not None
    assert other.lineages.earlier == [], "gains that were measured otherwise are left out"


def test_tasks_learned_jointly_remember_their_gains_once() -> None:
    winner = drive(replace(SETTINGS, parents="prior"), example_view(3)).winner
    assert winner is not None
    view = later_view(example_view(3), winner)
    extras = [(c.candidate, c.extra) for c in view.champions.values()]
    assert len(extras) == 3
    assert len(earlier_gains(Prior(), extras)) == 1


def test_a_parent_whose_measuring_failed_stands_in_the_middle() -> None:
    lineages = Lineages(Prior(), ["a", "b", "c"])
    lineages.measured("a", 1.0)
    lineages.measured("b", float("nan"))
    lineages.measured("c", 0.0)
    mean = lineages.belief(Prior()).mean
    assert mean[0] > mean[1] > mean[2]
    assert transferability(Result("x" * 64, failure="lost")) != transferability(Result("x" * 64)), "neither is a number"


def test_draws_depend_on_names_alone() -> None:
    def drawn(seed: int) -> list[tuple[str, float]]:
        lineages = Lineages(Prior(), ["a", "b", "c", "d"])
        for place, key in enumerate(lineages.keys):
            lineages.measured(key, float(place))
        return lineages.draw(2, numpy_generator("draws", seed))

    assert drawn(0) == drawn(0)
    assert len({tuple(drawn(seed)) for seed in range(20)}) > 1


def test_trainers_measure_it_and_resumed_runs_draw_the_same_parents(tmp_path: FilePath) -> None:
    settings = replace(
        SETTINGS, parents=Prior("h_score", {"shrinkage": 0.1}), children=2, generations=1, rates={"clone": 1.0},
        probes=1, probe_training={"steps": 0}, scratch_generations=0,
    )  # fmt: skip

    def learned(directory: FilePath, stops: tuple[int, ...]) -> tuple[str, list[Any]]:
        System.create(directory, root=tiny_root(), training=TRAINING).close()
        for stop in (*stops, None):
            with System.open(directory) as system:
                try:
                    for name in ("a", "b", "c", "d"):
                        if name not in system.records:
                            progress = interrupt_after(stop) if stop else None
                            system.learn(task_of(name), settings, progress=progress)
                except KeyboardInterrupt:
                    continue
        with System.open(directory) as system:
            return system.fingerprint, [record.champion.extra["gains"] for record in system.records.values()]

    fingerprint, gains = learned(tmp_path / "whole", ())
    assert [len(each["pairs"]) for each in gains] == [0, 1, 2, 2]
    z = [pair[0] for pair in gains[-1]["pairs"]]
    assert all(abs(value) > 0 for value in z), "the trainer has measured the champions"
    assert (fingerprint, gains) == learned(tmp_path / "cut", (2, 4, 3))


# -- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [*RULES, None, {"prior": {"weight": 2, "noise": 0.2}}])
def test_rules_survive_plain_data(rule: Any) -> None:
    made = replace(SETTINGS, parents=rule)
    again = MuNet(**json.loads(json.dumps(made.to_json())))
    assert again.parents == made.parents
    assert [c.hash for c in drive(again, VIEW).candidates] == [c.hash for c in drive(made, VIEW).candidates]


@pytest.mark.parametrize(("wrong", "message"), [
    ("best", "`parents` must be 'uniform', 'exhaustive', or 'prior' .*found 'best'"),
    ({"prior": {}, "uniform": {}}, "`parents` must be"),
    ({"prior": 3}, "`prior` of `parents` must be a mapping"),
    ({"prior": {"wieght": 3}}, r"`prior` of `parents` must hold .*found \['wieght'\]"),
    ({"prior": {"weight": 0}}, "`weight` of `prior` must be above 0 .*found 0"),
    ({"prior": {"noise": 1}}, "`noise` of `prior` must be above 0 and below 1, found 1"),
    ({"prior": {"correlation": True}}, "`correlation` of `prior` must be above -1"),
    ({"prior": {"estimator": "luck"}}, "`estimator` of `prior` must be one of .*found 'luck'"),
    ({"prior": {"options": {"ridge": 1}}}, "`options` of `prior` must be left out for `probe`"),
])
def test_bad_rules_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        as_parents(wrong)
