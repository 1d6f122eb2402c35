"""Linearised subset estimation: the fit, what it predicts, planted clusters, what it leaves and refuses."""

import numpy as np
import pytest
import torch
from planted import TASKS, TRUTH, Clusters, best_halves
from torch import nn

from pathways.affinity import linearised
from pathways.affinity.linearised import _drawn, _Fit, _fit, _margin, _objective, _pair_means
from pathways.errors import ConfigError, DataError


def trained(seed):
    """Networks trained together, their data, and as much for validation."""
    problem = Clusters(seed, samples=192)
    x, y = problem.x, problem.y
    problem.x, problem.y = x[:96], {task: labels[:96] for task, labels in y.items()}
    problem.train()
    models = {task: nn.Sequential(problem.trunk, problem.heads[task]) for task in TASKS}
    return models, {t: (x[:96], y[t][:96]) for t in TASKS}, {t: (x[96:], y[t][96:]) for t in TASKS}


@pytest.mark.parametrize("seed", range(5))
def test_planted_clusters_are_found(seed):
    found = linearised(*trained(seed), seed=seed)
    assert best_halves(found) == TRUTH
    assert found.about["subsets"] == 20
    assert found.shared == ("0.0.weight", "0.0.bias")


def test_it_changes_nothing_and_repeats_itself():
    models, train, validation = trained(0)
    models = {t: nn.Sequential(m[0], nn.BatchNorm1d(16), nn.Dropout(0.5), m[1]) for t, m in models.items()}
    models["a1"][1].eval()
    before = {task: {k: v.clone() for k, v in model.state_dict().items()} for task, model in models.items()}
    modes = [[m.training for m in model.modules()] for model in models.values()]
    state = torch.random.get_rng_state()
    first, second = (linearised(models, train, validation, seed=3, subsets=4) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    assert torch.equal(state, torch.random.get_rng_state())
    assert modes == [[m.training for m in model.modules()] for model in models.values()]
    for task, model in models.items():
        assert all(torch.equal(value, before[task][name]) for name, value in model.state_dict().items())


def test_the_logistic_loss_of_the_margin_is_the_cross_entropy():
    logits = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(20) % 5
    margins = torch.stack([_margin(z, y) for z, y in zip(logits, labels, strict=True)])
    expected = nn.functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(nn.functional.softplus(-margins), expected)


def test_the_fit_is_that_of_scikit_learn():
    """Without offsets, of one task, the fit is L2 logistic regression without an intercept: C = 1 / (n penalty)."""
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(0)
    x, labels = draw.normal(size=(80, 4)), draw.integers(0, 2, 80)
    signed = torch.tensor(x * (2 * labels - 1)[:, None])
    ours = _fit([_Fit(torch.zeros(80, dtype=torch.float64), signed, None)], 0.05)
    theirs = LogisticRegression(C=1 / (80 * 0.05), fit_intercept=False, tol=1e-10, max_iter=1000).fit(x, labels)
    np.testing.assert_allclose(ours.numpy(), theirs.coef_[0], atol=1e-6)


def test_the_fit_of_values_is_ridge_regression():
    draw = torch.Generator().manual_seed(0)
    one, two = (torch.randn(n, 3, generator=draw, dtype=torch.float64) for n in (30, 10))
    goals = [torch.randn(n, generator=draw, dtype=torch.float64) for n in (30, 10)]
    starts = [torch.randn(n, generator=draw, dtype=torch.float64) for n in (30, 10)]
    parts = [_Fit(s, x, g) for s, x, g in zip(starts, (one, two), goals, strict=True)]
    bend = one.T @ one / 60 + two.T @ two / 20 + 0.1 * torch.eye(3, dtype=torch.float64)
    slope = one.T @ (goals[0] - starts[0]) / 60 + two.T @ (goals[1] - starts[1]) / 20
    torch.testing.assert_close(_fit(parts, 0.1), torch.linalg.solve(bend, slope))


def test_the_fit_finds_the_minimum_from_afar():
    draw = torch.Generator().manual_seed(1)
    part = _Fit(-30 + torch.zeros(40, dtype=torch.float64), torch.randn(40, 5, generator=draw).double(), None)
    w = _fit([part], 1e-3).requires_grad_()
    loss = nn.functional.softplus(-(part.start + part.slopes @ w)).mean() + 5e-4 * w @ w
    assert float(torch.autograd.grad(loss, w)[0].norm()) < 1e-5
    assert float(loss.detach()) == pytest.approx(_objective([part], w.detach(), 1e-3))


def test_of_a_network_that_is_linear_it_is_what_training_gives():
    """With values, a linear network and a dense P of full rank, θ_S is the ridge solution of the subset's own data, in
    P's coordinates: each task's loss falls as far as it can when alone with one that wants the same.
    """
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(60, 3, generator=draw, dtype=torch.float64)
    goal = {"a": x @ torch.tensor([1.0, 2, 0]).double(), "b": x @ torch.tensor([1.0, 2, 0]).double(),
            "c": x @ torch.tensor([-1.0, -2, 1]).double()}  # fmt: skip
    trunk = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        trunk.weight.zero_()
    models = {task: nn.Sequential(trunk) for task in goal}
    data = {task: (x, y[:, None]) for task, y in goal.items()}
    found = linearised(models, data, data, dims=12, penalty=1e-9, size=2)
    assert found["a", "b"] == pytest.approx(1, abs=1e-6)
    assert found["b", "a"] == pytest.approx(1, abs=1e-6)
    # of c's goal and a's the mean is fitted: its distance to either is half of their difference
    for task, other in (("a", "c"), ("c", "a")):
        left = float(((goal[task] - goal[other]) / 2).square().mean() / goal[task].square().mean())
        assert found[task, other] == pytest.approx(1 - left, abs=1e-6)


def test_batches_of_different_sizes_and_a_chunk_that_does_not_divide_them():
    models, train, validation = trained(1)
    train["a1"] = tuple(part[:50] for part in train["a1"])
    one, other = (linearised(models, train, validation, chunk=chunk).values for chunk in (7, 96))
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.isfinite(one).all()


def test_pairs_are_means_over_the_subsets_that_hold_both():
    gains = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, 5.0]])
    np.testing.assert_array_equal(_pair_means(gains), [[2, 1, 3], [2, 2, np.nan], [5, np.nan, 5]])


