"""Racing in muNet: whom children race, that races replay, and that a search without false stops is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
from helpers_munet import OFTEN, VIEW, after, told
from helpers_tiny import TRAINING, task_of, tiny_root

from pathways.candidate import Candidate, Result
from pathways.errors import ConfigError
from pathways.evolve import Local, MuNet
from pathways.evolve.munet_search import MuNetSearch
from pathways.in_process import InProcess
from pathways.pruner import Pruner
from pathways.racing import Paired, pack, unpack
from pathways.report import write_report
from pathways.report.tried import tried
from pathways.summary_table import summary_text
from pathways.system import System
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, example_view, failed, fake_result, sha

MEDIAN = {"pruner": {"name": "median", "n_startup_trials": 2}}


def raced(candidate: Candidate) -> Result:
    """A fake result with merits of the final quality at each point, stopped where the race says so."""
    result = fake_result(candidate)
    if candidate.race is None or not candidate.race.points(candidate.training.steps):
        return result
    merits = {
        task: np.array([int(sha(candidate.hash, task, i)[:8], 16) / 16**8 < m.quality for i in range(80)], dtype=float)
        for task, m in result.measures.items()
    }
    for i, step in enumerate(candidate.race.points(candidate.training.steps), 1):
        record = {task: (pack(m),) * i for task, m in merits.items()}
        if candidate.race.stops([merits] * i):
            return replace(result, stopped=step, blobs={}, optimizers={}, merits=record)
    return replace(result, merits=record)


class TestRaced(StrategySuite):
    strategy = MuNet(generations=3, children=5, racing="paired", size=0.9)


class TestPruned(StrategySuite):
    strategy = MuNet(generations=3, children=5, racing=MEDIAN, hyperparameters="optuna")


@pytest.mark.parametrize("racing", ["paired", MEDIAN, {"paired": {"rival": "best"}}])
@pytest.mark.parametrize("hyperparameters", ["inherit", "optuna"])
def test_raced_searches_replay_and_those_stopped_never_live(racing: Any, hyperparameters: str) -> None:
    settings = MuNet(generations=5, children=8, rates=OFTEN, racing=racing, hyperparameters=hyperparameters)
    once, again = drive(settings, after(1), raced), drive(settings, after(1), raced)
    assert [c.hash for c in once.candidates] == [c.hash for c in again.candidates]
    assert once.winner == again.winner is not None
    stopped = {c.hash for c, r in once.told if r.stopped}
    assert 0 < len(stopped) < len(once.told)
    assert isinstance(once.search, MuNetSearch)
    assert not stopped & {m.key for m in once.search.population}
    assert not stopped & {c.labels["parent"] for c in once.candidates}


def test_a_child_races_its_parent_and_the_record_is_of_earlier_generations() -> None:
    search = MuNet(generations=5, children=8, rates=OFTEN, racing="paired").begin(after(1))
    results: dict[str, Result] = {}
    probes: dict[str, str] = {}
    raced_with_a_rival = 0
    while asked := search.ask():
        for candidate in asked:
            race = candidate.race
            assert race is not None
            parent = candidate.labels["parent"]
            if search.generation == 0:
                probes[parent] = candidate.hash
                assert race.rivals == ()
                continue
            (rival,) = race.rivals
            assert rival.candidate == probes.get(parent, parent)
            assert rival.merits == results[rival.candidate].merits
            raced_with_a_rival += 1
        answers = [(c, raced(c)) for c in asked]
        search.tell(answers)
        results |= {c.hash: r for c, r in answers}
    assert raced_with_a_rival == 40


def test_the_rival_may_be_the_best_so_far() -> None:
    search = MuNet(generations=4, children=8, rates=OFTEN, racing=Paired(rival="best")).begin(after(1))
    told(search, raced)
    while asked := told(search, raced):
        best = {rival.candidate for c in asked if c.race for rival in c.race.rivals}
        assert len(best) == 1
    winner = search.best()
    assert winner is not None


def test_a_child_of_a_seed_that_was_not_probed_races_nobody() -> None:
    search = MuNet(probes=1, children=60, rates=OFTEN, racing="paired").begin(after(1))
    told(search, raced)
    children = search.ask()
    unprobed = [c for c in children if c.labels["parent"] == "task0"]
    assert unprobed
    assert all(c.race is not None and not c.race.rivals for c in unprobed)


def test_discounts_are_those_of_the_score() -> None:
    """What a race multiplies quality by is what the score does once the candidate is trained."""
    search = MuNet(generations=3, children=8, rates=OFTEN, size=0.5, compute=0.9, racing="paired").begin(after(1))
    seen = set()
    while asked := told(search, raced):
        for candidate in asked:
            result = fake_result(candidate)
            assert candidate.race is not None
            for task, factor in candidate.race.factors.items():
                expected = search._scored(candidate.trained_paths(result), result) / result.measures[task].quality
                assert factor == pytest.approx(expected)
                seen.add(factor)
    assert len(seen) > 5


def test_a_pruner_gets_the_curves_of_all_that_were_tried_before() -> None:
    search = MuNet(generations=4, children=5, rates=OFTEN, racing=MEDIAN, size=0.9).begin(VIEW)
    before: list[Result] = []
    while asked := search.ask():
        for candidate in asked:
            assert candidate.race is not None
            assert isinstance(candidate.race.rule, Pruner)
            known = list(dict.fromkeys(r.candidate for r in before))
            assert [rival.candidate for rival in candidate.race.rivals] == known
            scores = {r.candidate: None if r.stopped else r for r in before}
            assert all((rival.score is None) == (scores[rival.candidate] is None) for rival in candidate.race.rivals)
        answers = [raced(c) for c in asked]
        search.tell(list(zip(asked, answers, strict=True)))
        before += answers
    first = search._rivals._known[before[0].candidate] if search._rivals else None
    assert first is not None
    factor = before[0].measures["task0"].quality
    assert first.score is not None
    merits = unpack(before[0].merits["task0"][0])
    assert first.curve == pytest.approx([merits.mean() * first.score / factor] * 3)


def test_several_tasks_race_by_their_mean() -> None:
    settings = MuNet(generations=3, children=8, rates=OFTEN, racing="paired")
    run = drive(settings, example_view(tasks=2), raced)
    races = [c.race for asked in run.asked[1:] for c in asked]
    assert all(race is not None and set(race.factors) == {"task0", "task1"} for race in races)
    assert any(r.stopped for _, r in run.told)


def test_a_sampler_is_told_scores_and_what_was_stopped_with_its_curve() -> None:
    settings = MuNet(generations=4, children=6, rates=OFTEN, racing="paired", hyperparameters="optuna", size=0.9)
    run = drive(settings, VIEW, lambda c: failed(c) if c.labels["number"] == 3 else raced(c))
    search = run.search
    assert isinstance(search, MuNetSearch)
    assert search._study is not None
    trials = search._study._study.trials
    children = run.told[len(run.asked[0]):]
    assert len(trials) == len(children)
    for trial, (candidate, result) in zip(trials, children, strict=True):
        assert candidate.race is not None
        if result.stopped:
            points = candidate.race.points(candidate.training.steps)
            assert trial.state.name == "PRUNED"
            assert len(trial.intermediate_values) == points.index(result.stopped) + 1
        elif result.failure:
            assert trial.state.name == "FAIL"
        else:
            assert trial.value == pytest.approx(search.score_of(candidate, result))
    assert {trial.state.name for trial in trials} == {"PRUNED", "FAIL", "COMPLETE"}


def test_rules_are_settings_that_survive_json() -> None:
    for racing in (None, "paired", {"paired": {"alpha": 0.01}}, MEDIAN, Paired(0.2), Pruner("hyperband")):
        settings = MuNet(racing=racing)
        assert MuNet(**json.loads(json.dumps(settings.to_json()))).racing == settings.racing
    assert MuNet().racing is None
    with pytest.raises(ConfigError, match="`racing` must be 'paired'"):
        MuNet(racing="hyperband")


# -- trained for real ---------------------------------------------------------------------------------------

SETTINGS = MuNet(generations=3, children=5, rates=OFTEN, racing={"paired": {"alpha": 0.5}})


class Stopping(InProcess):
    """An engine that dies after a number of answers."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.left = answers

    def next(self, timeout: float | None = None) -> Any:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().next(timeout)


