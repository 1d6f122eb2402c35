"""`Moment`: what it refuses, and what `untouched` puts back."""

import pytest
import torch
from torch import nn

from pathways.affinity import Moment
from pathways.affinity.moment import gradients, untouched
from pathways.errors import ConfigError
from pathways.testing.affinity_co_training import Problem


def test_losses_of_unknown_tasks_are_refused():
    with pytest.raises(ConfigError, match=r"`losses` must name tasks of `tasks`, found 'c': `tasks` is \('a',\)"):
        Moment(("a",), {"c": lambda: torch.zeros(())}, {}, 0.1)
    with pytest.raises(ConfigError, match="found 'c'"):
        Moment(("a",), lambda: {"c": torch.zeros(())}, {}, 0.1).evaluate()


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_the_rate_is_a_finite_number(rate):
    with pytest.raises(ConfigError, match="`rate` must be a finite number of at least 0"):
        Moment(("a",), {}, {}, rate)


@pytest.mark.parametrize(("decay", "expected"), [(1, 1), (0.1, 0.1), ({"w": 0.2}, 0.2), ({"v": 0.2}, 0.0)])
def test_weight_decay_is_one_number_or_one_a_name(decay, expected):
    assert Moment(("a",), {}, {}, 0.1, weight_decay=decay).decay_of("w") == expected


def spoil(problem):
    torch.stack(list(problem.losses().values())).sum().backward()
    with torch.no_grad():
        for parameter in problem.trunk.parameters():
            parameter.add_(1)
    torch.rand(3), torch.rand(3, generator=problem.generator)
    raise KeyError


def test_whatever_is_done_within_is_undone():
    problem = Problem()
    problem.step()
    before = problem.state()
    with pytest.raises(KeyError), untouched(problem.moment()):
        spoil(problem)
    assert all(name.startswith("gradient head") for name in problem.differs(before))


def test_a_graph_made_before_still_gives_its_gradients():
    """Weights are put back unseen by autograd, so a loop may measure between its forward and its backward pass."""
    layers = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    moment = Moment(("a",), {"a": lambda: layers(x).mean()}, dict(layers.named_parameters()), 0.1, module=layers)
    loss = layers(x).square().mean()
    expected = torch.autograd.grad(loss, list(layers.parameters()), retain_graph=True)
    with untouched(moment):
        for parameter in layers.parameters():
            parameter.data.add_(1)
        layers(x)
    for one, other in zip(torch.autograd.grad(loss, list(layers.parameters())), expected, strict=True):
        assert torch.equal(one, other)


def test_gradients_are_zero_where_a_loss_does_not_reach():
    a, b, frozen = (torch.ones(2, requires_grad=i < 2) for i in range(3))
    losses = {"x": lambda: (a * frozen).sum(), "y": lambda: torch.tensor(1.0)}
    found = gradients(Moment(("x", "y"), losses, {"a": a, "b": b, "frozen": frozen}, 0.1))
    assert [g.tolist() for g in found["x"]] == [[1, 1], [0, 0], [0, 0]]
    assert all(not g.any() for g in found["y"])
