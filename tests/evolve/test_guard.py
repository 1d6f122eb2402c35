"""The guard: sharing is kept where it does not lose to a network from scratch, and dropped where it does."""

import json
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pytest
from helpers_munet import OFTEN, VIEW, after, only, quality
from helpers_tiny import TRAINING, interrupt_after, task_of, tiny_root

from pathways import System
from pathways.candidate import Candidate, Measures, Result
from pathways.errors import ConfigError
from pathways.evolve import Guard, MuNet
from pathways.evolve.guard import as_guard
from pathways.modules import Init
from pathways.strategy import Winner
from pathways.task import Values
from pathways.testing import StrategySuite
from pathways.testing.fake import Drive, drive, example_root, example_view, failed, fake_result, later_view

SETTINGS = MuNet(generations=2, children=4, rates=OFTEN, guard=True)
TWO = after(2)
THREE = example_view(3)


class TestMuNetWithAGuard(StrategySuite):
    strategy = replace(SETTINGS, parents="prior", guard={"repeats": 2, "alpha": 0.1})
    view = TWO


class TestMuNetWithAGuardOfSeveralTasks(StrategySuite):
    strategy = SETTINGS
    view = THREE


def scratch(candidate: Candidate) -> bool:
    return candidate.labels["parent"] == "scratch"


def won(run: Drive) -> Winner:
    assert run.winner is not None
    return run.winner


def told_qualities(sharing: float, alone: float) -> Any:
    return quality(lambda c: alone if scratch(c) else sharing)


# -- one task -----------------------------------------------------------------------------------------------


def test_a_scratch_candidate_is_in_every_race_and_nothing_else_changes() -> None:
    settings = replace(SETTINGS, scratch_training={"steps": 77}, guard={"repeats": 3})
    guarded, plain = drive(settings, TWO), drive(replace(settings, guard=None), TWO)
    own = [c for c in guarded.asked[0] if scratch(c)]
    assert [c.repeat for c in own] == [0, 1, 2]
    assert guarded.asked[0] == [*plain.asked[0], *own]
    assert guarded.asked[1:] == plain.asked[1:]
    for candidate in own:
        assert set(candidate.drafts()) == {"flat", "a", "b", "head"}
        assert not only(candidate).frozen()
        assert all(draft.start == Init() for draft in candidate.drafts().values())
        assert (candidate.training.steps, candidate.labels["parents"]) == (77, [])
        assert candidate.labels["mutations"] == ["scratch"]


def test_sharing_that_helps_is_kept_and_sharing_that_harms_is_not() -> None:
    helpful = won(drive(SETTINGS, TWO, told_qualities(0.8, 0.6)))
    assert helpful.parents
    assert helpful.extra["guard"] == {
        "task0''": {"kept": "sharing", "sharing": 0.8, "scratch": 0.6, "parents": list(helpful.parents)}
    }
    harmful = won(drive(SETTINGS, TWO, told_qualities(0.5, 0.6)))
    assert harmful.parents == ()
    assert scratch(harmful.candidate)
    assert not set(only(harmful.candidate).frozen()), "nothing of it is shared"
    said = harmful.extra["guard"]["task0''"]
    assert (said["kept"], said["sharing"], said["scratch"]) == ("scratch", 0.5, 0.6)
    assert said["parents"], "whom it would have shared with"
    assert json.loads(json.dumps(dict(harmful.extra))) == harmful.extra


def test_equal_is_not_lost() -> None:
    assert won(drive(SETTINGS, TWO, told_qualities(0.6, 0.6))).parents


def test_size_does_not_count_against_scratch() -> None:
    """Sharing is charged less for size; whether it harms is a question of quality."""
    assert won(drive(replace(SETTINGS, size=0.5), TWO, told_qualities(0.60, 0.61))).parents == ()


def test_the_best_of_the_repeats_counts() -> None:
    def answer(candidate: Candidate) -> float:
        return 0.5 + 0.1 * candidate.repeat if scratch(candidate) else 0.55

    assert won(drive(replace(SETTINGS, guard={"repeats": 1}), TWO, quality(answer))).parents
    winner = won(drive(replace(SETTINGS, guard={"repeats": 3}), TWO, quality(answer)))
    assert winner.candidate.repeat == 2


