from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from pathways.affinity import OutlierBoosting, outlier
from pathways.errors import ConfigError, DataError

ODD = ("t8", "t9")


def function(rng: np.random.Generator, dims: int):
    """A smooth random function, a sum of 50 random Fourier features."""
    w, b, c = rng.normal(size=(dims, 50)), rng.uniform(0, 2 * np.pi, 50), rng.normal(size=50) / 5
    return lambda x: np.cos(x @ w + b) @ c


def problem(seed: int, tasks: int = 10, odd: int = 2, n: int = 100):
    """Tasks of which the last two follow another function; training and test samples."""
    rng = np.random.default_rng(seed)
    common, other = function(rng, 3), function(rng, 3)
    train, test = {}, {}
    for t in range(tasks):
        own, base = function(rng, 3), other if t >= tasks - odd else common
        for data, size, noise in ((train, n, 0.1), (test, 300, 0.0)):
            x = rng.uniform(-1, 1, (size, 3))
            data[f"t{t}"] = (x, 0.9 * base(x) + 0.1 * own(x) + noise * rng.normal(size=size))
    return train, test


@cache
def fitted(seed: int) -> OutlierBoosting:
    return outlier(problem(seed)[0], seed=seed, split=60)


def test_eight_normal_and_two_odd_tasks_are_split_on_six_of_six_seeds() -> None:
    assert [fitted(seed).outliers for seed in range(6)] == [ODD] * 6


def test_which_side_is_which_is_by_chance() -> None:
    """Both happen: no reader may take the block `out` for that of the outliers."""
    assert {bool(fitted(seed).weights[-1] > 0.5) for seed in range(6)} == {False, True}


def test_the_sides_are_all_tasks_and_equal_ones_name_no_outlier() -> None:
    model = fitted(0)
    assert sorted(sum(model.sides, ())) == sorted(model.tasks)
    even = OutlierBoosting(("a", "b"), np.array([-3.0, 3.0]), {})
    assert even.sides == (("a",), ("b",))
    assert even.outliers == ()
    np.testing.assert_allclose(even.weights, [1 / (1 + np.exp(3)), 1 / (1 + np.exp(-3))])
    np.testing.assert_allclose(even.gap, even.weights[1] - even.weights[0])
    one_sided = OutlierBoosting(("a", "b"), np.array([1.0, 3.0]), {})
    assert one_sided.gap == 0
    assert one_sided.outliers == ()
    near = OutlierBoosting(("a", "b", "c"), np.array([-0.1, -0.2, 0.1]), {})
    assert near.sides == (("a", "b"), ("c",))
    assert near.outliers == ()


def test_where_no_task_is_odd_none_is_named() -> None:
    assert [outlier(problem(seed, odd=0)[0], seed=seed, split=40, own=0).outliers for seed in range(6)] == [()] * 6


def test_scores_are_the_formula_over_the_blocks() -> None:
    model, x = fitted(0), problem(0)[1]["t3"][0]
    part = {
        name: 0.1 * sum(tree.predict(x.astype(np.float32)) for tree in trees) for name, trees in model.blocks.items()
    }
    sigma = model.weights[3]
    by_hand = part["meta"] + (1 - sigma) * part["in"] + sigma * part["out"] + part["own t3"]
    np.testing.assert_allclose(model.scores("t3", x)[:, 0], by_hand, atol=1e-12)
    np.testing.assert_allclose(model.predict("t3", x), model.mean + model.deviation * by_hand, atol=1e-12)


def test_it_predicts_better_than_one_function_for_all_tasks() -> None:
    train, test = problem(0)
    pooled = outlier(train, seed=0, shared=100, split=1, own=0)
    def error(model: OutlierBoosting) -> float:
        return float(np.mean([np.square(model.predict(t, x) - y).mean() for t, (x, y) in test.items()]))

    assert error(fitted(0)) < 0.5 * error(pooled)


def test_the_unit_of_numbers_does_not_matter() -> None:
    train = {t: (x, 1024 * y) for t, (x, y) in problem(0)[0].items()}
    scaled = outlier(train, seed=0, split=60)
    np.testing.assert_allclose(scaled.weights, fitted(0).weights)
    x = problem(0)[1]["t0"][0]
    np.testing.assert_allclose(scaled.predict("t0", x), 1024 * fitted(0).predict("t0", x))


def test_labels_are_boosted_by_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    data = {}
    for t in range(6):
        x = rng.normal(size=(120, 2))
        labels = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
        data[f"t{t}"] = (x, np.array(["low", "mid", "top"])[2 - labels if t == 5 else labels])
    model = outlier(data, target="classes", split=40, seed=0)
    assert model.outliers == ("t5",)
    assert model.classes == ("low", "mid", "top")
    x, y = data["t5"]
    assert (model.predict("t5", x) == y).mean() > 0.9
    assert model.scores("t5", x).shape == (120, 3)


def test_the_seed_decides() -> None:
    train = {t: part for t, part in problem(3)[0].items() if t in ("t0", "t1", "t9")}
    first, again, other = (outlier(train, seed=seed, split=10, shared=2, own=2) for seed in (0, 0, 1))
    assert np.array_equal(first.theta, again.theta)
    assert not np.array_equal(first.theta, other.theta)


def test_what_is_wrong_is_named() -> None:
    pair = (np.ones((3, 2)), np.ones(3))
    with pytest.raises(ConfigError, match="`data` must have two tasks and `split` one tree at least, found 1 and 100"):
        outlier({"a": pair})
    with pytest.raises(DataError, match=r"task 'b' must have samples \(N, 2\) and targets \(N,\), found \(3, 4\)"):
        outlier({"a": pair, "b": (np.ones((3, 4)), np.ones(3))})
    with pytest.raises(DataError, match=r"`task` must be one of .*, found 'nobody'"):
        fitted(0).predict("nobody", np.ones((1, 3)))
