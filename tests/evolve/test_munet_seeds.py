"""Seeds that are made when looked at are the ones, and give the layers, that making all of them would."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from helpers_munet import OFTEN, VIEW, after, told

from pathways.champions import Champions
from pathways.errors import PathError
from pathways.evolve import MuNet
from pathways.evolve.member import seeds_of
from pathways.evolve.mutations import add_top, drop_top
from pathways.evolve.offspring import _longer
from pathways.evolve.paths import fit_inputs, without_head
from pathways.path import Path
from pathways.strategy import Champion, View
from pathways.testing.fake import drive

LAYERS = MuNet(generations=3, children=6, rates={**OFTEN, "layers": 0.5, "clone": 0.5})


@cache
def grown() -> View:
    """After nine tasks."""
    return after(9, LAYERS)


@cache
def stacked() -> View:
    """After nine tasks that put layers on top."""
    return after(9, MuNet(generations=2, children=4, rates={**OFTEN, "add-top": 1.0, "drop-top": 0.2}))


def trunks_of(view: View) -> list[tuple[str, Path]]:
    """The root's trunk and those of all champions that serve, newest first, each made."""
    found = [] if view.root is None else [("root", view.root)]
    for task, champion in reversed(list(view.champions.items())):
        try:
            found.append((task, fit_inputs(without_head(champion.path), view.task.inputs)))
        except PathError:
            continue
    return found


@pytest.mark.parametrize("made", [lambda: VIEW, grown, stacked], ids=["first", "grown", "stacked"])
def test_seeds_are_those_that_serve_and_their_distinct_trunks_are_found_unmade(made: Callable[[], View]) -> None:
    view = made()
    seeds = seeds_of(MuNet(), view)
    expected = trunks_of(view)
    assert len(seeds) == len(expected)
    first = dict(reversed([(trunk.hash, key) for key, trunk in expected]))
    assert [seed.key for seed in seeds.distinct()] == [k for k, t in expected if first[t.hash] == k]
    assert [(seed.key, seed.trunk) for seed in seeds] == expected
    assert [seed.key for seed in seeds.distinct(2)] == [seed.key for seed in seeds.distinct()][:2]


@pytest.mark.parametrize("made", [grown, stacked], ids=["grown", "stacked"])
def test_a_layer_on_top_is_the_one_that_looking_at_all_would_give(made: Callable[[], View]) -> None:
    view = made()
    seeds = seeds_of(MuNet(), view)
    every = [trunk for _, trunk in trunks_of(view)]
    taken = fresh = 0
    for trunk in every:
        for start in (trunk, drop_top(trunk, view.families)):
            if start is None:
                continue
            expected = add_top(start, every, view.families)
            assert add_top(start, *_longer(seeds, start, view.families)) == expected
            taken += expected is not None and not expected.drafts()
            fresh += expected is not None and bool(expected.drafts())
    assert taken
    assert fresh


def test_the_giver_of_a_blob_is_the_first_whose_trunk_holds_it() -> None:
    seeds = seeds_of(MuNet(), grown())
    every = trunks_of(grown())
    for blob in {blob for _, trunk in every for blob in trunk.frozen()}:
        assert seeds.giver_of(blob) == next(key for key, trunk in every if blob in trunk.frozen())
    with pytest.raises(StopIteration):
        seeds.giver_of("0" * 64)


def test_a_score_is_that_of_all_seeds_of_its_trunk() -> None:
    seeds = seeds_of(MuNet(), grown())
    seeds.score(seeds[1].trunk.hash, 0.5)
    assert [seed.score for seed in seeds] == [0.5 if s.trunk.hash == seeds[1].trunk.hash else None for s in seeds]


class Counted(Mapping[str, Champion]):
    """Champions that tell which of them were looked at."""

    def __init__(self, champions: Mapping[str, Champion]) -> None:
        self.champions, self.looked = champions, list[str]()

    def __getitem__(self, task: str) -> Champion:
        self.looked.append(task)
        return self.champions[task]

    def __iter__(self) -> Any:
        return iter(self.champions)

    def __len__(self) -> int:
        return len(self.champions)


def lazily(view: View) -> tuple[View, Counted]:
    """The view with champions that are counted when they are read."""
    counted, known = Counted(view.champions), Champions.of(view.champions, view.families)
    return replace(view, champions=Champions(known.sketches, counted.__getitem__, known.using)), counted


def test_a_search_with_capped_probes_looks_at_those_it_probes_and_draws() -> None:
    view, counted = lazily(grown())
    search = MuNet(probes=2, generations=1, children=1, rates={"hyperparameter": 1.0}).begin(view)
    assert counted.looked == []
    told(search)
    assert set(counted.looked) == {list(grown().champions)[-1]}, "the newest is probed, beside the root"
    told(search)
    assert set(counted.looked) == {list(grown().champions)[-1]}


def test_searches_ask_the_same_whether_champions_are_read_at_once_or_when_looked_at() -> None:
    view, _ = lazily(grown())
    eager, lazy = drive(LAYERS, grown()), drive(LAYERS, view)
    assert [c.hash for c in lazy.candidates] == [c.hash for c in eager.candidates]
    assert [c.labels for c in lazy.candidates] == [c.labels for c in eager.candidates]
