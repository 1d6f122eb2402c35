"""The conformance suite sees estimators that are wrong."""

import numpy as np
import pytest
import torch

from pathways.affinity import lookahead
from pathways.testing import CoTrainingEstimatorSuite

CHECKS = [name for name in dir(CoTrainingEstimatorSuite) if name.startswith("test_")]


def suite_of(estimator, is_symmetric=False):
    class Suite(CoTrainingEstimatorSuite):
        symmetric = is_symmetric

        def measure(self, moment):
            return estimator(moment)

    return Suite()


def leaves_its_step(moment):
    reading = lookahead(moment)
    with torch.no_grad():
        for parameter in moment.trained.values():
            parameter.data.add_(1e-7)
    return reading


def leaves_gradients(moment):
    sum(moment.evaluate().values()).backward()
    return lookahead(moment)


def draws(moment):
    torch.rand(1)
    return lookahead(moment)


def runs_forward_and_no_more(moment):
    """Running statistics and random states move."""
    moment.losses() if callable(moment.losses) else [loss() for loss in moment.losses.values()]
    return lookahead(moment)


def keeps_a_step_when_a_loss_raises(moment):
    before = {name: parameter.detach().clone() for name, parameter in moment.trained.items()}
    for name, parameter in moment.trained.items():
        parameter.data.add_(1)
        moment.evaluate()
        parameter.data.copy_(before[name])
    return lookahead(moment)


def transposed(moment):
    return lookahead(moment).T


def zeros_for_missing(moment):
    return np.nan_to_num(lookahead(moment))


def by_position(moment):
    return lookahead(moment) * np.arange(1, len(moment.tasks) + 1)


def of_single_precision(moment):
    return lookahead(moment).astype(np.float32)


def noisy(moment, state=np.random.default_rng(0)):  # noqa: B008
    return lookahead(moment) + state.random()


@pytest.mark.parametrize(("check", "estimator"), [
    ("test_it_changes_nothing", leaves_its_step),
    ("test_it_changes_nothing", leaves_gradients),
    ("test_it_changes_nothing", draws),
    ("test_it_changes_nothing", runs_forward_and_no_more),
    ("test_training_is_the_same_with_and_without", leaves_its_step),
    ("test_a_loss_that_raises_leaves_everything", keeps_a_step_when_a_loss_raises),
    ("test_the_reading_has_a_row_and_a_column_for_each_task", of_single_precision),
    ("test_the_reading_has_a_row_and_a_column_for_each_task", lambda moment: moment.nothing()),
    ("test_it_is_deterministic", noisy),
    ("test_other_names_change_nothing", by_position),
    ("test_tasks_without_labels_are_not_measured", zeros_for_missing),
    ("test_rows_are_affected_and_columns_sources", transposed),
    ("test_rows_are_affected_and_columns_sources", lambda moment: lookahead(moment) * 0 + 1.0),
])
def test_a_wrong_estimator_is_seen(check, estimator):
    with pytest.raises(AssertionError):
        getattr(suite_of(estimator), check)()


def test_one_that_says_it_is_symmetric_must_be():
    with pytest.raises(AssertionError):
        suite_of(lookahead, is_symmetric=True).test_rows_are_affected_and_columns_sources()


@pytest.mark.parametrize("check", CHECKS)
def test_a_right_one_passes(check):
    getattr(suite_of(lookahead), check)()


def test_it_must_be_defined():
    with pytest.raises(NotImplementedError, match="define `measure"):
        CoTrainingEstimatorSuite().test_it_changes_nothing()
