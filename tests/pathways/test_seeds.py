from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.seeds import numpy_generator, seed_of, torch_generator

# Names are printable, as task names are.
TEXT = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8)
NAMES = st.lists(st.one_of(TEXT, st.integers(-9, 9)), min_size=1, max_size=4)


@settings(deadline=None, max_examples=100)
@given(NAMES, NAMES)
def test_equal_names_and_only_they_give_equal_seeds(one: list[str | int], other: list[str | int]) -> None:
    same = list(map(repr, one)) == list(map(repr, other))
    assert (seed_of(*one) == seed_of(*other)) == same
    assert 0 <= seed_of(*one) < 2**63


def test_seeds_are_pinned() -> None:
    # A change of these numbers changes every run that was ever made.
    assert [seed_of("run", 0), seed_of("omniglot", "Greek", 1)] == [7844050507417908384, 7865785860574404658]


def test_types_and_borders_count() -> None:
    assert len({seed_of("1"), seed_of(1), seed_of("a", "b"), seed_of("ab"), seed_of("b", "a")}) == 5


def test_generators_are_their_own() -> None:
    before = torch.get_rng_state()
    first = torch.rand(3, generator=torch_generator("a", 1))
    assert torch.equal(first, torch.rand(3, generator=torch_generator("a", 1)))
    assert not torch.equal(first, torch.rand(3, generator=torch_generator("a", 2)))
    assert torch.equal(before, torch.get_rng_state())
    assert numpy_generator("a").random() == numpy_generator("a").random() != numpy_generator("b").random()
