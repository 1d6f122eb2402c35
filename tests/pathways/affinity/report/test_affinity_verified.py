"""Gains and predictions beside what came true."""

from dataclasses import replace

import numpy as np
from findings_for_tests import findings

from pathways.affinity.report.predicted import agreement_note, agreements
from pathways.affinity.report.structure import pairs
from pathways.affinity.report.verified import by_task, difference, points, random_gains, zero_is_alone


def test_gains_are_paired_and_positive_where_better() -> None:
    for better in (True, False):
        some = findings(higher_is_better=better)
        sign = 1 if better else -1
        gains = sign * (some.arm("chosen").test - some.arm("separate").test)
        found = difference(some, "chosen", "separate")
        assert found is not None
        assert np.isclose(found.value, gains.mean())
        assert found.sign == 1
        each = by_task(some, "chosen", "separate")
        assert np.allclose([each[task].value for task in some.tasks], gains.mean(0))


def test_what_was_not_trained_has_no_gain() -> None:
    some = findings(verified=False)
    assert difference(some, "chosen", "separate") is None
    assert by_task(some, "chosen", "separate") == {}
    assert len(random_gains(some)) == 0
    assert points(some) == []


def test_predictions_are_placed_in_their_row() -> None:
    some = findings(tasks=6)
    values = pairs(some.affinity, some.tasks)
    shared = [network for network in some.trained if len(network.tasks) > 1]
    found = points(some)
    assert len(found) == sum(len(network.tasks) for network in shared)
    for point in found:
        i = some.tasks.index(point.task)
        row = values[i][np.isfinite(values[i])]
        assert np.isclose(point.placed, (point.predicted - np.median(row)) / row.std())
        network = some.trained[point.network]
        gains = network.test[:, network.tasks.index(point.task)] - some.arm("separate").test[:, i]
        assert np.isclose(point.gain, gains.mean())
        assert np.isclose(point.error, gains.std(ddof=1) / np.sqrt(3))
    assert not zero_is_alone(some)
    assert "Only the sign of the verified gain has a meaning" in agreement_note(some)


def test_predicted_losses_are_compared_with_those_alone() -> None:
    some = findings(tasks=4, higher_is_better=False)
    trained = tuple(
        replace(network, predicted={task: 0.5 if len(network.tasks) == 1 else 0.4 for task in network.tasks})
        for network in some.trained
    )
    selection = replace(some.selection, rule="standley", higher_is_better=False)
    losses = replace(some, trained=trained, selection=selection)
    assert zero_is_alone(losses)
    assert np.allclose([point.placed for point in points(losses)], 0.1)  # a lower loss is a gain
    assert "Both signs have a meaning" in agreement_note(losses)


def test_good_predictions_agree_and_turned_ones_do_not() -> None:
    some = findings(tasks=8, noise=0.0005)
    turned = replace(some, trained=tuple(
        replace(network, predicted={task: -score for task, score in network.predicted.items()})
        for network in some.trained
    ))  # fmt: skip
    name = "Order agreement within tasks"
    assert agreements(some)[name].value > 0.95
    assert agreements(turned)[name].value < 0.05
    assert agreements(some)["Spearman"].value > 0.3 > agreements(turned)["Spearman"].value


def test_a_training_that_failed_is_left_out() -> None:
    some = findings(holes=True)
    assert np.isnan(some.arm("chosen").test).sum() == 1
    found = difference(some, "chosen", "separate")
    assert found is not None
    assert found.n == 3
    assert np.isfinite([found.value, found.low, found.high]).all()
    assert by_task(some, "chosen", "separate")[some.tasks[0]].n == 2
