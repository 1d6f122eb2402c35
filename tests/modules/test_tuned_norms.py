import pytest
import torch
from torch.nn import functional as F

from pathways.assemble import PathModule
from pathways.modules import Draft, Frozen, Ids, Image, ModuleSpec, Tokens, Vector, build, facts
from pathways.path import DeltaRef, Path, Step
from pathways.testing import DeltaFamilySuite
from pathways.testing.module_family import seeded

TRUNK = ModuleSpec("transformer", {"heads": 4})


class TestTunedNorms(DeltaFamilySuite):
    spec = ModuleSpec("tuned_norms")
    host, ports = TRUNK, (Tokens(None, 8),)
    draws = False


class TestTunedNormsConv(DeltaFamilySuite):
    spec = ModuleSpec("tuned_norms", {"others": ["conv.weight"]})
    host, ports = ModuleSpec("conv", {"channels": 4, "norm": "group", "groups": 2}), (Image(3, 5, 5),)
    draws = False


class TestTunedNormsOthers(DeltaFamilySuite):
    spec = ModuleSpec("tuned_norms", {"others": ["linear.bias"]})
    host, ports = ModuleSpec("linear", {"dim": 3}), (Vector(4),)
    draws = False


def test_b15_positions_of_an_embedding_can_be_tuned_too():
    spec = ModuleSpec("tuned_norms", {"others": ["position.weight"]})
    assert facts(spec, [], host=(ModuleSpec("embed", {"dim": 4}), (Ids(5, 9),))).parameters == 20


def learn(x, y, dim, rate, steps):
    """Tune input and output nets and norms of a frozen, random trunk; accuracy, steps and share of weights tuned."""
    trunk = build(TRUNK, [Tokens(x.shape[1], dim)], seeded(1)).state_dict()
    path = Path({"x": Ids(x.shape[1], 3)}, {
        "embedded": Step((Draft("in", ModuleSpec("embed", {"dim": dim})),), ("x",)),
        "trunk": Step((Frozen("a" * 64, TRUNK),), ("embedded",),
                      deltas=(DeltaRef(0, Draft("norms", ModuleSpec("tuned_norms"))),)),
        "flat": Step((Draft("flat", ModuleSpec("flatten")),), ("trunk",)),
        "out": Step((Draft("out", ModuleSpec("linear", {"dim": y.shape[1]})),), ("flat",)),
    }, "out")
    module = PathModule(path, lambda ref: trunk if isinstance(ref, Frozen) else seeded(len(ref.name)))
    tuned = [p for p in module.parameters() if p.requires_grad]
    share = sum(p.numel() for p in tuned) / sum(p.numel() for p in module.parameters())
    optimizer, generator, correct, step = torch.optim.Adam(tuned, rate), seeded(5), 0.0, 0
    while step < steps and correct < 1:
        for _ in range(50):
            rows = torch.randint(len(x), (128,), generator=generator)
            loss = F.binary_cross_entropy_with_logits(module(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        step += 50
        with torch.no_grad():
            correct = float(((module(x) > 0).float() == y).float().mean())
    norms = module.drafts()["norms"]
    assert all(bool(change.any()) for change in norms.changes)
    assert all(torch.equal(t, trunk[n]) for n, t in next(m for _, m in module.frozen()).state_dict().items())
    print(f"trainable share {share:.1%}: {correct:.1%} of the bits after {step} steps")
    return correct, share


def test_b15_the_xor_of_two_bit_strings_is_learned_on_a_frozen_trunk():
    x = torch.arange(1024)[:, None] >> torch.arange(10) & 1
    correct, share = learn(x, (x[:, :5] ^ x[:, 5:]).float(), dim=32, rate=0.01, steps=300)
    assert correct == 1.0
    assert share < 0.15


def test_b15_bits_are_remembered_on_a_frozen_trunk():
    """Two strings of three bits, then one of them with one bit hidden (id 2): which was it?"""
    generator = seeded(3)
    strings = torch.randint(0, 2, (1024, 2, 3), generator=generator)
    target = strings[torch.arange(1024), torch.randint(2, (1024,), generator=generator)]
    hidden = torch.rand(1024, 3, generator=generator).argsort(1) < 1
    told = ((strings[:, 0] != strings[:, 1]) & ~hidden).any(1)  # what is seen says which of the two it is
    x = torch.cat([strings.flatten(1), target.masked_fill(hidden, 2)], 1)[told]
    correct, share = learn(x, target[told].float(), dim=48, rate=0.005, steps=600)
    assert correct >= 0.99
    assert share < 0.1


def test_b15_tuning_starts_from_the_hosts_own_values():
    host = build(TRUNK, [Tokens(5, 8)], seeded(0))
    torch.nn.init.normal_(host.norm.weight, generator=seeded(1))
    delta = build(ModuleSpec("tuned_norms"), [], seeded(2), host=host)
    torch.nn.init.constant_(delta.changes[delta.targets.index("norm.weight")], 0.5)
    before = dict(host.named_parameters())
    after = delta.weights(before)
    assert torch.equal(after["norm.weight"], host.norm.weight + 0.5)
    assert sorted(n for n in before if after[n] is not before[n]) == [
        "norm.bias", "norm.weight", "norm_ff.bias", "norm_ff.weight",
    ]


@pytest.mark.parametrize("others", [[], ["norm.weight"], ["weight"]])
def test_names_that_are_not_there_are_named(others):
    with pytest.raises(ValueError, match=r"`others` must name parameters of the host .* \['linear.bias', 'linear.weig"):
        facts(ModuleSpec("tuned_norms", {"others": others}), [], host=(ModuleSpec("linear", {"dim": 3}), (Vector(4),)))
