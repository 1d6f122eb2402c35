from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from tiny import candidate, chain, clusters, linear, plane, seeded
from tiny import head as head_draft
from torch import Tensor

from pathways.candidate import Result
from pathways.modules import Context, Draft, Init, Module, ModuleSpec, Vector, build
from pathways.pool import Pool
from pathways.task import Task
from pathways.trainer import Trainer
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


# -- refitting ----------------------------------------------------------------------------------------------


def trained(tmp_path: Path, task: Task, *heads: Draft, **training: Any) -> tuple[Result, Trainer]:
    trainer = Trainer(Pool(tmp_path))
    trainer.provide(task)
    path = chain(task.inputs["x"], linear("trunk", 5), *heads)
    (result,) = trainer.run([candidate(path, task, **training)])
    assert result.ok, result.failure
    return result, trainer


@pytest.mark.parametrize("kind", ["discriminant", "class_means"])
def test_a_refitted_head_is_the_closed_form_of_the_trained_features(tmp_path: Path, kind: str) -> None:
    task = clusters()
    result, trainer = trained(tmp_path, task, head_draft(), head_refit=kind)
    trunk, found = (trainer.pool.get(result.blobs[name]) for name in ("trunk", "head"))
    with torch.no_grad():
        features = torch.relu(task.splits["train"].inputs["x"] @ trunk["linear.weight"].T + trunk["linear.bias"])
    expected = build(ModuleSpec("classifier", {"classes": 3}), [Vector(5)], seeded())
    fit_closed_form(expected, features, task.splits["train"].targets, shared=kind == "discriminant")
    assert torch.allclose(found["linear.weight"], expected.linear.weight, rtol=1e-4)
    assert torch.allclose(found["linear.bias"], expected.linear.bias, rtol=1e-4)


def test_training_before_a_refit_is_that_without_it_and_the_refit_is_measured(tmp_path: Path) -> None:
    task = clusters(spread=2.0)
    plain, _ = trained(tmp_path, task, head_draft())
    result, _ = trained(tmp_path, task, head_draft(), head_refit="discriminant")
    assert result.blobs["trunk"] == plain.blobs["trunk"]
    assert result.blobs["head"] != plain.blobs["head"]
    assert result.curve[:-1] == plain.curve
    measures = result.measures[task.name]
    assert result.curve[-1] == (20, task.name, measures.validation)
    assert measures.fitness == measures.quality == measures.validation
    assert measures.loss != plain.measures[task.name].loss


def test_a_fitness_counted_in_training_survives_a_refit(tmp_path: Path) -> None:
    task = clusters(spread=2.0)
    settings = {"fitness": "training", "keep": "last"}
    plain, _ = trained(tmp_path, task, head_draft(), **settings)
    result, _ = trained(tmp_path, task, head_draft(), head_refit="class_means", **settings)
    assert result.fitness == plain.fitness != result.quality


def test_heads_of_values_are_left_as_they_were_trained(tmp_path: Path) -> None:
    regressor = Draft("head", ModuleSpec("regressor", {"values": 2}), Init(0))
    for refit in ("none", "discriminant"):
        result, _ = trained(tmp_path, plane(), regressor, head_refit=refit)
        assert len(result.curve) == 1
