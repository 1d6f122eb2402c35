import math

import pytest
import torch
from torch.nn import functional as F

from pathways.modules import BUILT_IN, Context, Ids, Masked, ModuleSpec, Tokens, Vector, build, facts
from pathways.testing import ModuleFamilySuite


class TestTags(ModuleFamilySuite):
    spec = ModuleSpec("tags")
    ports = (Tokens(5, 6), Ids(2, 7))
    refused = ((), (Tokens(5, 6),), (Ids(2, 7), Tokens(5, 6)), (Tokens(5, 6), Vector(3)))


class TestTagsMasked(ModuleFamilySuite):
    spec = ModuleSpec("tags")
    ports = (Tokens(None, 6), Ids(2, 7))


class TestTagsOfVariableNumber(ModuleFamilySuite):
    spec = ModuleSpec("tags")
    ports = (Tokens(3, 6), Ids(None, 7))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_t46_a_tag_is_one_vector_wherever_it_stands():
    module = build(ModuleSpec("tags"), [Tokens(3, 6), Ids(2, 7)], generator())
    x = torch.randn(2, 3, 6, generator=generator(1))
    found = module(x, torch.tensor([[4, 1], [1, 1]]), context=Context())
    assert torch.equal(found[:, 2:], x)
    assert torch.equal(found[0, 1], found[1, 0])
    assert torch.equal(found[0, 0], module.table.weight[4])


SEEN = [(0, 2), (0, 3), (1, 2)]
UNSEEN = (1, 3)


def samples(combinations, n, source):
    """Four numbers, and two tags: the first chooses which of numbers 0 and 1 is asked for, the second of 2 and 3.

    The answer is one of four classes, the signs of both.
    """
    x = torch.randn(n, 4, 1, generator=source)
    tags = torch.tensor(combinations)[torch.randint(len(combinations), (n,), generator=source)]
    rows = torch.arange(n)
    bits = [(x[rows, tags[:, 0], 0] > 0).long(), (x[rows, tags[:, 1], 0] > 0).long()]
    return x, tags, bits[0] + 2 * bits[1]


def train(combinations, told=lambda tags: tags):
    """A transformer that learned some combinations of tags, as it is told them."""
    source = generator(5)
    parts = {
        "lift": build(ModuleSpec("linear", {"dim": 16}), [Tokens(4, 1)], source),
        "places": build(ModuleSpec("learned_tokens", {"length": 4, "dim": 16}), [], source),
        "tags": build(ModuleSpec("tags"), [Tokens(4, 16), Ids(2, 4)], source),
        "one": build(ModuleSpec("transformer", {"heads": 4, "ff": 2}), [Tokens(6, 16)], source),
        "two": build(ModuleSpec("transformer", {"heads": 4, "ff": 2}), [Tokens(6, 16)], source),
        "head": build(ModuleSpec("classifier", {"classes": 4}), [Vector(32)], source),
    }
    context = Context()

    def answer(x, tags):
        lifted = parts["lift"](x, context=context) + 20 * parts["places"](context=context)
        tokens = parts["tags"](lifted, told(tags), context=context)
        tokens = parts["two"](parts["one"](tokens, context=context), context=context)
        return parts["head"](tokens[:, :2].flatten(1), context=context)

    optimizer = torch.optim.AdamW([p for part in parts.values() for p in part.parameters()], 0.005)
    for _ in range(500):
        x, tags, y = samples(combinations, 64, source)
        optimizer.zero_grad()
        F.cross_entropy(answer(x, tags), y).backward()
        optimizer.step()
    return answer


@pytest.fixture(scope="module")
def trained():
    """It has seen three of the four combinations."""
    return train(SEEN)


def test_t46_a_combination_of_tags_that_was_never_seen_is_answered_above_chance(trained):
    x, tags, y = samples([UNSEEN], 1000, generator(9))
    right = (trained(x, tags).argmax(1) == y).double().mean()
    assert right > 0.4  # chance is 0.25


def test_t46_the_same_sample_with_other_tags_is_answered_otherwise(trained):
    x, _, _ = samples(SEEN, 400, generator(9))
    found = [trained(x, torch.tensor([pair]).expand(400, 2)).argmax(1) for pair in SEEN]
    for pair, answers in zip(SEEN, found, strict=True):
        wanted = (x[:, pair[0], 0] > 0).long() + 2 * (x[:, pair[1], 0] > 0).long()
        assert float((answers == wanted).double().mean()) > 0.8
    assert not torch.equal(found[0], found[1])


def test_t46_without_tags_the_loss_has_a_floor(trained):
    """Where both numbers differ in sign, in half of the samples, each bit is a coin: 2 x 1/2 x log 2 nats are left."""
    untagged = train([*SEEN, UNSEEN], told=lambda tags: tags * 0)
    x, tags, y = samples([*SEEN, UNSEEN], 2000, generator(9))
    floor = math.log(2)
    assert float(F.cross_entropy(untagged(x, tags), y).detach()) > 0.95 * floor
    x, tags, y = samples(SEEN, 2000, generator(9))
    assert float(F.cross_entropy(trained(x, tags), y).detach()) < 0.5 * floor


def test_masks_are_joined():
    module = build(ModuleSpec("tags"), [Tokens(None, 6), Ids(2, 7)], generator())
    value = Masked(torch.zeros(1, 3, 6), torch.tensor([[True, True, False]]))
    found = module(value, torch.tensor([[0, 1]]), context=Context())
    assert found.mask.tolist() == [[True, True, True, True, False]]


def test_the_family_finds_its_own_configuration():
    ports = (Tokens(5, 6), Ids(2, 7))
    assert facts(ModuleSpec("tags", BUILT_IN["tags"].fitting(ports)), ports).output == Tokens(7, 6)
    assert BUILT_IN["tags"].fitting((Tokens(5, 6),)) is None
