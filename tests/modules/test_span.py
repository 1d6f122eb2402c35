import pytest
import torch

from pathways.measure import best_spans, exact_match, span_overlap
from pathways.modules import Context, Masked, ModuleSpec, Tokens, Vector, build
from pathways.testing import ModuleFamilySuite


class TestSpan(ModuleFamilySuite):
    spec = ModuleSpec("span")
    ports = (Tokens(5, 6),)
    refused = ((), (Vector(3),), (Tokens(4, 6), Tokens(4, 6)))


class TestSpanMasked(ModuleFamilySuite):
    spec = ModuleSpec("span")
    ports = (Tokens(None, 6),)


def test_t27_the_best_span_never_ends_before_it_starts():
    scores = torch.randn(200, 7, 2, generator=torch.Generator().manual_seed(0))
    found = best_spans(scores)
    pairs = [(i, j) for i in range(7) for j in range(i, 7)]
    for sample, (first, last) in zip(scores, found.tolist(), strict=True):
        best = max(pairs, key=lambda pair, s=sample: float(s[pair[0], 0] + s[pair[1], 1]))
        assert (first, last) == best
    apart = scores.argmax(1)
    assert bool((apart[:, 1] < apart[:, 0]).any())  # the two argmaxima alone would give spans that are none


def test_t27_padded_places_are_never_chosen():
    head = build(ModuleSpec("span"), [Tokens(None, 6)], torch.Generator().manual_seed(0))
    x = 100 * torch.randn(50, 7, 6, generator=torch.Generator().manual_seed(1))
    lengths = torch.randint(1, 8, (50, 1), generator=torch.Generator().manual_seed(2))
    scores = head(Masked(x, torch.arange(7) < lengths), context=Context()).value
    assert bool((best_spans(scores) < lengths).all())
    assert not scores.softmax(1)[~(torch.arange(7) < lengths)].any()


def test_t27_how_spans_are_measured():
    targets = torch.tensor([[1, 3], [0, 0]])
    scores = torch.zeros(2, 5, 2)
    scores[0, 2, 0] = scores[0, 3, 1] = 5.0  # found 2-3 for 1-3
    scores[1, 0] = 5.0
    assert exact_match(scores, targets) == 0.5
    assert span_overlap(scores, targets) == pytest.approx((2 * 2 / 5 + 1) / 2)
