import pytest
import torch
from pretrained_networks import assembled, seeded
from torch import nn

from pathways.errors import PathError
from pathways.modules import Ids, Image, Signal, Tokens, Vector
from pathways.pretrained import Submodule, split
from pathways.pretrained.glue import between, port_of
from pathways.pretrained.split import port_after

GENERATOR = torch.Generator().manual_seed(0)
IMAGE, TOKENS = torch.randn(3, 4, 5, 6, generator=GENERATOR), torch.randn(3, 7, 4, generator=GENERATOR)
SIGNAL, VECTOR = torch.randn(3, 4, 9, generator=GENERATOR), torch.randn(3, 4, generator=GENERATOR)
IMAGES, SEQUENCE, SERIES, NUMBERS = Image(4, 5, 6), Tokens(7, 4), Signal(4, 9), Vector(4)


@pytest.mark.parametrize(("value", "port", "wanted", "families"), [
    (IMAGE, IMAGES, IMAGE, []),
    (IMAGE, IMAGES, IMAGE.flatten(1), ["flatten"]),
    (IMAGE, IMAGES, IMAGE.mean((2, 3)), ["pool"]),
    (IMAGE, IMAGES, nn.AdaptiveAvgPool2d(1)(IMAGE).flatten(1), ["pool"]),
    (IMAGE, IMAGES, IMAGE.amax((2, 3)), ["pool"]),
    (IMAGE, IMAGES, IMAGE.flatten(2).transpose(1, 2), ["as_tokens"]),
    (TOKENS, SEQUENCE, TOKENS[:, 0], ["slice", "pool"]),
    (TOKENS, SEQUENCE, TOKENS[:, -1], ["slice", "pool"]),
    (TOKENS, SEQUENCE, TOKENS.mean(1), ["pool"]),
    (TOKENS, SEQUENCE, TOKENS[:, 1:], ["slice"]),
    (TOKENS, SEQUENCE, TOKENS[:, 1:].mean(1), ["slice", "pool"]),
    (TOKENS, SEQUENCE, TOKENS[:, :-1], ["slice"]),
    (TOKENS, SEQUENCE, TOKENS.flatten(1), ["flatten"]),
    (SIGNAL, SERIES, SIGNAL.transpose(1, 2), ["as_tokens"]),
    (SIGNAL, SERIES, SIGNAL.mean(2), ["pool"]),
    (VECTOR, NUMBERS, VECTOR[:, None], ["as_tokens"]),
])  # fmt: skip
def test_weightless_modules_are_found_by_their_values(value, port, wanted, families):
    glue = between(value, port, wanted)
    assert [spec.family for spec in glue] == families
    assert port_after(glue, port).shape == wanted.shape[1:]


@pytest.mark.parametrize(("value", "port", "wanted"), [
    (IMAGE, IMAGES, 2 * IMAGE),
    (IMAGE, IMAGES, IMAGE.transpose(2, 3)),
    (IMAGE, IMAGES, IMAGE.mean((2, 3)).nextafter(IMAGE.new_ones(()))),
    (TOKENS, SEQUENCE, TOKENS[:, 2]),
    (TOKENS, SEQUENCE, TOKENS.flip(0)),
    (VECTOR, NUMBERS, VECTOR.double()),
])  # fmt: skip
def test_what_differs_in_one_bit_is_not_found(value, port, wanted):
    assert between(value, port, wanted) is None


def test_shapes_tell_ports_but_of_ids():
    assert port_of(IMAGE, "x") == IMAGES
    assert port_of(TOKENS, "x") == SEQUENCE
    assert port_of(VECTOR, "x") == NUMBERS
    for value in (VECTOR.long(), torch.ones(3), torch.ones(3, 1, 1, 1, 1)):
        with pytest.raises(PathError, match=r"x must be a vector, tokens or an image .*: say which port it is"):
            port_of(value, "x")


class Listener(nn.Module):
    """A series by convolution, then place by place."""

    def __init__(self):
        super().__init__()
        self.hear, self.think, self.say = nn.Conv1d(2, 6, 3), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        return self.say(self.think(self.hear(x).transpose(1, 2)).mean(1))


class ListenerFamily(Submodule):
    family = "test_listener"
    build = Listener


class Reader(nn.Module):
    """Ids by an embedding."""

    def __init__(self):
        super().__init__()
        self.words, self.think = nn.Embedding(9, 6), nn.Sequential(nn.Linear(6, 6), nn.GELU())

    def forward(self, ids):
        return self.think(self.words(ids))[:, -1]


class ReaderFamily(Submodule):
    family = "test_reader"
    build = Reader


def test_series_and_ids_are_split_where_their_ports_are_named():
    # The layer behind the transposed values sums in another order where its weights want gradients.
    network, sound = seeded(Listener).eval().requires_grad_(False), torch.randn(3, 2, 8, generator=GENERATOR)
    ports = {"x": Signal(2, 8), "hear": Signal(6, 6)}
    root = split(network, ["hear", "think", "say"], sound, ListenerFamily, ports=ports)
    assert list(root.path.steps) == ["hear", "hear.as_tokens", "think", "think.pool", "say"]
    assert torch.equal(assembled(root, ListenerFamily)({"x": sound}), network(sound))
    network, ids = seeded(Reader).eval(), torch.tensor([[1, 2, 3], [4, 0, 8]])
    root = split(network, ["words", "think"], ids, ReaderFamily, ports={"x": Ids(3, 9)})
    assert torch.equal(assembled(root, ReaderFamily)({"x": ids}), network(ids))