def learn(folder: FilePath, settings: MuNet, names: Sequence[str] = ("one", "two"),
          engine: Callable[[], Any] = InProcess) -> System:
    tasks = [task_of(name) for name in names]
    known = (folder / "system.json").exists()
    system = System.open(folder) if known else System.create(folder, seed=3, root=tiny_root(), training=TRAINING)
    for task in tasks:
        if task.name not in system.champions:
            system.learn(task, settings, engine=engine())
    return system


@pytest.mark.parametrize("hyperparameters", ["inherit", "optuna"])
def test_a_run_that_was_cut_off_goes_on_to_the_same_champions(tmp_path: FilePath, hyperparameters: str) -> None:
    settings = replace(SETTINGS, hyperparameters=hyperparameters)
    whole = learn(tmp_path / "a", settings)
    stopped = [row for row in whole.ledger.rows() if row.result.stopped]
    assert stopped, "this test needs a search in which somebody is stopped"
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "b", settings, engine=lambda: Stopping(9))
    resumed = learn(tmp_path / "b", settings)
    assert resumed.fingerprint == whole.fingerprint
    hashes = [{row.hash for row in system.ledger.rows()} for system in (whole, resumed)]
    assert hashes[0] == hashes[1]


def test_races_do_not_depend_on_workers(tmp_path: FilePath) -> None:
    settings = replace(SETTINGS, generations=3)
    here = learn(tmp_path / "a", settings, ["one"])
    with closing(Local(workers=2)) as engine:
        there = learn(tmp_path / "b", settings, ["one"], engine=lambda: engine)
    assert there.fingerprint == here.fingerprint
    stops = [{(row.hash, row.result.stopped) for row in system.ledger.rows()} for system in (here, there)]
    assert stops[0] == stops[1]
    assert any(step for _, step in stops[0])


