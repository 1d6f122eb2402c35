"""The conformance suite of transferability estimators: numbers from frozen features and targets, without training."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor


class TransferabilitySuite:
    """What an estimator of transferability must keep. Inherit it and define `score`.

    Attributes:
        values: whether it also takes targets that are values.

    Example:
        >>> from pathways.affinity import h_score
        >>> class TestHScore(TransferabilitySuite):
        ...     def score(self, features, targets):
        ...         return h_score(features, targets)
        >>> TestHScore().test_informative_features_score_higher()
    """

    values: ClassVar[bool] = False

    def score(self, features: Tensor, targets: Tensor) -> float:
        """The estimator's number for features (N, D) and targets (N,); higher is better.

        One that reads a source's probabilities or labels makes them of the features here, by a softmax or an argmax.
        """
        raise NotImplementedError("define `score(self, features, targets)`: call your estimator.")

    def features(self, targets: Tensor, dim: int = 6, signal: float = 2.0, seed: int = 0) -> Tensor:
        """Noise (N, dim) and `signal` times a direction of each class, or times the value."""
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(len(targets), dim, generator=generator)
        if targets.is_floating_point():
            return noise + signal * targets[:, None]
        return noise + signal * torch.eye(dim)[targets % dim]

    def classes(self, n: int = 80) -> Tensor:
        """Four classes of different sizes, (n,)."""
        return torch.arange(n).remainder(10).clamp_max(3)

    def targets(self, n: int = 80) -> list[Tensor]:
        """The targets that the estimator takes, one of each kind."""
        numbers = torch.randn(n, generator=torch.Generator().manual_seed(1))
        return [self.classes(n), *([numbers] if self.values else [])]

    def test_it_is_a_number(self) -> None:
        """The result is a finite `float`, for each kind of target."""
        for targets in self.targets():
            found = self.score(self.features(targets), targets)
            assert isinstance(found, float)
            assert math.isfinite(found)

    def test_it_repeats_and_changes_nothing(self) -> None:
        """The same numbers give the same result; features, targets and random states stay as they were."""
        for targets in self.targets():
            features, state = self.features(targets), torch.get_rng_state()
            copies = features.clone(), targets.clone()
            assert self.score(features, targets) == self.score(features, targets)
            assert torch.equal(features, copies[0])
            assert torch.equal(targets, copies[1])
            assert torch.equal(torch.get_rng_state(), state)

    def test_the_order_of_samples_does_not_matter(self) -> None:
        """Samples in another order give the same result."""
        for targets in self.targets():
            features = self.features(targets)
            order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(3))
            assert _close(self.score(features[order], targets[order]), self.score(features, targets))

    def test_the_names_of_classes_do_not_matter(self) -> None:
        """Classes numbered otherwise, with gaps, give the same result."""
        targets = self.classes()
        features = self.features(targets)
        assert _close(self.score(features, torch.tensor([7, 3, 12, 0])[targets]), self.score(features, targets))

    def test_informative_features_score_higher(self) -> None:
        """Features that tell the target score higher than the same features of other samples."""
        for targets in self.targets():
            features = self.features(targets)
            shuffled = features[torch.randperm(len(targets), generator=torch.Generator().manual_seed(4))]
            assert self.score(features, targets) > self.score(shuffled, targets)

    def test_more_dimensions_than_samples(self) -> None:
        """The result is finite where D > N."""
        for targets in self.targets(12):
            assert math.isfinite(self.score(self.features(targets, dim=40), targets))

    def test_classes_of_one_sample(self) -> None:
        """The result is finite where a class, or each class, has one sample."""
        for targets in (torch.tensor([0, 0, 0, 1, 1, 2]), torch.arange(5)):
            assert math.isfinite(self.score(self.features(targets), targets))

    def test_constant_features(self) -> None:
        """Features that say nothing score no higher than those that tell the target."""
        for targets in self.targets():
            told, nothing = self.features(targets, signal=4.0), torch.ones(len(targets), 6)
            assert math.isfinite(self.score(nothing, targets))
            assert self.score(nothing, targets) <= self.score(told, targets)

    def test_single_precision_is_enough(self) -> None:
        """Features in single and in double precision give the same result to single precision."""
        for targets in self.targets():
            features = self.features(targets)
            assert _close(self.score(features.double(), targets), self.score(features, targets), 1e-5)


def _close(found: float, expected: float, tolerance: float = 1e-9) -> bool:
    return abs(found - expected) <= tolerance * max(1.0, abs(expected))


__all__ = ["TransferabilitySuite"]
