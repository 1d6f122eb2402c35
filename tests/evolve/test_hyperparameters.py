"""Hyperparameters from Optuna: what is drawn, that it replays, and that scores guide it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import optuna
import pytest
from helpers_munet import VIEW, quality

from pathways.candidate import Candidate, Result
from pathways.errors import ConfigError
from pathways.evolve import FineTune, FineTuneAll, Independent, MuNet
from pathways.evolve.hyperparameters import (
    SAMPLERS,
    SPACE,
    HyperparameterStudy,
    Sampler,
    as_hyperparameters,
    check_space,
)
from pathways.testing import StrategySuite
from pathways.testing.fake import drive, failed, fake_result

LISTS = {"lr": (1e-3, 1e-2, 1e-1), "schedule": ("constant", "cosine"), "warmup": (0.4, 0.2, 0.0), "steps": (10, 40, 20)}
SETTINGS: dict[str, dict[str, Any]] = {"gp": {"n_startup_trials": 2}, "tpe": {"n_startup_trials": 2}}


class TestMuNetDrawn(StrategySuite):
    strategy = MuNet(generations=3, children=4, hyperparameters="optuna")


class TestIndependentTuned(StrategySuite):
    strategy = Independent(hyperparameters="optuna", candidates=7, children=3)


class TestFineTuneTuned(StrategySuite):
    strategy = FineTune(hyperparameters={"optuna": {"sampler": "random"}}, candidates=4)


def run(sampler: Sampler, *names: str, rounds: int = 3, lists: Any = LISTS) -> list[dict[str, Any]]:
    """What a study draws that is told the learning rate as the score."""
    study, drawn = HyperparameterStudy(lists, sampler, 0, *names), []
    for _ in range(rounds):
        asked = [study.ask() for _ in range(3)]
        drawn += [values for _, values in asked]
        for i, (number, values) in enumerate(asked):
            study.tell(number, values["lr"] if i else None, () if i else (0.1, 0.2)[: len(drawn) % 2])
    return drawn


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"cma-es"}))  # which needs a package of its own
def test_every_sampler_draws_from_the_lists_and_repeats_itself(name: str) -> None:
    sampler = Sampler(name, SETTINGS.get(name, {}))
    rounds = 2 if name == "gp" else 3  # each fit of a Gaussian process takes about a second
    drawn = run(sampler, rounds=rounds)
    assert drawn == run(sampler, rounds=rounds)
    assert all(values[key] in LISTS[key] for values in drawn for key in LISTS)
    assert len({values["lr"] for values in drawn}) > 1


def test_seeds_derive_from_the_names() -> None:
    sampler = Sampler("random")
    assert run(sampler, "a", "munet") != run(sampler, "b", "munet") != run(sampler, "b", "independent")


def test_ordered_numbers_are_searched_by_index_and_all_else_as_categories() -> None:
    seen: dict[str, Any] = {}

    class Looking(optuna.samplers.RandomSampler):
        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            seen[name] = distribution
            return super().sample_independent(study, trial, name, distribution)

    run(Sampler(Looking), rounds=1)
    assert seen["lr"] == seen["warmup"] == optuna.distributions.IntDistribution(0, 2)
    assert seen["schedule"] == optuna.distributions.CategoricalDistribution((0, 1))
    assert seen["steps"] == optuna.distributions.CategoricalDistribution((0, 1, 2))


def test_scores_guide_what_is_drawn() -> None:
    """TPE after 60 scores that rise along the list draws from its upper end more often than at random."""
    values = tuple(0.01 * i for i in range(1, 21))
    drawn = [d["lr"] for d in run(Sampler(), rounds=30, lists={"lr": values})]
    assert sum(drawn[60:]) / 30 > 0.75 * values[-1] > sum(drawn[:9]) / 9


@pytest.mark.parametrize(("value", "message"), [
    ("by hand", "`hyperparameters` must be 'inherit', 'optuna' or 'optuna' with settings, found 'by hand'"),
    ({"optuna": 3}, "`hyperparameters` must be"),
    ({"optuna": {}, "inherit": {}}, "`hyperparameters` must be"),
    (7, "`hyperparameters` must be"),
    ({"optuna": {"sampler": "os.system"}}, r"`name` of the sampler must be one of \['brute-force', .*'os.system'"),
    ({"optuna": {"sampler": "tpe", "startup": 3}}, "must be keyword arguments of `optuna.samplers.TPESampler`"),
    ({"optuna": {"seed": 3}}, r"must leave out \['seed'\], which the search gives it"),
])
def test_settings_that_are_not_valid_are_refused(value: Any, message: str) -> None:
    for make in (as_hyperparameters, lambda v: MuNet(hyperparameters=v), lambda v: Independent(hyperparameters=v)):
        with pytest.raises(ConfigError, match=message):
            make(value)


def test_settings_are_read_as_they_are_written() -> None:
    assert as_hyperparameters("optuna") == as_hyperparameters({"optuna": None}) == Sampler()
    for strategy in (
        MuNet(hyperparameters={"optuna": {"sampler": "gp", "n_startup_trials": 3}}),
        FineTuneAll(hyperparameters="optuna", candidates=9), MuNet(), Independent(),
    ):  # fmt: skip
        data = json.loads(json.dumps(strategy.to_json()))
        assert type(strategy)(**data).hyperparameters == strategy.hyperparameters
    assert type(Sampler("TPESampler").make(LISTS, 1)) is type(Sampler("tpe").make(LISTS, 1))
    assert Sampler(optuna.samplers.RandomSampler).to_json() == {"optuna": {"sampler": "RandomSampler"}}


def test_spaces_are_checked() -> None:
    check_space(SPACE)
    for space, message in [({"speed": [1]}, "found 'speed'"), ({"lr": []}, "non-empty"), ({"lr": [-1]}, "`lr` must")]:
        with pytest.raises(ConfigError, match=message):
            Independent(space=space)


# -- muNet --------------------------------------------------------------------------------------------------


def test_children_have_drawn_hyperparameters_and_probes_their_own() -> None:
    settings = MuNet(generations=4, children=6, hyperparameters="optuna", space=LISTS)
    run = drive(settings, VIEW)
    assert {c.training.lr for c in run.asked[0]} == {VIEW.training.lr}
    children = [c for asked in run.asked[1:] for c in asked]
    assert {c.training.lr for c in children} == set(LISTS["lr"])
    assert all(getattr(c.training, name) in values for c in children for name, values in LISTS.items())
    said = [(c.training.lr, word) for c in children for word in c.labels["mutations"] if word.startswith("lr ")]
    assert said
    assert all(word.endswith(f" -> {lr}") for lr, word in said)


def test_drawing_follows_the_scores_of_a_search() -> None:
    """Where only the learning rate decides, TPE finds the best of twenty more often than chance does."""
    values = tuple(round(0.005 * i, 3) for i in range(1, 21))
    best = quality(lambda c: 1 - abs(c.training.lr - 0.08) if c.order else 0.1)
    settings = MuNet(generations=10, children=6, hyperparameters="optuna", space={"lr": values})
    late = [c.training.lr for asked in drive(settings, VIEW, best).asked[6:] for c in asked]
    assert sum(abs(lr - 0.08) for lr in late) / len(late) < 0.02


def test_failed_children_are_told_as_failed() -> None:
    settings = MuNet(generations=3, children=4, hyperparameters="optuna")
    run = drive(settings, VIEW, lambda c: failed(c) if c.order == 1 else fake_result(c))
    assert run.winner is not None
    assert len(run.asked) == 4


# -- controls -----------------------------------------------------------------------------------------------


def test_a_tuned_control_tries_as_many_as_told_and_keeps_the_best() -> None:
    strategy = Independent(hyperparameters="optuna", candidates=10, children=4, steps=30, space=LISTS | {"steps": [5]})
    run = drive(strategy, VIEW, quality(lambda c: c.training.lr))
    assert [len(asked) for asked in run.asked] == [4, 4, 2]
    assert [c.labels["number"] for c in run.candidates] == list(range(10))
    assert run.winner is not None
    assert run.winner.candidate.training.lr == 0.1
    assert {c.training.steps for c in run.candidates} == {5}, "what is searched is not fixed"
    assert all(c.paths == run.candidates[0].paths for c in run.candidates)


def test_a_tuned_control_survives_failures_and_stops() -> None:
    def answer(candidate: Candidate) -> Result:
        if candidate.training.lr == 1e-3:
            return failed(candidate)
        return fake_result(candidate) if candidate.training.lr == 1e-2 else replace(fake_result(candidate), stopped=3)

    run = drive(FineTuneAll(hyperparameters="optuna", candidates=12, space=LISTS), VIEW, answer)
    assert run.winner is not None
    assert run.winner.candidate.training.lr == 1e-2


def test_a_tuned_control_has_no_repeats_and_numbers_are_checked() -> None:
    with pytest.raises(ConfigError, match="`repeats` must be 1 where `optuna` draws hyperparameters, found 2"):
        Independent(hyperparameters="optuna", repeats=2)
    with pytest.raises(ConfigError, match="`candidates` must be a whole number of at least 1, found 0"):
        Independent(candidates=0)
    assert not Independent().tuned