def test_a_champion_from_scratch_is_a_parent_like_any_other() -> None:
    winner = won(drive(replace(SETTINGS, parents="prior"), TWO, told_qualities(0.5, 0.6)))
    assert winner.extra["gains"]["pairs"], "what was learned of transferability is not lost"
    search = SETTINGS.begin(later_view(TWO, winner))
    assert "task0''" in [seed.key for seed in search.seeds]


def test_where_there_is_only_an_untrained_root_there_is_nothing_to_guard_against() -> None:
    untrained = example_view(root=example_root(frozen=False))
    run = drive(SETTINGS, untrained)
    assert not any(map(scratch, run.candidates))
    later = drive(SETTINGS, later_view(untrained, won(run)))
    assert [c.labels["parent"] for c in later.asked[0]] == ["task0", "scratch"]


def test_without_a_root_scratch_has_the_newest_champions_architecture() -> None:
    run = drive(SETTINGS, replace(TWO, root=None))
    own = next(c for c in run.asked[0] if scratch(c))
    assert own.labels["parents"] == []
    newest = next(reversed(TWO.champions.values())).path
    assert list(only(own).steps) == list(newest.steps)


def test_the_guard_wins_where_nothing_else_was_trained() -> None:
    run = drive(SETTINGS, TWO, lambda c: fake_result(c) if scratch(c) else failed(c))
    assert won(run).extra["guard"] == {"task0''": {"kept": "scratch"}}
    kept = drive(SETTINGS, TWO, lambda c: failed(c) if scratch(c) else fake_result(c))
    assert "guard" not in won(kept).extra


# -- several tasks ------------------------------------------------------------------------------------------


def jointly(lost: set[str]) -> Any:
    """A fake engine in which tasks of `lost` are better alone."""
    def answer(candidate: Candidate) -> Result:
        result = fake_result(candidate)
        alone = scratch(candidate)
        values = {task: 0.7 if alone == (task in lost) else 0.5 for task in candidate.paths}
        return replace(result, measures={t: Measures(q, q, 1 - q, q, 100) for t, q in values.items()})

    return answer


def test_each_task_has_a_scratch_candidate_of_its_own() -> None:
    asked = SETTINGS.begin(THREE).ask()
    assert [list(c.paths) for c in asked if scratch(c)] == [["task0"], ["task1"], ["task2"]]
    assert all(set(c.data) == set(c.paths) for c in asked)


@pytest.mark.parametrize("lost", [set(), {"task1"}, {"task0", "task1", "task2"}])
def test_a_task_that_sharing_harms_is_learned_alone(lost: set[str]) -> None:
    winner = won(drive(SETTINGS, THREE, jointly(lost)))
    assert set(winner.alone) == lost
    for task in ("task0", "task1", "task2"):
        own = winner.of(task)
        assert own.extra["guard"][task]["kept"] == ("scratch" if task in lost else "sharing")
        assert set(own.extra["guard"]) == ({task} if task in lost else {"task0", "task1", "task2"} - lost)
        assert own.result.measures[task].quality == 0.7
        assert set(own.candidate.paths) == ({task} if task in lost else set(winner.paths))
        assert bool(own.parents) == (task not in lost)


def test_all_are_learned_alone_where_no_shared_path_was_trained() -> None:
    winner = won(drive(SETTINGS, THREE, lambda c: fake_result(c) if scratch(c) else failed(c)))
    assert [list(winner.of(t).paths) for t in ("task0", "task1", "task2")] == [["task0"], ["task1"], ["task2"]]
    some = drive(SETTINGS, THREE, lambda c: fake_result(c) if scratch(c) and "task1" not in c.paths else failed(c))
    assert some.winner is None


# -- in a run -----------------------------------------------------------------------------------------------

TINY = MuNet(
    generations=1, children=2, rates={"clone": 0.5}, guard=True, parents="prior", probe_training={"steps": 0},
    scratch_training={"steps": 60},
)


