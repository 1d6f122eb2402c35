from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from tiny import seeded
from torch import Tensor

from pathways.modules import Context, Module, ModuleSpec, Vector, build
from pathways.trainer.heads import SCALE, SHRINKAGE, fit_closed_form

CLASSES, DIM, EACH = 4, 6, 9


def data(noise: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = seeded(3)
    targets = torch.arange(CLASSES * EACH) % CLASSES
    mixing = torch.randn(DIM, DIM, generator=generator)
    centres = torch.randn(CLASSES, DIM, generator=generator)
    return centres[targets] + noise * torch.randn(len(targets), DIM, generator=generator) @ mixing, targets


def fresh() -> Module:
    head = build(ModuleSpec("classifier", {"classes": CLASSES}), [Vector(DIM)], seeded())
    assert isinstance(head, Module)
    return head


@torch.no_grad()
def scores(head: Module, x: Tensor) -> Tensor:
    return head(x, context=Context())


def test_the_discriminant_is_that_of_scikit_learn_up_to_scale() -> None:
    features, targets = data()
    head = fresh()
    fit_closed_form(head, features, targets)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(features.numpy(), targets.numpy())
    weight, bias = head.linear.weight.detach().numpy(), head.linear.bias.detach().numpy()
    np.testing.assert_allclose(weight, SCALE * theirs.coef_, rtol=1e-4, atol=1e-5)
    # Theirs adds the log of the priors, which are equal here.
    np.testing.assert_allclose(bias, SCALE * (theirs.intercept_ + np.log(CLASSES)), rtol=1e-4, atol=1e-5)
    new = torch.randn(200, DIM, generator=seeded(8)) * 3
    assert np.array_equal(scores(head, new).argmax(1).numpy(), theirs.predict(new.numpy()))


def test_class_means_decide_for_the_nearest_mean() -> None:
    features, targets = data()
    head = fresh()
    fit_closed_form(head, features, targets, shared=False)
    means = torch.stack([features[targets == c].mean(0) for c in range(CLASSES)])
    new = torch.randn(500, DIM, generator=seeded(8)) * 3
    distances = torch.cdist(new.double(), means.double())
    assert torch.equal(scores(head, new).argmax(1), distances.argmin(1))
    # Differences of scores are differences of squared distances, halved and in units of the mean variance.
    variance = torch.stack([(features[targets == c] - means[c]).square().sum() for c in range(CLASSES)]).sum()
    variance = variance / features.numel()
    expected = -SCALE * distances.square() / 2 / variance
    torch.testing.assert_close(scores(head, new).diff(dim=1).double(), expected.diff(dim=1), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shared", [True, False])
def test_views_count_as_samples_of_their_target(shared: bool) -> None:
    features, targets = data()
    other = features + 0.3 * torch.randn(features.shape, generator=seeded(5))
    by_views, by_samples = fresh(), fresh()
    fit_closed_form(by_views, torch.cat([features, other]), targets, shared=shared)
    fit_closed_form(by_samples, torch.cat([features, other]), torch.cat([targets, targets]), shared=shared)
    assert torch.equal(by_views.linear.weight, by_samples.linear.weight)
    assert torch.equal(by_views.linear.bias, by_samples.linear.bias)


@pytest.mark.parametrize("shared", [True, False])
def test_constant_features_and_single_samples_give_finite_heads(shared: bool) -> None:
    head = fresh()
    fit_closed_form(head, torch.ones(CLASSES, DIM), torch.arange(CLASSES), shared=shared)
    assert all(p.isfinite().all() for p in head.parameters())
    assert torch.equal(scores(head, torch.zeros(1, DIM)), head.linear.bias.detach()[None])
    assert head.linear.weight.requires_grad
