"""PathNet over several tasks: freezing, growth; its settings and presets."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathways.candidate import Candidate
from pathways.errors import ConfigError, PathError
from pathways.evolve.pathnet import PathNet, PathNetSearch
from pathways.evolve.presets import PRESETS
from pathways.modules import Draft, Frozen, Image, Init, ModuleSpec, Tokens, Vector
from pathways.strategy import View
from pathways.testing.fake import drive, example_view, fake_result, later_view

VIEW = example_view()
SMALL: dict[str, Any] = {
    "layers": 2, "modules": 5, "active": 2, "population": 6, "generations": 12, "threshold": None,
}


def _modules(candidate: Candidate, layer: int) -> tuple[Any, ...]:
    (path,) = candidate.paths.values()
    return path.steps[f"layer{layer}"].modules


def _genotype(candidate: Candidate) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, candidate.labels["genotype"]))


def _starts(candidates: list[Candidate]) -> dict[str, Any]:
    """How the modules that have weights start, by draft name."""
    drafts = {name: draft for candidate in candidates for name, draft in candidate.drafts().items()}
    return {name: draft.start for name, draft in drafts.items() if draft.spec.family != "flatten"}


# -- later tasks --------------------------------------------------------------------------------------------


def _second(settings: PathNet) -> tuple[Any, View, PathNetSearch]:
    winner = drive(settings, VIEW).winner
    assert winner is not None
    view = later_view(VIEW, winner)
    return winner, view, settings.begin(view)


@pytest.mark.parametrize("tournament", ["fair", "sequential", "population"])
def test_frozen_cells_are_never_drafts_and_free_ones_start_anew(tournament: str) -> None:
    settings = PathNet(**SMALL, tournament=tournament)
    winner, view, search = _second(settings)
    frozen = {tuple(map(int, cell.split(","))): blob for cell, blob in winner.extra["grid"].items()}
    assert {cell: ref.id for cell, ref in search.grid.frozen.items()} == frozen
    run = drive(settings, view)
    used = set()
    for candidate in run.candidates:
        for layer in range(2):
            modules = _modules(candidate, layer)
            kinds = [isinstance(m, Frozen) for m in modules]
            assert kinds == sorted(kinds, reverse=True), "frozen modules stand first"
            cells = sorted(set(_genotype(candidate)[layer]))
            assert {m.id for m in modules if isinstance(m, Frozen)} == {
                frozen[layer, cell] for cell in cells if (layer, cell) in frozen
            }
            assert {m.name for m in modules if isinstance(m, Draft)} == {
                f"l{layer}m{cell}" for cell in cells if (layer, cell) not in frozen
            }
            used |= {m.id for m in modules if isinstance(m, Frozen)}
    assert used, "frozen modules stay selectable"
    earlier, fresh = _starts(drive(settings, VIEW).asked[0]), _starts(run.asked[0])
    assert all(isinstance(start, Init) for start in fresh.values())
    assert not set(fresh.values()) & set(earlier.values())


def test_a_path_of_frozen_modules_only_trains_its_head() -> None:
    winner, _, search = _second(PathNet(**SMALL))
    search.population = [tuple(map(tuple, winner.extra["genotype"]))] * 6
    candidate = search.ask()[0]
    assert set(candidate.drafts()) == {"flatten0", "head"}
    assert candidate.labels["parents"] == ["task0"]
    search.tell([(c, fake_result(c)) for c in search.ask()])
    best = search.best()
    assert best is not None
    assert best.parents == ("task0",)
    assert best.extra["grid"] == winner.extra["grid"]


def test_the_grid_grows_when_free_modules_run_out_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    settings = PathNet(**{**SMALL, "modules": 3, "generations": 3})
    view = VIEW
    grew: list[dict[str, int]] = []
    with caplog.at_level(logging.INFO, logger="pathways.evolve"):
        for _ in range(4):
            search = settings.begin(view)
            for layer, width in enumerate(search.grid.widths):
                assert width - sum(cell[0] == layer for cell in search.grid.frozen) >= settings.active
            run = drive(settings, view)
            assert run.winner is not None
            grew.append(dict(run.winner.extra["grew"]))
            assert all(c.labels.get("grew", {}) == grew[-1] for c in run.candidates)
            assert run.winner.extra["widths"] == search.grid.widths
            view = later_view(view, run.winner)
    assert grew[0] == {}
    assert any(grew)
    assert "grew by" in caplog.text
    widths = settings.begin(view).grid.widths
    assert max(widths) > 3


def test_tasks_learned_from_one_view_keep_cells_of_their_own() -> None:
    settings = PathNet(**SMALL)
    other = replace(VIEW, tasks=(replace(VIEW.task, name="sibling", fingerprint="f" * 64),))
    first, second = drive(settings, VIEW).winner, drive(settings, other).winner
    assert first is not None
    assert second is not None
    both = later_view(other, second).champions
    view = later_view(VIEW, first)
    search = settings.begin(replace(view, champions={**view.champions, **both}))
    ids = [ref.id for ref in search.grid.frozen.values()]
    assert sorted(ids) == sorted([*first.extra["grid"].values(), *second.extra["grid"].values()])


def test_a_forgotten_champion_frees_its_cells() -> None:
    settings = PathNet(**SMALL)
    _, view, search = _second(settings)
    assert search.grid.frozen
    assert not settings.begin(replace(view, champions={})).grid.frozen


# -- settings -----------------------------------------------------------------------------------------------


def test_presets() -> None:
    text = PathNet.preset("pathnet-2017-text")
    assert (text.layers, text.modules, text.active, text.population) == (3, 10, 3, 64)
    assert (text.steps, text.batch) == (50, 16)
    assert text.combines == ("sum", "sum", "sum")
    author = PathNet.preset("pathnet-2017-author", generations=7)
    assert (author.combines, author.population, author.generations) == (("sum", "sum", "mean"), 20, 7)
    assert PathNet.preset("pathnet-population").tournament == "population"
    for name in PRESETS:
        made = PathNet.preset(name)
        assert PathNet(**made.to_json()) == made
    with pytest.raises(ConfigError, match="'pathnet-2017-text'"):
        PathNet.preset("pathnet")


@pytest.mark.parametrize(("changed", "message"), [
    ({"layers": 0}, "`layers` must be a whole number"),
    ({"active": 11}, "`active` must be at most `modules`, 10, found 11"),
    ({"population": 1}, "`population`"),
    ({"tournament": "unfair"}, "`tournament` must be one of"),
    ({"combine": "concat"}, "`combine` must be 'sum' or 'mean'"),
    ({"combine": ["sum"]}, "`combine` must have one entry for each of 3 layers, found 1"),
    ({"module": [{"family": "linear"}]}, "`module` must have one entry"),
    ({"module": {"kind": "linear"}}, "`module` must be a module spec"),
    ({"lr": -1.0}, "`lr`"),
])
def test_bad_settings_are_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PathNet(**changed)


def test_tasks_that_do_not_fit_are_named() -> None:
    two = replace(VIEW, tasks=(replace(VIEW.task, inputs={"a": Vector(3), "b": Vector(3)}),))
    with pytest.raises(ConfigError, match="reads one input"):
        PathNet(**SMALL).begin(two)
    tokens = replace(VIEW, tasks=(replace(VIEW.task, inputs={"x": Tokens(4, 3)}),))
    with pytest.raises(PathError, match="`module` of layer 0"):
        PathNet(**SMALL, module=ModuleSpec("conv", {"channels": 4})).begin(tokens)
    _, view, _ = _second(PathNet(**SMALL))
    larger = replace(view, tasks=(replace(view.task, inputs={"image": Image(1, 9, 9)}),))
    with pytest.raises(ConfigError, match=r"Vector\(dim=81\) .* where 'task0' froze"):
        PathNet(**SMALL).begin(larger)
    with pytest.raises(ConfigError, match="does not fit a grid of 1 layers"):
        PathNet(**{**SMALL, "layers": 1}).begin(view)


@settings(deadline=None, max_examples=15)
@given(
    layers=st.integers(1, 3), modules=st.integers(1, 5), active=st.integers(1, 4), seed=st.integers(0, 99),
    tournament=st.sampled_from(["fair", "sequential", "population"]),
    family=st.sampled_from(["linear", "conv"]),
)
def test_every_evolved_path_is_valid(
    layers: int, modules: int, active: int, seed: int, tournament: str, family: str
) -> None:
    module = {"family": family, "config": {"dim": 6} if family == "linear" else {"channels": 3}}
    strategy = PathNet(
        layers=layers, modules=max(modules, active), active=active, population=3, generations=4,
        threshold=None, tournament=tournament, module=module,
    )
    view = replace(VIEW, run=seed)
    for _ in range(2):
        run = drive(strategy, view)
        for candidate in run.candidates:
            (path,) = candidate.paths.values()
            assert path.ports()["head"] == Vector(view.task.target.n)
        assert run.winner is not None
        view = later_view(view, run.winner)
