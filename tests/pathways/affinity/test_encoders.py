"""Encoders: features of champions and of plain modules, in evaluation mode and without changing them."""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest
import torch
from helpers_tiny import CLASSES, DIM, TRAINING, FixedPath, chain, head, linear, task_of
from helpers_transfer import mlp
from safetensors.torch import save
from torch import Tensor, nn

from pathways.affinity.encoders import (
    Trunk,
    encoded,
    encoder,
    features,
    fits,
    full_networks,
    named_encoders,
    untrained,
)
from pathways.errors import ConfigError
from pathways.modules import Image
from pathways.path import Path
from pathways.strategy import View
from pathways.system import System
from pathways.task import Affine
from pathways.trainer.samples import prepare


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    def build(view: View) -> dict[str, Path]:
        return {view.task.name: chain(view.task.inputs, linear("a"), head())}

    with System.create(tmp_path_factory.mktemp("runs") / "run", training=TRAINING) as made:
        for name in ("one", "two"):
            made.learn(task_of(name), FixedPath(build, rounds=1, repeats=1))
        yield made


def by_hand(model: nn.Module, task: Any) -> Tensor:
    """The hidden layer of the champion's chain, worked out from its weights."""
    weight, bias = (t for n, t in sorted(model.state_dict().items(), reverse=True) if t.shape[0] == 8)
    return torch.relu(Affine(0.5, 0.1)(task.splits["train"].inputs["x"]) @ weight.T + bias)


def test_a_champions_features_are_what_its_head_reads(system: System) -> None:
    task = task_of("three")
    model = system.module("one")
    found = features(model, task)
    assert torch.allclose(found, by_hand(model, task), atol=1e-6)
    assert torch.equal(features(Trunk(model), task), found)
    scores = encoded(full_networks(system)["one"], prepare(task, "train").values)
    assert scores.shape == (36, CLASSES)


def test_a_system_names_its_champions(system: System) -> None:
    assert list(named_encoders(system)) == ["one", "two"]


def test_frozen_networks_stay_as_they_are() -> None:
    net = nn.Sequential(nn.Linear(DIM, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    before, state = save(net.state_dict()), torch.get_rng_state()
    first = features(net, task_of("t"))
    assert torch.equal(features(net, task_of("t")), first)
    assert save(net.state_dict()) == before
    assert net.training
    assert torch.equal(torch.get_rng_state(), state)
    assert not first.requires_grad


def test_features_of_images_are_flat() -> None:
    task = task_of("t", {"x": Image(1, 2, 3)}, lambda split, x: {"x": x.reshape(-1, 1, 2, 3)})
    assert features(nn.Identity(), task, "validation").shape == (18, 6)


def test_several_inputs_come_by_name() -> None:
    class Sum(nn.Module):
        def forward(self, values: dict[str, Tensor]) -> Tensor:
            return values["x"] + values["z"]

    port = task_of("t").inputs["x"]
    task = task_of("t", {"x": port, "z": port}, lambda split, x: {"x": x, "z": 2 * x})
    assert torch.equal(features(Sum(), task), 3 * task.splits["train"].inputs["x"])


def test_a_path_fits_tasks_of_its_ports(system: System) -> None:
    trunk = encoder(system.module("one"))
    other = task_of("t", {"x": Image(1, 2, 3)}, lambda split, x: {"x": x.reshape(-1, 1, 2, 3)})
    renamed = task_of("t", {"points": task_of("t").inputs["x"]}, lambda split, x: {"points": x})
    assert fits(trunk, task_of("t"))
    assert fits(trunk, renamed)
    assert features(trunk, renamed).shape == (36, 8)
    assert not fits(trunk, other)


def test_weights_are_drawn_anew_from_the_names(system: System, tmp_path: FilePath) -> None:
    for module in (mlp(), encoder(system.module("one"))):
        before, state = save(module.state_dict()), torch.get_rng_state()
        one, again, other = untrained(module, "a", 0), untrained(module, "a", 0), untrained(module, "a", 1)
        task = task_of("t")
        assert torch.equal(features(one, task), features(again, task))
        assert not torch.equal(features(one, task), features(other, task))
        assert not torch.equal(features(one, task), features(module, task))
        assert save(module.state_dict()) == before
        assert torch.equal(torch.get_rng_state(), state)


def test_what_is_wrong_is_said() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(1))

    with pytest.raises(ConfigError, match="`Own` must have `reset_parameters`"):
        untrained(Own(), 0)
    with pytest.raises(ConfigError, match="at least one network, found none"):
        named_encoders({})
    for name in ("a|b", "self", "random", "pixels"):
        with pytest.raises(ConfigError, match="found '" + name.replace("|", r"\|")):
            named_encoders({name: nn.Identity()})
