import pytest
import torch
from pretrained_networks import Encoder, Layouts, Nets, ResNet, assembled, images, seeded
from torch import nn

from pathways.errors import PathError
from pathways.modules import Families, Ids, Image, Signal, Tokens, Vector
from pathways.pretrained import Submodule, split

NAMES = ["stem", "places", "relu", "blocks.0", "blocks.1", "drop", "norm", "last"]


@pytest.mark.parametrize("pool", ["mean", "max", "first", "last"])
def test_a_split_network_gives_its_bits(pool):
    network = seeded(Encoder, pool=pool)
    root = split(network, NAMES, images(), Nets, model={"pool": pool})
    path = assembled(root, Nets)
    with torch.no_grad():
        for batch in (images(1, seed=5), images(7, seed=6)):
            assert torch.equal(path({"x": batch}), network.eval()(batch))
    assert [name for name in root.path.steps if name in NAMES] == NAMES


def test_ports_are_found_by_tracing():
    root = split(seeded(Encoder), NAMES, images(), Nets)
    ports = root.path.ports(Families([Nets]))
    assert ports["x"] == Image(1, 28, 28)
    assert ports["stem"] == Image(8, 4, 4)
    assert ports["places"] == ports["norm"] == Tokens(16, 8)
    assert ports["last"] == Vector(8)
    glue = [name for name in root.path.steps if name not in NAMES]
    assert glue == ["stem.as_tokens", "norm.pool"]


def test_modules_are_not_mixed_up_by_operations_in_place():
    """The relu writes into what it reads: on a path others may read that too."""
    root = split(seeded(Encoder), NAMES, images(), Nets)
    path = assembled(root, Nets)
    before, after = (path.compute({"x": images()}, (name,))[name] for name in ("places", "places"))
    values = path.compute({"x": images()}, ("places", "relu"))
    assert torch.equal(before, after)
    assert torch.equal(values["places"], before)
    assert bool((values["places"] < 0).any())


def test_the_network_stays_as_it_is():
    network = seeded(Encoder).train()
    network.norm.eval()
    network.last.weight.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    split(network, NAMES, images(), Nets)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [n for n, p in network.named_parameters() if not p.requires_grad] == ["last.weight"]
    assert (network.training, network.norm.training, network.relu.inplace) == (True, False, True)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_what_follows_the_last_name_is_left_out():
    network = seeded(ResNet)
    names = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"]
    root = split(network, names, images(), Layouts, model={"kind": "resnet"})
    found = assembled(root, Layouts)({"x": images()})
    assert found.shape == (4, 8, 1, 1)
    shorter = split(network, names[:6], images(), Layouts, model={"kind": "resnet"})
    with torch.no_grad():
        x = network.eval().maxpool(network.relu(network.bn1(network.conv1(images()))))
        assert torch.equal(assembled(shorter, Layouts)({"x": images()}), network.layer2(network.layer1(x)))


def test_a_network_that_ends_in_glue_ends_so_as_a_path():
    root = split(seeded(Headless), ["body"], images(), HeadlessFamily)
    assert list(root.path.steps) == ["body", "body.pool"]
    assert torch.equal(assembled(root, HeadlessFamily)({"x": images()}), seeded(Headless).eval()(images()))


class Headless(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 4, 7, 7)

    def forward(self, x):
        return self.body(x).mean((2, 3))


class HeadlessFamily(Submodule):
    family = "test_headless"
    build = Headless


class Two(nn.Module):
    """Two inputs: ids and a series, whose kinds shapes do not tell."""

    def __init__(self):
        super().__init__()
        self.words, self.wave = nn.Embedding(9, 6), nn.Conv1d(2, 6, 3)
        self.body = nn.Sequential(nn.Linear(6, 6), nn.GELU())

    def forward(self, ids, sound):
        return self.body(self.wave(sound).transpose(1, 2)) if sound.sum() > 1e9 else self.body(self.words(ids))


class TwoFamily(Submodule):
    family = "test_two"
    build = Two


def test_ports_may_be_named_where_shapes_do_not_tell_them():
    batch = {"ids": torch.tensor([[1, 2, 3], [4, 0, 8]]), "sound": torch.ones(2, 2, 7)}
    ports = {"ids": Ids(3, 9), "sound": Signal(2, 7)}
    root = split(seeded(Two), ["words", "body"], batch, TwoFamily, ports=ports)
    assert root.path.inputs["ids"] == Ids(3, 9)
    assert root.path.steps["words"].reads == ("ids",)
    with pytest.raises(PathError, match=r"input 'ids' must be a vector, tokens or an image .* `ports`"):
        split(seeded(Two), ["words", "body"], batch, TwoFamily)


