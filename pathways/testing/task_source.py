"""The conformance suite of task sources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch

from pathways.digests import sample_digests
from pathways.modules import Masked
from pathways.task import Classes, Split, Task


class TaskSourceSuite:
    """What every task source must keep. Inherit it and define `tasks`.

    Attributes:
        splits_by_seed: whether the seed draws validation, so that another seed gives other fingerprints.

    Example:
        >>> import pathways.data
        >>> class TestOmniglot(TaskSourceSuite):
        ...     def tasks(self, seed):
        ...         return pathways.data.omniglot(["Tengwar", "Keble"], seed=seed)
        >>> TestOmniglot().test_names_are_unique()
    """

    splits_by_seed: ClassVar[bool] = True

    def tasks(self, seed: int) -> Iterable[Task]:
        """The source's tasks for a seed; as small a selection as shows what it does."""
        raise NotImplementedError("define `tasks(self, seed)`: call your source and return its tasks.")

    def test_it_yields_tasks(self) -> None:
        """There is at least one task, and nothing else."""
        tasks = list(self.tasks(0))
        assert tasks
        assert all(isinstance(task, Task) for task in tasks)

    def test_names_are_unique(self) -> None:
        """No two tasks have one name."""
        names = [task.name for task in self.tasks(0)]
        assert len(set(names)) == len(names)

    def test_the_source_is_told(self) -> None:
        """Each task says where its data came from."""
        assert all(task.source.strip() for task in self.tasks(0))

    def test_fingerprints_are_stable(self) -> None:
        """The same seed gives the same data, bit for bit."""
        assert _fingerprints(self.tasks(0)) == _fingerprints(self.tasks(0))

    def test_fingerprints_differ_between_tasks(self) -> None:
        """Different tasks have different training data."""
        prints = [task.fingerprint for task in self.tasks(0)]
        assert len(set(prints)) == len(prints)

    def test_the_seed_draws_validation(self) -> None:
        """Another seed gives another validation split, where the source says so, and nothing else."""
        pairs = list(zip(self.tasks(0), self.tasks(1), strict=True))
        assert all(one.name == other.name for one, other in pairs)
        assert all((one.fingerprint != other.fingerprint) == self.splits_by_seed for one, other in pairs)

    def test_splits_are_disjoint(self) -> None:
        """No sample stands in two splits, unless the task allows it."""
        for task in self.tasks(0):
            contents = [set(sample_digests(split.inputs, task.inputs)) for split in task.splits.values()]
            assert task.allow_duplicates or len(set.union(*contents)) == sum(map(len, contents))

    def test_validation_and_test_know_their_classes(self) -> None:
        """Every class that is asked for was there to be learned."""
        for task in self.tasks(0):
            if isinstance(task.target, Classes):
                trained = set(task.splits["train"].targets.tolist())
                assert all(set(split.targets.tolist()) <= trained for split in task.splits.values())

    def test_transformed_inputs_are_finite(self) -> None:
        """What modules read is finite floats, of a size that a network can learn from."""
        for task in self.tasks(0):
            for split in task.splits.values():
                for name, values in _floats(task, split).items():
                    assert values.dtype == torch.float32, name
                    assert values.isfinite().all(), name
                    assert values.abs().median() < 100, name

    def test_trainers_cannot_see_the_test_split(self) -> None:
        """Without its test split a task has the same fingerprint and no way to the test data."""
        for task in self.tasks(0):
            blind = task.without_test()
            assert set(blind.splits) == {"train", "validation"}
            assert blind.test_fingerprint is None
            assert blind.fingerprint == task.fingerprint


def _fingerprints(tasks: Iterable[Task]) -> list[tuple[str, str, str | None]]:
    return [(task.name, task.fingerprint, task.test_fingerprint) for task in tasks]


def _floats(task: Task, split: Split) -> dict[str, torch.Tensor]:
    values = {name: split.inputs[name] for name, port in task.inputs.items() if not port.integer}
    plain = {name: value.value if isinstance(value, Masked) else value for name, value in values.items()}
    return {name: task.transform[name](value) for name, value in plain.items()}