def test_subsets_are_all_there_are_or_drawn():
    assert _drawn(4, 2, None, 0).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    drawn = _drawn(20, 5, None, 0)
    assert len(drawn) == 190
    assert all(len(set(row)) == 5 for row in drawn.tolist())
    pairs = sum(np.outer(np.isin(range(20), row), np.isin(range(20), row)) for row in drawn)
    assert pairs.min() > 0
    assert len(_drawn(20, 5, 7, 0)) == 7
    assert not np.array_equal(_drawn(20, 5, 7, 0), _drawn(20, 5, 7, 1))


def test_what_is_refused():
    models, train, validation = trained(0)
    with pytest.raises(ConfigError, match="`size` must be from 2 to the number of tasks, 6, found 7"):
        linearised(models, train, validation, size=7)
    with pytest.raises(ConfigError, match="`penalty` must be positive and `dims` at least 1, found 0 and 100"):
        linearised(models, train, validation, penalty=0)
    with pytest.raises(ConfigError, match=r"`train` must have the tasks of `models`, \['a1'"):
        linearised(models, {"a1": train["a1"]}, validation)
    with pytest.raises(ConfigError, match="at least two tasks"):
        linearised({"a1": models["a1"]}, train, validation)
    apart = {task: nn.Sequential(nn.Linear(8, 2)) for task in TASKS}
    with pytest.raises(ConfigError, match="`models` must share parameters that are trained, found none"):
        linearised(apart, train, validation)
    empty = {**validation, "b2": tuple(part[:0] for part in validation["b2"])}
    with pytest.raises(DataError, match="the validation loss of task 'b2' must be positive and finite, found nan"):
        linearised(models, train, empty)
