"""Readouts: what they begin from, their batches, and what they reach."""

import numpy as np
import pytest
import torch
from helpers_transfer import DIM, task_of
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from pathways.affinity import Readout
from pathways.affinity.readout import Scaling, fit, item_losses
from pathways.errors import ConfigError
from pathways.task import Task


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained(task: Task, x: Tensor, y: Tensor, readout: Readout) -> nn.Module:
    scaled = Scaling.of(x)(x)
    model = readout.network(x.shape[1], 2, seeded())
    fit(readout.descent(model, task), lambda i: model(scaled[i]), task, y, readout.batches(len(x), seeded()))
    return nn.Sequential(Scaled(x), model)


class Scaled(nn.Module):
    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.scaling = Scaling.of(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.scaling(x)


def test_a_linear_readout_reaches_logistic_regression() -> None:
    task = task_of("t")
    x, y = task.splits["train"].inputs["x"], task.splits["train"].targets
    noisy = torch.where(torch.rand(120, generator=seeded()) < 0.2, 1 - y, y)  # so that the optimum is finite
    model = trained(task, x, noisy, Readout(steps=600, batch=120, weight_decay=0.0))
    best = LogisticRegression(C=1e9, tol=1e-8).fit(x.numpy(), noisy.numpy())
    expected = -np.log(best.predict_proba(x.numpy())[np.arange(120), noisy.numpy()]).mean()
    assert item_losses(task, model(x), noisy).mean() == pytest.approx(expected, abs=1e-5)


def test_a_hidden_layer_reads_what_a_linear_one_cannot() -> None:
    task = task_of("t", label=lambda part: part[:, 0] * part[:, 1])
    x, y = task.splits["train"].inputs["x"], task.splits["train"].targets
    losses = [item_losses(task, trained(task, x, y, Readout(hidden=h))(x), y).mean() for h in (0, 32)]
    assert losses[1] < 0.5 * losses[0]


def test_the_same_features_twice_are_the_same_readout() -> None:
    """No source wins by its width: steps depend on inner products of features alone."""
    task = task_of("t")
    x, y = task.splits["train"].inputs["x"], task.splits["train"].targets
    wide = torch.cat([x, x, torch.ones_like(x), 1000 * x], 1)
    turned = Scaling.of(x)(x) @ torch.linalg.qr(torch.randn(DIM, DIM, generator=seeded()))[0]
    losses = [item_losses(task, trained(task, each, y, Readout())(each), y) for each in (x, wide)]
    assert np.abs(losses[0] - losses[1]).max() < 1e-4
    model, readout = Readout().network(DIM, 2, seeded()), Readout()
    fit(readout.descent(model, task), lambda i: model(turned[i]), task, y, readout.batches(120, seeded()))
    assert np.abs(losses[0] - item_losses(task, model(turned), y)).max() < 1e-4


def test_epochs_hold_every_sample_once() -> None:
    batches = Readout(steps=9, batch=4).batches(12, seeded())
    assert batches.shape == (9, 4)
    assert all(sorted(batches[e : e + 3].flatten().tolist()) == list(range(12)) for e in (0, 3, 6))
    assert Readout(steps=2, batch=64).batches(5, seeded()).shape == (2, 5)


def test_scaling_is_that_of_the_training_samples() -> None:
    x = torch.randn(50, 3, generator=seeded()) * torch.tensor([1.0, 100.0, 0.0]) + 7
    scaled = Scaling.of(x)(x)
    assert torch.allclose(scaled.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(scaled.square().mean(0), torch.tensor([0.5, 0.5, 0.0]), atol=1e-5)


def test_losses_of_items() -> None:
    scores = torch.randn(5, 2, generator=seeded())
    labels = torch.tensor([0, 1, 1, 0, 1])
    expected = [float(F.cross_entropy(s[None].double(), y[None])) for s, y in zip(scores, labels, strict=True)]
    assert np.allclose(item_losses(task_of("t"), scores, labels), expected, atol=1e-12)
    values = task_of("v", values=True)
    found = item_losses(values, torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [2.0]]))
    assert found.tolist() == [4.0, 0.0]


def test_settings_that_are_too_small_are_refused() -> None:
    with pytest.raises(ConfigError, match="`steps` of a readout must be at least 1, found 0"):
        Readout(steps=0)
    with pytest.raises(ConfigError, match="`lr` of a readout must be at least 0, found nan"):
        Readout(lr=float("nan"))