def test_decisions_are_frozen_into_the_pool_and_seen_in_the_summary(tmp_path: FilePath) -> None:
    """Tasks behind a root of random weights: a network of their own is better, and joins the pool as one."""
    system = System.create(tmp_path / "run", root=tiny_root(), training=TRAINING)
    settings = replace(TINY, scratch_generations=0)
    system.learn(task_of("first"), settings)
    system.learn([task_of("second"), task_of("third")], replace(settings, probes=1, generations=0))
    said = {name: record.champion.extra.get("guard", {}) for name, record in system.records.items()}
    assert said["first"] == {}
    for name in ("second", "third"):
        assert set(said[name]) <= {"second", "third"}
        alone = said[name][name]["kept"] == "scratch"
        champion = system.champions[name]
        assert (champion.parents == ()) == alone
        assert bool(set(champion.path.frozen()) & set(system.champions["first"].path.frozen())) != alone
        assert champion.measures.quality == max(said[name][name]["sharing"], said[name][name]["scratch"])
    guards = {task["name"]: task["guard"] for task in system.summary()["tasks"]}
    assert guards == {"first": "", **{name: said[name][name]["kept"] for name in ("second", "third")}}
    assert "scratch" in guards.values(), "a head on the frozen trunk of another task loses here"
    assert system.verify().ok


def test_a_run_that_is_cut_short_resumes_to_the_same_champions(tmp_path: FilePath) -> None:
    def learn(directory: FilePath, stops: tuple[int, ...]) -> str:
        system = System.create(directory, root=tiny_root(), training=TRAINING)
        system.close()
        for stop in (*stops, None):
            with System.open(directory) as system:
                try:
                    for name in ("a", "b", "c"):
                        if name not in system.records:
                            progress = interrupt_after(stop) if stop else None
                            system.learn(task_of(name), TINY, progress=progress)
                except KeyboardInterrupt:
                    continue
        with System.open(directory) as system:
            assert list(system.records) == ["a", "b", "c"]
            return system.fingerprint

    assert learn(tmp_path / "whole", ()) == learn(tmp_path / "cut", (2, 4, 3))


# -- the rule -----------------------------------------------------------------------------------------------


def test_the_test_keeps_its_level_where_both_are_as_good() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    drops = [
        Guard(alpha=0.05).drops(*(Measures(q, q, 0.0, q, 200) for q in rng.binomial(200, 0.8, 2) / 200))
        for _ in range(2000)
    ]
    assert 0.025 < sum(drops) / 2000 < 0.075


def test_alpha_needs_classes() -> None:
    view = replace(VIEW, tasks=(replace(VIEW.tasks[0], target=Values(2)),))
    message = r"`alpha` of `guard` must be left out where targets are not classes, .*'task0'"
    with pytest.raises(ConfigError, match=message):
        MuNet(guard={"alpha": 0.05}).begin(view)
    MuNet(guard=True).begin(view)


@pytest.mark.parametrize("value", [True, Guard(), {"alpha": 0.05}, {}])
def test_guards_survive_plain_data(value: Any) -> None:
    made = MuNet(guard=value)
    again = MuNet(**json.loads(json.dumps(made.to_json())))
    assert again.guard == made.guard == as_guard(value)


def test_a_prior_comes_with_a_guard_unless_told_otherwise() -> None:
    assert MuNet().guard is None
    assert MuNet(parents="uniform").guard is None
    assert MuNet(parents="prior").guard == Guard()
    assert MuNet(parents="prior", guard=False).guard is False
    again = MuNet(**json.loads(json.dumps(MuNet(parents="prior", guard=False).to_json())))
    assert again.guard is False


@pytest.mark.parametrize(("wrong", "message"), [
    ("yes", "`guard` must be true, or a mapping of"),
    ({"repeat": 2}, r"`guard` must be true, or a mapping of \['repeats', 'alpha'\], found"),
    ({"repeats": 0}, "`repeats` must be a whole number of at least 1, found 0"),
    ({"alpha": 1.0}, "`alpha` of `guard` must be above 0 and below 1, found 1.0"),
    ({"alpha": True}, "`alpha` of `guard` must be above 0"),
])
def test_bad_guards_are_named(wrong: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        as_guard(wrong)
