from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import candidate, chain, clusters, head, linear

from pathways.candidate import Candidate
from pathways.errors import ConfigError
from pathways.evolve import MuNet
from pathways.modules import Vector
from pathways.path import Path
from pathways.pool import Pool
from pathways.sampler import as_sampler, turns
from pathways.trainer import Trainer

TASKS, SAMPLES = ["a", "b", "c"], [100, 400, 500]


def shares(sampler: Any, steps: int = 4000) -> list[float]:
    drawn = turns(as_sampler(sampler), TASKS, SAMPLES, steps, torch.Generator().manual_seed(0))
    assert all(len(turn) == 1 for turn in drawn)
    counts = Counter(turn[0] for turn in drawn)
    return [counts[i] / steps for i in range(3)]


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        ({"ratios": {"a": 0, "b": 1, "c": 0}}, [0, 1, 0]),  # MMF's constant strategy
        ("round_robin", [1334 / 4000, 1333 / 4000, 1333 / 4000]),
        ("proportional", [0.1, 0.4, 0.5]),
        ({"ratios": {"a": 0.2, "b": 0.07, "c": 0.26}}, [0.2 / 0.53, 0.07 / 0.53, 0.26 / 0.53]),
    ],
)
def test_t6_four_strategies_have_their_frequencies(sampler: Any, expected: list[float]) -> None:
    for found, wanted in zip(shares(sampler), expected, strict=True):
        # Five standard deviations of a share of 4,000 draws; those that draw nothing are exact.
        bound = 5 * (wanted * (1 - wanted) / 4000) ** 0.5 if sampler != "round_robin" else 0
        assert abs(found - wanted) <= bound


def test_t5_tasks_are_drawn_with_fixed_probabilities() -> None:
    names = [f"task{i}" for i in range(8)]
    wanted = [0.20, 0.07, 0.26, 0.12, 0.10, 0.10, 0.10, 0.05]
    sampler = as_sampler({"ratios": dict(zip(names, wanted, strict=True))})
    drawn = turns(sampler, names, [1] * 8, 10_000, torch.Generator().manual_seed(1))
    counts = Counter(turn[0] for turn in drawn)
    for i, share in enumerate(wanted):
        assert abs(counts[i] / 10_000 - share) < 5 * (share * (1 - share) / 10_000) ** 0.5


def test_a_temperature_lies_between_sizes_and_evenness() -> None:
    assert turns(as_sampler({"temperature": 1}), TASKS, SAMPLES, 50, torch.Generator().manual_seed(0)) == turns(
        "proportional", TASKS, SAMPLES, 50, torch.Generator().manual_seed(0)
    )
    first = [shares(each)[0] for each in ("proportional", {"temperature": 2}, {"temperature": 8}, "uniform")]
    assert first == sorted(first)


def test_one_task_is_in_every_step() -> None:
    assert turns("round_robin", ["a"], [5], 3, torch.Generator()) == [[0], [0], [0]]
    assert turns("joint", TASKS, SAMPLES, 2, torch.Generator()) == [[0, 1, 2]] * 2


@pytest.mark.parametrize(
    "value", ["random", {"temperature": 0}, {"ratios": {}}, {"ratios": {"a": -1}}, {"ratios": {"a": 0}}, {"x": 1}, 3]
)
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="`sampler` must be one of"):
        as_sampler(value)
    with pytest.raises(ConfigError, match="`sampler` must be one of"):
        MuNet(sampler=value)


def test_ratios_name_the_tasks() -> None:
    with pytest.raises(ConfigError, match=r"must give weights to the tasks \['a', 'b', 'c'\], found"):
        turns(as_sampler({"ratios": {"a": 1}}), TASKS, SAMPLES, 1, torch.Generator())


def joint(sampler: Any) -> tuple[Candidate, list[Any]]:
    tasks = [clusters(name, seed=i) for i, name in enumerate(("left", "right"))]
    paths: dict[str, Path] = {
        task.name: chain(Vector(4), linear("trunk", 6), head(name=f"head/{task.name}")) for task in tasks
    }
    return candidate(paths, *tasks, sampler=sampler, steps=6), tasks


def test_a_candidate_carries_its_sampler(tmp_path: Any) -> None:
    """Ratios train one head only; they are in the hash and in the JSON."""
    asked, tasks = joint({"ratios": {"left": 1, "right": 0}})
    assert Candidate.from_json(asked.to_json()).hash == asked.hash
    assert asked.hash != joint("round_robin")[0].hash
    trainer = Trainer(Pool(tmp_path))
    for task in tasks:
        trainer.provide(task.without_test())
    [result] = trainer.run([asked])
    [untrained] = trainer.run([replace(asked, training=replace(asked.training, steps=0))])
    assert result.ok
    assert result.blobs["head/right"] == untrained.blobs["head/right"]
    assert result.blobs["head/left"] != untrained.blobs["head/left"]
