"""The answer in words: each case says what the intervals say, and no more."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from findings_for_tests import findings

from pathways.affinity.findings import Findings
from pathways.affinity.report import answer
from pathways.affinity.report.answer import _VERDICTS, groups_text, side, verdict

STEADY = np.array([[-1.0], [0.0], [1.0]])  # what three seeds differ by


def shifted(chosen: float, together: float, spread: float = 0.001, **changes: object) -> Findings:
    """A study in which the splits differ from separate networks by these gains, and seeds by `spread`."""
    some = findings(**changes)  # type: ignore[arg-type]
    base = some.arm("separate").test
    noise = np.roll(STEADY, 1, axis=0) * spread
    values = {"chosen": base + chosen + STEADY * spread, "all-in-one": base + together + noise, "separate": base}
    arms = tuple(replace(arm, test=values.get(arm.name, arm.test)) for arm in some.arms)
    return replace(some, arms=arms)


@pytest.mark.parametrize(("chosen", "together", "sides", "said"), [
    (0.05, -0.05, ("better", "better"), "Yes, split them as chosen"),
    (0.05, 0.05, ("within noise", "better"), "Share, but whether to split is open"),
    (0.05, 0.15, ("worse", "better"), "No, train all tasks in one network"),
    (0.0, -0.05, ("better", "within noise"), "whether to share at all is open"),
    (0.0, 0.0, ("within noise", "within noise"), "It cannot be told"),
    (0.0, 0.05, ("worse", "within noise"), "Train one network for all"),
    (-0.05, -0.15, ("better", "worse"), "Train a network for each task"),
    (-0.05, -0.05, ("within noise", "worse"), "Train separate networks"),
    (-0.05, 0.0, ("worse", "worse"), "Not like this"),
])  # fmt: skip
def test_every_outcome_has_its_verdict(chosen: float, together: float, sides: tuple[str, str], said: str) -> None:
    some = shifted(chosen, together)
    assert (side(some, "all-in-one"), side(some, "separate")) == sides
    assert said in verdict(some)
    assert answer(some).startswith(verdict(some))


def test_noise_is_not_called_a_difference() -> None:
    assert side(shifted(0.02, 0.0, spread=0.001), "separate") == "better"
    assert side(shifted(0.02, 0.0, spread=0.05), "separate") == "within noise"
    assert "95 % interval" in answer(shifted(0.02, 0.0, spread=0.05))


def test_one_seed_says_nothing_about_uncertainty() -> None:
    text = answer(findings(seeds=1))
    assert text.startswith("It cannot be told from one seed: nothing can be said about uncertainty")
    assert "1 seed, no interval" in text
    assert "Run at least three seeds" in text
    assert "beyond noise" not in text


def test_nothing_verified_is_not_known() -> None:
    text = answer(findings(verified=False))
    assert text.startswith("Not known yet")
    assert "chose 2 networks: Atemayar_Qelisayer + Alphabet_2 + Alphabet_4; Alphabet_1 + Alphabet_3" in text


@pytest.mark.parametrize(("gain", "together", "said"), [
    (0.02, -0.03, "No, keep all tasks in one network, as chosen"),
    (-0.02, -0.03, "Yes, though the rule says otherwise"),
    (0.0, 0.0, "No need was shown: the rule keeps all tasks in one network"),
])  # fmt: skip
def test_a_choice_that_is_one_network_for_all(gain: float, together: float, said: str) -> None:
    some = findings(groups=1, gain=gain, together=together, noise=0.002 if gain else 0.05)
    assert side(some, "all-in-one") == "same"
    assert said in verdict(some)
    assert "Random groupings" not in answer(some)


@pytest.mark.parametrize(("together", "said"), [
    (-0.03, "Yes, entirely"), (0.03, "No, though the rule says otherwise: it gives each task its own network"),
])  # fmt: skip
def test_a_choice_that_is_a_network_for_each(together: float, said: str) -> None:
    some = findings(groups=5, gain=together, together=together)
    assert side(some, "separate") == "same"
    assert said in verdict(some)


def test_half_sized_networks_are_another_split() -> None:
    some = findings(groups=5)
    halves = tuple(replace(network, cost=0.5) for network in some.trained if len(network.tasks) == 1)
    small = replace(some.arm("chosen"), networks=tuple(range(len(some.trained), len(some.trained) + len(halves))))
    other = replace(some, trained=(*some.trained, *halves), arms=(small, *some.arms[1:]))
    assert side(some, "separate") == "same"
    assert side(other, "separate") != "same"


def test_an_arm_that_was_not_trained_leaves_half_an_answer() -> None:
    some = findings()
    half = replace(some, arms=tuple(arm for arm in some.arms if arm.name != "all-in-one"))
    assert verdict(half) == (
        "Half an answer: the chosen split is better than separate; the other comparison was not trained."
    )
    alone = replace(some, arms=some.arms[:1])
    assert verdict(alone) == "Not known: the chosen split was compared with no other."


def test_who_gains_and_who_loses_is_named() -> None:
    some = shifted(0.05, -0.05)
    base = some.arm("separate").test
    hurt = some.arm("chosen").test.copy()
    hurt[:, 1] = base[:, 1] - 0.04 + STEADY[:, 0] * 0.001
    hurt[:, 2] = base[:, 2] + STEADY[:, 0] * 0.1
    arms: Mapping[str, np.ndarray] = {"chosen": hurt}
    text = answer(replace(some, arms=tuple(replace(a, test=arms.get(a.name, a.test)) for a in some.arms)))
    assert "3 of 5 tasks (Atemayar_Qelisayer, Alphabet_3 and Alphabet_4) gain" in text
    assert "1 of 5 tasks (Alphabet_1) loses" in text
    assert "Negative transfer: in one network for all, all 5 tasks lose beyond noise." in text


def test_without_negative_transfer_none_is_claimed() -> None:
    text = answer(shifted(0.05, 0.02))
    assert "In one network for all, no single task loses beyond noise." in text
    assert "Negative transfer" not in text


def test_random_groupings_are_counted() -> None:
    some = shifted(0.05, -0.05)
    assert "the chosen split beats 5 of 5" in answer(some)
    assert "the chosen split beats 0 of 5" in answer(shifted(-0.2, -0.05))
    assert "Random" not in answer(findings(randoms=0))


def test_how_stable_the_grouping_is_is_told() -> None:
    some = findings(tasks=4)
    same = np.array([[1, 0.2, 0.9, 0.1], [0.2, 1, 0.3, 0.7], [0.9, 0.3, 1, 0.4], [0.1, 0.7, 0.4, 1]])
    text = answer(replace(some, stability=same))  # the groups are tasks 1 and 3, 2 and 4
    assert "stay together in 80 % of samples, others come together in 25 %" in text
    assert "drawn again" not in answer(replace(some, stability=np.full((4, 4), np.nan)))


def test_failures_are_told() -> None:
    assert "Left out since they failed: 1 training." in answer(findings(holes=True))
    assert "failed" not in answer(findings())


def test_many_tasks_are_counted_instead_of_listed() -> None:
    assert groups_text(findings(tasks=26, groups=4, verified=False)) == "4 networks of 7, 7, 6 and 6 tasks"


def test_the_verdicts_cover_what_can_happen() -> None:
    sides = ("better", "worse", "within noise")
    assert {(a, b) for a in sides for b in sides} <= set(_VERDICTS)
    assert {("same", b) for b in sides} | {(a, "same") for a in sides} <= set(_VERDICTS)


def test_one_random_grouping_has_no_median() -> None:
    text = answer(findings(randoms=1))
    assert "One random grouping gains" in text
    assert "in the median" not in text
