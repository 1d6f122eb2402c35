import torch
from torch.nn import functional as F

from pathways.modules import BUILT_IN, Context, Draft, Ids, Masked, ModuleSpec, Tokens, Vector, build
from pathways.modules.io.sequence import SequenceHead
from pathways.testing import ModuleFamilySuite


class TestEvents(ModuleFamilySuite):
    spec = ModuleSpec("events", {"dim": 6})
    ports = (Ids(5, 9), Ids(5, 4))
    refused = ((), (Ids(5, 9),), (Ids(5, 9), Ids(4, 4)), (Ids(5, 9), Vector(3)))


class TestEventsMasked(ModuleFamilySuite):
    spec = ModuleSpec("events", {"dim": 6})
    ports = (Ids(None, 9), Ids(None, 4))


def test_a_place_is_real_where_it_is_in_both():
    module = build(ModuleSpec("events", {"dim": 6}), [Ids(None, 9), Ids(None, 4)], torch.Generator().manual_seed(0))
    ids, first, second = torch.zeros(1, 3, dtype=torch.long), [[True, True, False]], [[True, False, False]]
    found = module(Masked(ids, torch.tensor(first)), Masked(ids, torch.tensor(second)), context=Context())
    assert found.mask.tolist() == second


UNITS, BINS, LENGTH = 6, 16, 12


def circuit(n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes in order of time, each of any unit; but behind a spike of unit 0 comes one of unit 1, 6 times in 10."""
    units = torch.randint(0, UNITS, (n, LENGTH), generator=generator)
    caused = torch.rand(n, LENGTH, generator=generator) < 0.6
    for place in range(1, LENGTH):
        units[:, place][(units[:, place - 1] == 0) & caused[:, place]] = 1
    bins = torch.randint(0, 2, (n, LENGTH), generator=generator).cumsum(1).clamp_max(BINS - 1)
    return units, bins


def test_t37_the_gradient_of_a_planted_circuit_goes_from_cause_to_effect():
    """In a causal model of the next spike, one of 0 makes one of 1 likely, and one of 1 says nothing of one of 0."""
    generator = torch.Generator().manual_seed(0)
    embed = build(ModuleSpec("events", {"dim": 16}), [Ids(LENGTH, UNITS), Ids(LENGTH, BINS)], generator)
    config = {"heads": 2, "ff": 2, "causal": True}
    block = build(ModuleSpec("transformer", config), [Tokens(LENGTH, 16)], generator)
    head = build(ModuleSpec("sequence", {"classes": UNITS}), [Tokens(LENGTH, 16)], generator)
    assert isinstance(head, SequenceHead)
    optimizer = torch.optim.AdamW([p for m in (embed, block, head) for p in m.parameters()], 0.01)

    def scores(tokens):
        return head(block(tokens, context=Context()), context=Context())

    for _ in range(150):
        units, bins = circuit(32, generator)
        found = scores(embed(units, bins, context=Context()))
        loss = F.cross_entropy(found[:, :-1].transpose(1, 2), units[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    units, bins = circuit(128, generator)
    tokens = embed(units, bins, context=Context()).detach()
    neutral = tokens.mean((0, 1))

    def influence(cause: int, effect: int) -> float:
        """How much a spike of `cause`, in place of none in particular, makes one of `effect` more likely.

        The gradient is averaged along the line between both (Sundararajan et al. 2017, integrated gradients).
        """
        places = (units == cause)[:, :-1]
        total = 0.0
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            between = torch.where((units == cause)[..., None], neutral + share * (tokens - neutral), tokens)
            between.requires_grad_()
            chances = scores(between).log_softmax(2)[:, :-1, effect]
            [gradient] = torch.autograd.grad(chances[places].sum(), between)
            total += float((gradient * (tokens - neutral)).sum(-1)[:, :-1][places].mean()) / 5
        return total

    forward, reverse = influence(0, 1), influence(1, 0)
    assert forward > 0.3
    assert forward > 3 * abs(reverse)


def test_the_family_finds_its_own_configuration():
    assert BUILT_IN["events"].fitting((Ids(None, 9), Ids(None, 4))) == {"dim": 16}
    assert BUILT_IN["events"].fitting((Ids(5, 9),)) is None
    assert Draft("e", ModuleSpec("events", {"dim": 16}))
