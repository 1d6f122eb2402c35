"""Every family can be put into some path by a mutation that is told its name only, and trains there."""

import pytest
import torch
from helpers_blocks import Bench, as_frozen, found, fresh, headed, paths
from torch import nn

from pathways.modules import BUILT_IN, FAMILIES, Delta, Families, Frozen, Module, Tokens, Vector
from pathways.modules.ports import like, split
from pathways.path import Path


class Doubled(Module):
    """A user's block: twice a vector or tokens, and a learned shift."""

    family = "doubled"

    def __init__(self, ports):
        super().__init__()
        self.output = ports[0]
        self.shift = nn.Parameter(torch.empty(ports[0].dim))

    def initialise(self, generator):
        nn.init.normal_(self.shift, std=0.1, generator=generator)

    def forward(self, *inputs, context):
        return like(inputs[0], 2 * split(inputs[0])[0] + self.shift)

    @classmethod
    def fitting(cls, ports):
        return {} if len(ports) == 1 and isinstance(ports[0], (Vector, Tokens)) else None


class Louder(Delta):
    """A user's delta, conditioned on a vector: the output times one and a number that the condition says."""

    family = "louder"

    def __init__(self, host, ports):
        super().__init__()
        self.gain = nn.Linear(ports[0].dim, 1)

    def initialise(self, generator):
        nn.init.zeros_(self.gain.weight)
        nn.init.zeros_(self.gain.bias)

    def around(self, call, *inputs, context, condition):
        output = call(*inputs, context=context)
        gain = 1 + self.gain(condition[0])
        tensor = split(output)[0]
        return like(output, tensor * gain.reshape(-1, *[1] * (tensor.ndim - 1)))

    @classmethod
    def fitting(cls, host):
        return {}


class Even(Module):
    """A user's router: half of each of two modules."""

    family = "even"

    def __init__(self, ports):
        super().__init__()
        self.output = Vector(2)

    def forward(self, *inputs, context):
        return torch.full((len(split(inputs[0])[0]), 2), 0.5)


class Scores(Module):
    """A user's head."""

    family = "scores"
    head = True

    def __init__(self, ports, *, classes):
        super().__init__()
        self.output = Vector(classes)
        self.layer = nn.Linear(ports[0].dim, classes)

    def forward(self, *inputs, context):
        return self.layer(inputs[0])


OURS = Families([Doubled, Louder, Even, Scores])


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("pool"), OURS)


@pytest.fixture(scope="module")
def trunks(bench):
    """Paths of frozen modules in the pool, each trained when it is first asked for."""
    made = {}

    def trunk(name):
        if name not in made:
            made[name] = bench.frozen(paths()[name])
        return made[name]

    return trunk


@pytest.mark.parametrize("name", [*sorted(FAMILIES), *(cls.family for cls in OURS.extra)])
def test_a_mutation_reaches_it_by_its_name_and_it_trains(name, bench, trunks):
    way = found(name, OURS)
    assert way is not None, (
        f"no mutation puts family `{name}` into any small path by its name alone: it needs a `fitting` that gives a "
        f"configuration (without parts) for ports, or for a host, that a preset has."
    )
    where, words, put = way
    before = trunks(where)
    after = put(before)
    assert fresh(after, name), words
    assert after.hash != before.hash
    assert Path.from_json(after.to_json()) == after
    kept = set(after.frozen())
    assert kept <= set(before.frozen())
    if not words.startswith(("replace", "head")):
        assert kept == set(before.frozen())
    result = bench.train(headed(after, OURS))
    assert result.ok, (where, words, result.failure)
    for ref in before.frozen().values():
        assert isinstance(ref, Frozen)
        bench.pool.get(ref.id)  # verified against its hash: nothing frozen was changed


def test_what_has_no_fitting_is_not_reached():
    class Unfit(Module):
        """A family that says nothing of what fits."""

        family = "unfit"

        def __init__(self, ports, *, must):
            super().__init__()
            self.output = ports[0]

    assert found("unfit", Families([Unfit])) is None


def test_paths_are_of_every_kind_of_port():
    kinds = {type(port) for path in paths().values() for port in as_frozen(path).ports().values()}
    assert len(kinds) == 5
    assert BUILT_IN.names() == sorted(FAMILIES)
