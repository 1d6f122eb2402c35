"""Task2Vec: the Fisher information against a small case by hand, planted relations, symmetry."""

import numpy as np
import pytest
import torch
from helpers_transfer import DIM, mlp, task_of
from safetensors.torch import save
from torch import nn

from pathways.affinity import Readout, task2vec
from pathways.affinity.task2vec import embedding, similarity
from pathways.errors import ConfigError

QUICK = Readout(steps=60, batch=32)


class Halves(nn.Module):
    """A probe whose first four filters see the left part of the input, the others the right."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.left, self.right = nn.Linear(3, 4), nn.Linear(3, 4)
        for layer in (self.left, self.right):
            nn.init.normal_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(torch.cat([self.left(x[:, :3]), self.right(x[:, 3:])], 1))


def test_tasks_of_one_part_are_alike() -> None:
    parts = {"l1": "left", "l2": "left", "r1": "right", "r2": "right"}
    tasks = [*(task_of(name, part, n=400) for name, part in parts.items()), task_of("lv", values=True, n=400)]
    found = task2vec(tasks, Halves(), samples=100)
    assert (found.kind, found.estimator) == ("transfer", "task2vec")
    values = found.values
    assert np.array_equal(values, values.T)
    assert (values.diagonal() == 1).all()
    assert ((values >= 0) & (values <= 1)).all()
    alike, apart = (values[0, 1], values[2, 3]), (values[0, 2], values[0, 3], values[1, 2], values[1, 3])
    assert min(alike) > max(apart) + 0.1
    assert values[0, 4] > values[2, 4]


def test_the_information_of_a_value_is_that_of_its_slope() -> None:
    """For y ~ Normal(w' s A x, 1) the information of A[f, i] is E[(w_f s_f x_i)^2], whatever y is drawn."""
    task = task_of("v", values=True, n=400)
    probe = nn.Linear(DIM, 3, bias=False)
    nn.init.normal_(probe.weight, generator=torch.Generator().manual_seed(0))
    readout = Readout(steps=600, batch=400, weight_decay=0.0)
    found = embedding(task, probe, samples=400, readout=readout)
    x = task.splits["train"].inputs["x"]
    mean = float(x.square().mean())  # of x_i^2, over samples and inputs
    features = x @ probe.weight.T.detach()
    scaled = ((features - features.mean(0)) / features.std(0)).numpy()
    slope = np.linalg.lstsq(np.c_[scaled, np.ones(400)], task.splits["train"].targets.numpy(), rcond=None)[0][:3]
    expected = (slope[:, 0] / features.std(0).numpy()) ** 2 * mean
    assert np.allclose(found, expected, rtol=0.25)  # one draw a sample: the mean of 400 squares is 1 within 0.07


def test_similarity_by_hand() -> None:
    a, b = np.array([1.0, 3.0, 0.0]), np.array([1.0, 1.0, 0.0])
    u, v = np.array([0.5, 0.75]), np.array([0.5, 0.25])
    assert similarity(a, b) == pytest.approx(u @ v / np.linalg.norm(u) / np.linalg.norm(v), abs=1e-12)
    assert similarity(a, b) == similarity(b, a)
    assert similarity(np.zeros(2), np.zeros(2)) == 1.0
    assert similarity(np.zeros(2), np.ones(2)) == 0.0


def test_the_probe_and_random_states_stay_as_they_are() -> None:
    probe = mlp().requires_grad_(False)
    before, state = save(probe.state_dict()), torch.get_rng_state()
    one, two = (embedding(task_of("l1"), probe, samples=20, readout=QUICK) for _ in range(2))
    assert np.array_equal(one, two)
    assert len(one) == 16
    assert save(probe.state_dict()) == before
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(p.requires_grad for p in probe.parameters())


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ConfigError, match="`probe` must have weights of two or more axes"):
        task2vec([task_of("l1")], nn.Sequential(nn.Identity(), nn.BatchNorm1d(DIM)))
    with pytest.raises(ConfigError, match="must name each task once"):
        task2vec([task_of("l1"), task_of("l1")], mlp())
