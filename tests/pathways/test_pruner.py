"""Races by Optuna's pruners: which curves are stopped, repeatably and without noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest

from pathways.errors import ConfigError
from pathways.pruner import PRUNERS, Pruner
from pathways.racing import Race, Rival

SETTINGS: dict[str, dict[str, Any]] = {
    "median": {"n_startup_trials": 2},
    "percentile": {"percentile": 25.0, "n_startup_trials": 2},
    "successive-halving": {"reduction_factor": 2, "min_resource": 1},
    "hyperband": {"reduction_factor": 2, "max_resource": 3},
    "threshold": {"lower": 0.4},
    "wilcoxon": {"p_threshold": 0.3, "n_startup_steps": 0},
    "patient": {"patience": 0, "wrapped_pruner": {"name": "median", "n_startup_trials": 2}},
    "nop": {},
}


def race_of(pruner: Pruner, *curves: tuple[float, ...]) -> Race:
    """A race against candidates with these curves; those that end early were stopped."""
    rivals = [Rival(f"{i}", curve, curve[-1] if len(curve) == 3 else None) for i, curve in enumerate(curves)]
    return Race(pruner, {"a": 1.0}, tuple(rivals))


def answers(race: Race, curve: tuple[float, ...]) -> list[bool]:
    """Whether a candidate of that curve is stopped at each of its points."""
    seen = [{"a": np.array([q])} for q in curve]
    return [race.stops(seen[: i + 1]) for i in range(len(seen))]


GOOD = ((0.5, 0.7, 0.8), (0.6, 0.7, 0.9), (0.55, 0.72, 0.85), (0.5, 0.6))


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_answers_repeatably(name: str) -> None:
    race = race_of(Pruner(name, SETTINGS[name]), *GOOD)
    for curve in [(0.1, 0.1, 0.1), (0.9, 0.95, 0.99)]:
        assert answers(race, curve) == answers(race, curve)
    assert not any(answers(race, (0.9, 0.95, 0.99)))
    again = Race.from_json(race.to_json())
    assert answers(again, (0.1, 0.1, 0.1)) == answers(race, (0.1, 0.1, 0.1))


@pytest.mark.parametrize("name", sorted(set(PRUNERS) - {"nop", "hyperband"}))
def test_a_bad_curve_is_stopped(name: str) -> None:
    assert any(answers(race_of(Pruner(name, SETTINGS[name]), *GOOD), (0.3, 0.2, 0.1)))


def test_a_class_may_be_named_itself() -> None:
    assert type(Pruner("MedianPruner").make()) is type(Pruner("median").make()) is optuna.pruners.MedianPruner


def test_the_median_is_of_candidates_that_ended() -> None:
    pruner = Pruner("median", {"n_startup_trials": 3})
    assert answers(race_of(pruner, *GOOD), (0.52, 0.9, 0.9)) == [True, False, False]
    assert answers(race_of(pruner, *GOOD[:2], (0.1,)), (0.0, 0.0, 0.0)) == [False] * 3, "too few of them"
    assert answers(race_of(pruner), (0.0,)) == [False]


def test_curves_are_compared_in_units_of_the_score() -> None:
    cheap = race_of(Pruner("median", {"n_startup_trials": 2}), *GOOD)
    dear = Race(cheap.rule, {"a": 0.5}, cheap.rivals)
    assert answers(cheap, (0.8,)) == [False]
    assert answers(dear, (0.8,)) == [True]


def test_optunas_verbosity_is_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    answers(race_of(Pruner("wilcoxon"), *GOOD), (0.1, 0.1))
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("data", "message"), [
    ({}, "`pruner` of `racing` must have a `name`, one of .*'hyperband'"),
    ({"name": "os.system"}, r"`name` of the pruner must be one of \['hyperband', .*found 'os.system'"),
    ({"name": "BasePruner"}, "`name` of the pruner must be one of"),
    ({"name": "median", "percentile": 3}, "must be keyword arguments of `optuna.pruners.MedianPruner`, found .*3"),
    ({"name": "percentile"}, "must be keyword arguments of `optuna.pruners.PercentilePruner`"),
    ({"name": "median", "at": [2]}, "`at` must be rising shares"),
])
def test_pruners_that_are_not_valid_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Pruner.of(data)