def test_a_constructor_that_asks_for_numbers_is_made_for_real():
    network = seeded(Encoder, rates=True)
    root = split(network, NAMES, images(), Nets, model={"rates": True})
    with torch.no_grad():
        assert torch.equal(assembled(root, Nets)({"x": images()}), network.eval()(images()))


def test_where_weights_came_from_is_said():
    root = split(seeded(Encoder), NAMES, images(), Nets, source="letters-v2")
    assert root.source["weights"] == "letters-v2"
    assert root.source["network"].endswith("Encoder")


@pytest.mark.parametrize(("skip", "said"), [
    ("residual", r"between submodule 'drop' and submodule 'norm' .* residual connection.*: name a coarser submodule"),
    ("code", r"between submodule 'relu' and submodule 'blocks.0' .* neither a reshaping.*: name a coarser submodule"),
    ("twice", r"submodule 'norm' must be called once .* found 2 calls: name a coarser"),
])  # fmt: skip
def test_what_is_no_glue_is_refused(skip, said):
    with pytest.raises(PathError, match=said):
        split(seeded(Encoder, skip=skip), NAMES, images(), Nets, model={"skip": skip})


@pytest.mark.parametrize(("names", "said"), [
    ([], "at least one submodule"),
    (["stem", "stem"], "each once"),
    (["stem", "stem.0"], "must not lie inside each other, found 'stem.0' in 'stem'"),
    (["stem", "placs"], r"such as \['places'.*found 'placs'"),
    (["stem", "blocks.0"], "between submodule 'stem' and submodule 'blocks.0'"),
    (["blocks.0.attn", "blocks.0.mlp"], r"between the network's input and submodule 'blocks.0.attn'"),
    (["stem", "places", "relu", "blocks.0.norm1", "blocks.0.attn", "blocks.0.norm2"], "such as 'blocks.0'"),
])  # fmt: skip
def test_names_that_cannot_be_split_are_refused(names, said):
    with pytest.raises(PathError, match=said):
        split(seeded(Encoder), names, images(), Nets)


class Odd(nn.Module):
    """Submodules that paths cannot call."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.first, self.body = kind, nn.Flatten(), OddBody(kind)
        self.aside = nn.Linear(784, 4)

    def forward(self, x):
        x = self.first(x)
        if self.kind == "unused":
            self.aside(x)
        if self.kind == "two":
            return self.body(x, x.flip(0))
        return self.body(x, scale=3.0) if self.kind == "scaled" else self.body(x)


class OddBody(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(784, 4)
        if kind == "loose":
            self.constant = torch.ones(4)
        if kind == "tied":
            self.again = self.linear

    def forward(self, x, other=None, scale=1.0):
        y = self.linear(x) * scale + (0.0 if other is None else self.linear(other))
        if self.kind == "mixed":
            y = y - y.mean(0)
        return [None] if self.kind == "nothing" else y + self.constant if self.kind == "loose" else y


class OddFamily(Submodule):
    family = "test_odd"
    build = Odd


@pytest.mark.parametrize(("kind", "error", "said"), [
    ("two", PathError, "submodule 'body' must read one tensor, its first argument, found 2"),
    ("scaled", PathError, "submodule 'body' must give the same for its tensor alone"),
    ("nothing", PathError, "submodule 'body': a submodule must give a tensor"),
    ("unused", PathError, "what submodule 'aside' gives must reach 'body'"),
    ("loose", ValueError, "found body.constant as a plain attribute: make it one with `register_buffer`"),
    ("tied", ValueError, "name each parameter once within a submodule, found one under two names in 'body'"),
    ("mixed", PathError, "submodule 'body' must treat each sample of a batch alone"),
])  # fmt: skip
def test_submodules_that_paths_cannot_call_are_refused(kind, error, said):
    names = ["first", "aside", "body"] if kind == "unused" else ["first", "body"]
    with pytest.raises(error, match=said):
        split(seeded(Odd, kind=kind), names, images(), OddFamily, model={"kind": kind})


def test_a_batch_of_one_is_refused():
    with pytest.raises(PathError, match="`batch` must hold at least two samples"):
        split(seeded(Encoder), NAMES, images(1), Nets)


def test_a_constructor_that_makes_another_network_is_refused():
    with pytest.raises(PathError, match=r"`Nets.build` must make the network that is split: of submodule 'stem' 0.*"):
        split(seeded(Encoder, dim=8), NAMES, images(), Nets, model={"dim": 4})
    network = seeded(Encoder)
    network.norm.eps = 0.1  # what no weights say
    with pytest.raises(PathError, match=r"to the bit, found values .* apart"):
        split(network, NAMES, images(), Nets)
