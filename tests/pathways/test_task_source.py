from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
import torch

from pathways.modules import Vector
from pathways.task import Affine, Classes, Split, Task
from pathways.testing import TaskSourceSuite

Source = Callable[[int], list[Task]]


def example(name: str = "a", seed: int = 0, offset: float = 0.0, **changes: object) -> Task:
    rows = torch.arange(24.0).reshape(12, 2) + offset
    labels = torch.arange(12) % 2
    order = torch.cat([torch.randperm(9, generator=torch.Generator().manual_seed(seed)), torch.arange(9, 12)])
    bounds = {"train": order[:6], "validation": order[6:9], "test": order[9:]}
    splits = {which: Split({"x": rows[part]}, labels[part]) for which, part in bounds.items()}
    task = Task(name, {"x": Vector(2)}, Classes(2), splits, source="counting")
    return replace(task, **changes)  # type: ignore[arg-type]


def good(seed: int) -> list[Task]:
    return [example("a", seed), example("b", seed, offset=30.0)]


def suite_of(source: Source) -> TaskSourceSuite:
    class Suite(TaskSourceSuite):
        def tasks(self, seed: int) -> Iterable[Task]:
            return source(seed)

    return Suite()


CHECKS = [name for name in dir(TaskSourceSuite) if name.startswith("test_")]


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_source_passes(check: str) -> None:
    getattr(suite_of(good), check)()


def drifting() -> Source:
    calls = iter(range(100))
    return lambda seed: [example("a", seed, offset=float(next(calls)))]


@pytest.mark.parametrize(
    ("check", "source"),
    [
        ("test_it_yields_tasks", lambda seed: []),
        ("test_it_yields_tasks", lambda seed: ["task"]),
        ("test_names_are_unique", lambda seed: [example("a"), example("a", offset=9.0)]),
        ("test_the_source_is_told", lambda seed: [example(source=" ")]),
        ("test_fingerprints_are_stable", drifting()),
        ("test_fingerprints_differ_between_tasks", lambda seed: [example("a"), example("b")]),
        ("test_the_seed_draws_validation", lambda seed: [example("a", seed=0)]),
        ("test_the_seed_draws_validation", lambda seed: [example(f"a{seed}", seed)]),
        ("test_transformed_inputs_are_finite", lambda seed: [example(offset=1e4)]),
        ("test_transformed_inputs_are_finite", lambda seed: [example(transform={"x": Affine(1e38)})]),
    ],
)
def test_a_bad_source_fails(check: str, source: Source) -> None:
    with pytest.raises(AssertionError):
        getattr(suite_of(source), check)()


def test_a_seedless_source_says_so() -> None:
    suite = suite_of(lambda seed: [example("a")])
    type(suite).splits_by_seed = False
    suite.test_the_seed_draws_validation()


def test_tasks_must_be_defined() -> None:
    with pytest.raises(NotImplementedError, match="define `tasks"):
        TaskSourceSuite().tasks(0)
