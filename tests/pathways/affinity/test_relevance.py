from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from pathways.affinity import Affinity, relevance, sampling_shares, task_relevance
from pathways.affinity.linear_representation import linear_representation
from pathways.errors import ConfigError, DataError
from pathways.testing import MatrixEstimatorSuite

M = 40


def planted(dims: int, seed: int, few: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Weights of 40 sources, and a ν of few of them."""
    rng = np.random.default_rng(seed)
    nu = np.zeros(M)
    nu[rng.choice(M, few, replace=False)] = rng.choice([-1, 1], few) * rng.uniform(0.5, 1.5, few)
    return rng.normal(size=(M, dims)), nu


def linear_tasks(seed: int, sources: int = 12, dims: int = 8, n: int = 200) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tasks on shared features, and `target`, which is `s0` less `s1`; samples of different numbers."""
    rng = np.random.default_rng(seed)
    features, heads = np.linalg.qr(rng.normal(size=(16, dims)))[0], rng.normal(size=(sources, dims))
    heads = np.vstack([heads, heads[0] - heads[1]])
    data = {}
    for number, head in enumerate(heads):
        x = rng.normal(size=(n + 10 * number, 16))
        data["target" if number == sources else f"s{number}"] = (x, x @ features @ head + 0.1 * rng.normal(size=len(x)))
    return data


class TestTaskRelevance(MatrixEstimatorSuite):
    kind = "transfer"
    affected: ClassVar = ("target", "s3")
    sources: ClassVar = (*(f"s{i}" for i in range(12)), "target")

    def measure(self, seed: int) -> Affinity:
        return task_relevance(linear_tasks(seed), 8, targets=self.affected, repeats=2, seed=seed)


def test_the_support_is_found_where_there_are_dimensions_enough() -> None:
    """20 of 20 with 20 dimensions, about half of them with 10: what L1 needs grows with the sources."""
    def found(dims: int) -> int:
        right = 0
        for seed in range(20):
            weights, nu = planted(dims, seed)
            right += bool(np.allclose(relevance(weights, nu @ weights), nu, atol=1e-8))
        return right

    assert found(20) == 20
    assert 4 <= found(10) <= 16


@pytest.mark.parametrize("dims", [5, 20, 60])
def test_l2_is_the_pseudo_inverse_and_uses_all_sources(dims: int) -> None:
    weights, nu = planted(dims, 0)
    found = relevance(weights, nu @ weights, "l2")
    target = nu @ weights
    if dims <= M:
        by_hand = weights @ np.linalg.solve(weights.T @ weights, target)
    else:
        by_hand = np.linalg.solve(weights @ weights.T, weights @ target)
    np.testing.assert_allclose(found, by_hand, atol=1e-8)
    assert (dims > M) or (np.abs(found) > 1e-6).sum() == M


def test_l1_is_smaller_in_l1_and_l2_in_l2_and_both_give_the_target() -> None:
    for seed in range(5):
        weights, nu = planted(10, seed)
        one, two = (relevance(weights, nu @ weights, norm) for norm in ("l1", "l2"))
        np.testing.assert_allclose(one @ weights, nu @ weights, atol=1e-7)
        np.testing.assert_allclose(two @ weights, nu @ weights, atol=1e-9)
        assert np.abs(one).sum() <= min(np.abs(two).sum(), np.abs(nu).sum()) + 1e-9
        assert np.square(two).sum() <= np.square(one).sum() + 1e-9
        assert (np.abs(one) > 1e-9).sum() <= 10


def test_the_lasso_keeps_its_optimality_conditions() -> None:
    weights, nu = planted(20, 1)
    target = nu @ weights + 0.05 * np.random.default_rng(1).normal(size=20)
    found, level = relevance(weights, target, penalty=0.2), 0.2 * np.abs(weights @ target).max()
    slope = weights @ (target - found @ weights)
    used = np.abs(found) > 0
    np.testing.assert_allclose(slope[used], level * np.sign(found[used]), rtol=1e-4)
    assert np.abs(slope[~used]).max() < level
    assert set(np.flatnonzero(nu)) <= set(np.flatnonzero(used))


def test_a_target_outside_the_span_needs_a_penalty() -> None:
    weights = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    with pytest.raises(DataError, match=r"`target` must be a combination of the 2 sources.*give `penalty`"):
        relevance(weights, [1, 1, 1])
    assert relevance(weights, [1, 1, 1], penalty=0.5).tolist() == pytest.approx([0.5, 0.5])
    assert relevance(weights, [0, 0, 1], penalty=0.5).tolist() == [0, 0]


def test_arguments_are_checked() -> None:
    with pytest.raises(DataError, match=r"`sources` must be \(M, K\) and `target` \(K,\), found \(2, 3\) and \(2,\)"):
        relevance(np.ones((2, 3)), np.ones(2))
    for wrong in ({"norm": "l3"}, {"penalty": 1.0}, {"norm": "l2", "penalty": 0.1}):
        with pytest.raises(ConfigError, match="`norm` must be 'l1' or 'l2', and `penalty`"):
            relevance(np.eye(2), np.ones(2), **wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="`targets` must name some of"):
        task_relevance(linear_tasks(0), 4, targets=["nobody"])


def test_shares_of_nothing_are_equal() -> None:
    assert sampling_shares(np.zeros(4)).tolist() == [0.25] * 4


@pytest.mark.parametrize("seed", range(3))
def test_from_samples_to_the_two_sources_of_a_target(seed: int) -> None:
    data = linear_tasks(seed)
    one, two = (task_relevance(data, 8, targets=["target"], norm=norm).values[0, :-1] for norm in ("l1", "l2"))
    assert set(np.argsort(-one)[:2]) == {0, 1}
    assert one[:2].sum() > 0.9 > two[:2].sum()
    assert one.sum() == pytest.approx(1)
    assert np.isnan(task_relevance(data, 8, targets=["target"])["target", "target"])


def test_repeats_give_an_uncertainty() -> None:
    found = task_relevance(linear_tasks(0), 8, targets=["target"], repeats=3)
    assert found.repeats == 3
    assert 0 < found.standard_error[0, 0] < 0.1


def test_the_representation_is_that_of_the_tasks() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(6, 2)) @ rng.normal(size=(2, 9))
    data = [(x, x @ w) for w in truth for x in [rng.normal(size=(rng.integers(20, 60), 9))]]
    features, heads = linear_representation(data, 2)
    np.testing.assert_allclose(features.T @ features, np.eye(2), atol=1e-9)
    np.testing.assert_allclose(heads @ features.T, truth, atol=1e-5)


def test_sharing_helps_where_each_task_has_too_few_samples() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(30, 2)) @ np.linalg.qr(rng.normal(size=(20, 2)))[0].T
    data = [(x, x @ w + 0.1 * rng.normal(size=12)) for w in truth for x in [rng.normal(size=(12, 20))]]
    features, heads = linear_representation(data, 2)
    alone = np.stack([np.linalg.lstsq(x, y, rcond=None)[0] for x, y in data])
    assert np.square(heads @ features.T - truth).mean() < 0.3 * np.square(alone - truth).mean()


def test_representations_are_checked() -> None:
    pair = (np.ones((3, 2)), np.ones(3))
    with pytest.raises(DataError, match="`dims` must be from 1 to 2, of features and of tasks, found 3"):
        linear_representation([pair, pair, pair], 3)
    with pytest.raises(DataError, match=r"samples \(N, 2\) and targets \(N,\), found \(3, 2\) and \(4,\)"):
        linear_representation([pair, (np.ones((3, 2)), np.ones(4))], 1)
