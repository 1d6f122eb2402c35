"""`Watch`: measures every few steps of any loop, and gives a matrix."""

from functools import partial

import numpy as np
import pytest

from pathways.affinity import Moment, Watch, first_order, gradient_cosine, lookahead
from pathways.affinity.table import CO_TRAINING, UNITS
from pathways.errors import ConfigError, DataError
from pathways.testing.affinity_co_training import TASKS, Problem


def test_it_measures_every_few_steps_from_the_first():
    problem, calls = Problem(noise=False), []
    watch = Watch(lookahead, every=3)
    readings = []
    for step in range(8):
        def moment(step=step):
            calls.append(step)
            return problem.moment()
        readings.append(watch(moment))
        problem.step()
    assert calls == [0, 3, 6]
    assert [reading is not None for reading in readings] == [True, False, False, True, False, False, True, False]
    found = watch.matrix()
    assert found.steps == (0, 3, 6)
    assert (found.kind, found.estimator, found.unit) == ("co-training", "lookahead", "share of loss per step")
    assert found.shared == tuple(dict(problem.trunk.named_parameters()))
    assert found.about == {"every": 3}
    np.testing.assert_array_equal(found.readings[0], [readings[i] for i in calls])


def test_a_run_that_is_watched_ends_in_the_same_bits():
    plain, watched = Problem(), Problem()
    watch = Watch(first_order, every=1)
    for _ in range(4):
        plain.step()
        watch(watched.moment)
        watched.step()
    assert watched.differs(plain.state()) == []


def test_tasks_that_have_labels_now_and_then_are_averaged_over_where_they_had_them():
    problem = Problem(noise=False)
    watch = Watch(gradient_cosine, every=1)
    both = watch(problem.moment)
    part = watch(lambda: problem.moment(present=("a", "b")))
    found = watch.matrix().values
    assert found[0, 1] == pytest.approx((both[0, 1] + part[0, 1]) / 2)
    assert found[2, 3] == both[2, 3]


def test_options_are_told():
    watch = Watch(partial(lookahead, momentum=True, generator=None))
    watch(Problem().moment)
    assert watch.matrix().about == {"every": 10, "options": {"momentum": True}}
    assert watch.matrix().estimator == "lookahead"


def test_an_estimator_of_ones_own():
    def mine(moment: Moment):
        return moment.nothing()

    watch = Watch(mine, unit="nothing")
    watch(Problem().moment)
    assert (watch.matrix().estimator, watch.matrix().unit) == ("mine", "nothing")
    assert np.isnan(watch.matrix().values).all()


def test_every_co_training_estimator_has_a_unit():
    assert set(UNITS) >= set(CO_TRAINING)


def test_what_is_refused():
    with pytest.raises(ConfigError, match="`every` must be at least 1, found 0"):
        Watch(lookahead, every=0)
    watch = Watch(lookahead, every=1)
    with pytest.raises(DataError, match="must have measured a step"):
        watch.matrix()
    watch(Problem().moment)
    with pytest.raises(DataError, match="must be the same at every step"):
        watch(lambda: Problem().moment(tasks=TASKS[::-1]))