def test_what_races_stopped_is_shown(tmp_path: FilePath) -> None:
    system = learn(tmp_path, SETTINGS, ["one"])
    rows = [row.result for row in system.ledger.rows()]
    summary = system.summary()
    side = summary["sides"]["champions"]
    steps = sum(result.stopped or TRAINING.steps for result in rows)
    assert side["stopped"] == sum(bool(result.stopped) for result in rows) > 0
    assert side["steps_saved"] == pytest.approx(1 - steps / (TRAINING.steps * len(rows)))
    said = f"races stopped {side['stopped']} of {len(rows)} candidates of champions: {100 * side['steps_saved']:.0f} %"
    assert said in summary_text(summary)
    assert said.capitalize() in write_report(system).read_text()
    every = tried(system.ledger.rows(), {name: c.candidate for name, c in system.champions.items()})
    for one in every:
        assert all(0 <= rung <= 1 for rung in one.rungs)
        if one.stopped:  # the last rung is where it was stopped
            assert one.rungs[-1] == pytest.approx(one.quality, abs=1e-6)
    assert {len(one.rungs) for one in every if not one.stopped} == {max(len(one.rungs) for one in every)} != {0}
    assert "its rungs" in write_report(system).read_text()
    other = learn(tmp_path / "b", replace(SETTINGS, racing=None), ["one"]).summary()
    assert other["sides"]["champions"]["stopped"] == other["sides"]["champions"]["steps_saved"] == 0
    assert "races" not in summary_text(other)


def test_without_false_stops_racing_changes_no_champion(tmp_path: FilePath) -> None:
    """Against the parent, only those are stopped who would not have lived: the search goes on as without."""
    strict = replace(SETTINGS, racing={"paired": {"alpha": 0.3}})
    with_races, without = learn(tmp_path / "a", strict), learn(tmp_path / "b", replace(strict, racing=None))
    assert any(row.result.stopped for row in with_races.ledger.rows())
    for name, champion in without.champions.items():
        other = with_races.champions[name]
        assert other.path.hash == champion.path.hash
        assert other.measures == champion.measures
