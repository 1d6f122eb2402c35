"""Transferability of champions to a new task: every estimator, and what it reads."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers_tiny import TRAINING, FixedPath, chain, head, linear
from helpers_tiny import task_of as tiny
from helpers_transfer import PARTS, encoders, task_of
from torch import Tensor, nn

from pathways import affinity
from pathways.affinity import transferability
from pathways.affinity.encoders import features
from pathways.affinity.table import ESTIMATORS, TRANSFERABILITY
from pathways.errors import ConfigError, DataError
from pathways.modules import Image
from pathways.system import System


@pytest.mark.parametrize("estimator", sorted(TRANSFERABILITY))
def test_what_sees_the_tasks_part_is_more_useful(estimator: str) -> None:
    several = task_of("l", label=lambda part: part[:, 0])
    options = {"centred": True, "normalised": True} if estimator == "trans_rate" else {}
    found = transferability(encoders(), several, estimator, **options)
    assert (found.kind, found.estimator, found.affected) == ("transfer", estimator, ("l",))
    assert found["l", "left"] > found["l", "right"]


def test_the_value_is_the_estimators_on_training_features() -> None:
    task = task_of("l")
    found = transferability(encoders(), task.without_test(), "h_score", shrinkage=0.2)
    x = features(encoders()["right"], task, "train")
    assert found["l", "right"] == affinity.h_score(x, task.splits["train"].targets, shrinkage=0.2)
    assert found.about["options"] == {"shrinkage": 0.2}


def test_values_and_functions_of_ones_own() -> None:
    task = task_of("l", values=True)
    assert transferability(encoders(), task)["l", "left"] > transferability(encoders(), task)["l", "right"]

    def width(x: Tensor, y: Tensor) -> float:
        return float(x.shape[1])

    found = transferability(encoders(), task, width)
    assert (found.estimator, found["l", "left"]) == ("width", 6.0)
    with pytest.raises(DataError, match="TransRate is defined for classes"):
        transferability(encoders(), task, "trans_rate")


@pytest.mark.parametrize("estimator", ["leep", "nce"])
def test_scores_of_source_classifiers(estimator: str) -> None:
    class Tells(nn.Module):
        def __init__(self, part: str) -> None:
            super().__init__()
            self.part = PARTS[part]

        def forward(self, x: Tensor) -> Tensor:
            total = x[:, self.part].sum(1, keepdim=True)
            return torch.cat([-total, total, total - 9], 1)

    found = transferability({"left": Tells("left"), "right": Tells("right")}, task_of("l"), estimator)
    assert 0 >= found["l", "left"] > found["l", "right"] + 0.1


def test_champions_of_a_system(tmp_path: Any) -> None:
    def build(view: Any) -> dict[str, Any]:
        return {view.task.name: chain(view.task.inputs, linear("a"), head())}

    image = tiny("image", {"x": Image(1, 2, 3)}, lambda split, x: {"x": x.reshape(-1, 1, 2, 3)})
    with System.create(tmp_path / "run", training=TRAINING) as system:
        for name in ("one", "two"):
            system.learn(tiny(name), FixedPath(build, rounds=1, repeats=1))
        for estimator in (*TRANSFERABILITY, "leep", "nce"):
            found = transferability(system, tiny("one"), estimator)
            assert found.sources == ("one", "two")
            assert np.isfinite(found.values).all()
            assert np.isnan(transferability(system, image, estimator).values).all()
        # the champion of these very data tells their classes best
        assert transferability(system, tiny("one"), "leep")["one", "one"] == transferability(
            system, tiny("one"), "leep").values.max()


def test_an_unknown_estimator_is_named() -> None:
    with pytest.raises(ConfigError, match=r"one of \['h_score', 'leep', 'logme', 'nce', 'trans_rate'\], found 'lepp'"):
        transferability(encoders(), task_of("l"), "lepp")


def test_functions_keep_their_names_beside_files_of_the_same_name() -> None:
    import importlib

    for name, home in ESTIMATORS.items():
        file, function = home.split(":")
        module = importlib.import_module(f"pathways.affinity.{file}")
        if name in affinity.__all__:
            assert getattr(affinity, name) is getattr(module, function)
    from pathways.affinity.logme import logme

    assert affinity.logme is logme
