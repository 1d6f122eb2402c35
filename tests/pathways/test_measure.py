from __future__ import annotations

import math

import pytest
import torch

from pathways.errors import ConfigError
from pathways.measure import (
    DEFAULTS,
    METRICS,
    Metric,
    accuracy,
    balanced_accuracy,
    mean_absolute_error,
    mean_squared_error,
    metric_named,
    r2,
)
from pathways.modules import Vector
from pathways.task import Classes, Split, Task
from pathways.trainer.evaluate import measure

LOGITS = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0], [1.0, 0.0]])


def test_accuracy_is_the_share_of_right_answers() -> None:
    assert accuracy(LOGITS, torch.tensor([0, 1, 1, 0])) == 0.75


def test_balanced_accuracy_weighs_classes_alike() -> None:
    assert balanced_accuracy(LOGITS, torch.tensor([0, 1, 1, 0])) == 0.75
    assert balanced_accuracy(LOGITS, torch.tensor([0, 0, 0, 1])) == pytest.approx((2 / 3 + 0) / 2)


def test_errors_are_means_over_samples_and_values() -> None:
    outputs, targets = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0, 0.0], [2.0, 4.0]])
    assert mean_squared_error(outputs, targets) == pytest.approx(5 / 4)
    assert mean_absolute_error(outputs, targets) == pytest.approx(3 / 4)


def test_r2_is_one_when_exact_and_zero_for_the_mean() -> None:
    targets = torch.tensor([[1.0], [2.0], [6.0]])
    assert r2(targets, targets) == 1.0
    assert r2(torch.full((3, 1), 3.0), targets) == pytest.approx(0.0)
    assert r2(torch.tensor([[1.0], [2.0], [3.0]]), targets) == pytest.approx(1 - 9 / 14)


def test_r2_of_constant_targets_is_finite() -> None:
    assert math.isfinite(r2(torch.zeros(3, 1), torch.ones(3, 1)))


def test_quality_is_better_when_higher() -> None:
    assert METRICS["accuracy"].quality(0.25) == 0.25
    error = METRICS["mean_squared_error"]
    assert [error.quality(0.0), error.quality(1.0), error.quality(3.0)] == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("name", METRICS)
def test_names_lead_to_metrics(name: str) -> None:
    assert metric_named(name).name == name
    assert metric_named(name).of in DEFAULTS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'accuracy'.*found 'acc'"):
        metric_named("acc")


def test_a_metric_of_ones_own_measures_a_task() -> None:
    def worst_class(outputs: torch.Tensor, targets: torch.Tensor) -> float:
        right = (outputs.argmax(1) == targets).double()
        return float(min(right[targets == c].mean() for c in targets.unique()))

    metric = Metric("worst class", worst_class, of="classes")
    x = torch.arange(24.0).reshape(2, 4, 3)
    splits = {name: Split({"x": x[i]}, torch.tensor([0, 1, 1, 0])) for i, name in enumerate(("train", "validation"))}
    task = Task("own", {"x": Vector(3)}, Classes(2), splits, metric)
    measures = measure(task, LOGITS, torch.tensor([0, 1, 1, 0]))
    assert measures.validation == measures.quality == 0.5
    assert Metric("distance", worst_class, higher_is_better=False).quality(3.0) == 0.25
