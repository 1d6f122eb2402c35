"""The suite of transferability estimators sees what is wrong."""

import math

import pytest
import torch
from torch import Tensor

from pathways.affinity import h_score
from pathways.testing import TransferabilitySuite

CHECKS = [name for name in vars(TransferabilitySuite) if name.startswith("test_")]


class Constant(TransferabilitySuite):
    """Says the same of all features."""

    def score(self, features: Tensor, targets: Tensor) -> float:
        return 1.0


class Ordered(TransferabilitySuite):
    """Depends on the order of samples."""

    def score(self, features: Tensor, targets: Tensor) -> float:
        return h_score(features, targets) + 0.01 * float(features[0, 0])


class Named(TransferabilitySuite):
    """Takes the numbers of classes for quantities."""

    def score(self, features: Tensor, targets: Tensor) -> float:
        return h_score(features, targets.double())


class Adjusted(TransferabilitySuite):
    """Adjusts for the number of dimensions, which it cannot where D > N."""

    def score(self, features: Tensor, targets: Tensor) -> float:
        return h_score(features, targets) * math.sqrt(len(features) - features.shape[1])


class Array(TransferabilitySuite):
    """Gives a tensor, and draws from the global generator."""

    def score(self, features: Tensor, targets: Tensor) -> float:
        return h_score(features, targets) + torch.rand(())  # type: ignore[return-value]


@pytest.mark.parametrize(("suite", "broken"), [
    (Constant, {"test_informative_features_score_higher"}),
    (Ordered, {"test_the_order_of_samples_does_not_matter"}),
    (Named, {"test_the_names_of_classes_do_not_matter"}),
    (Adjusted, {"test_more_dimensions_than_samples", "test_classes_of_one_sample"}),
    (Array, {"test_it_is_a_number", "test_it_repeats_and_changes_nothing"}),
])
def test_a_broken_estimator_is_found(suite: type[TransferabilitySuite], broken: set[str]) -> None:
    failed = set()
    for name in CHECKS:
        with torch.random.fork_rng():
            try:
                getattr(suite(), name)()
            except (AssertionError, ValueError):
                failed.add(name)
    assert broken <= failed
    assert suite is Array or len(failed) <= len(broken) + 1  # and little else


def test_without_a_score_it_says_what_to_do() -> None:
    with pytest.raises(NotImplementedError, match="call your estimator"):
        TransferabilitySuite().test_it_is_a_number()
