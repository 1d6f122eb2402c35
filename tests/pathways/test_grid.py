"""PathNet's grid as the record tells it, and its pictures."""

import numpy as np
import pytest
from fake_system import fake_system
from hypothesis import given
from hypothesis import strategies as st
from learned import GRID, pathnet_system, tasks
from structure import same_structure, texts_apart, texts_inside

from pathways.canvas import inline, render
from pathways.errors import ConfigError
from pathways.evolve.grid import Grid
from pathways.evolve.pathnet import PathNet
from pathways.evolve.pathnet_always import PathNetAlways
from pathways.graph.grid import grid_figure
from pathways.graph.grid_evolution import evolution_figure
from pathways.graph.grid_record import Contestant, GridTask, grid_record, shares
from pathways.search import view


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    with pathnet_system(tmp_path_factory.mktemp("grid") / "run") as system:
        yield system


@pytest.fixture(scope="module")
def record(system):
    return grid_record(system)


def test_every_task_finds_what_earlier_ones_have_frozen(record):
    frozen = {}
    for task in record:
        assert dict(task.frozen) == frozen
        frozen |= {cell: task.task for cell in sorted(task.path) if cell not in frozen}
    assert set(record[1].frozen.values()) == {"t/a"}


def test_the_cells_are_those_that_the_next_search_would_find(system, record):
    new = tasks(5)[3]
    grid = Grid(PathNet(**GRID), view(system, [new]), system.champions)
    last = record[-1]
    assert grid.owners == {**dict.fromkeys(last.path, last.task), **last.frozen}
    assert tuple(grid.widths[layer] - grid.grew.get(str(layer), 0) for layer in range(2)) == last.widths


def test_two_tasks_that_froze_one_cell_at_once_stand_in_two(tmp_path):
    with pathnet_system(tmp_path / "run", count=1) as system:
        system.learn_at_once(tasks(6)[1:3], PathNet(**{**GRID, "modules": 2, "generations": 2}))
        later = tasks(6)[4]
        settings = PathNet(**{**GRID, "modules": 2, "generations": 2})
        before = Grid(settings, view(system, [later]), system.champions).owners
        system.learn(later, settings)
        assert grid_record(system)[-1].frozen == before


def test_the_fittest_contestant_of_all_generations_is_the_champion(system, record):
    for task in record:
        assert [each.generation for each in task.contestants] == sorted(each.generation for each in task.contestants)
        fittest = [each for each in task.contestants if each.fittest]
        assert [each.generation for each in fittest] == list(range(task.generations))
        best = max(each.fitness for each in task.contestants)
        assert task.path in [each.cells for each in fittest if each.fitness == best]
        assert system.champions[task.task].measures.fitness == best


def test_what_was_trained_and_not_frozen_begins_anew(record):
    first, second = record[:2]
    assert second.begun_anew == first.trained - first.path
    assert not first.begun_anew
    assert not second.trained & set(second.frozen)


def test_moments_are_parts_of_the_search(record):
    for task in record:
        assert {each for i in range(3) for each in task.between(i / 3, (i + 1) / 3)} == set(task.contestants)
        drawn = task.drawn()
        assert len({each.slot for each in drawn}) == len(drawn)
        for each in drawn:
            assert each == next(other for other in task.contestants if other.slot == each.slot)


cells = st.frozensets(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1)


@given(st.lists(cells, min_size=1, max_size=9))
def test_shares_add_up_to_the_mean_size_of_a_path(paths):
    found = shares([Contestant(0, i, path, 0.0, False) for i, path in enumerate(paths)])
    assert sum(found.values()) == pytest.approx(np.mean([len(path) for path in paths]))
    assert all(0 < share <= 1 for share in found.values())


def test_paths_that_always_go_through_frozen_cells_are_told_so(tmp_path):
    strategy = PathNetAlways(**{**GRID, "generations": 2})
    with pathnet_system(tmp_path / "run", strategy, count=2) as system:
        last = grid_record(system)[-1]
    assert all(set(last.frozen) <= each.cells for each in last.contestants)
    assert set(last.frozen) <= last.path


def test_a_layer_that_grew_is_said_to(tmp_path):
    with pathnet_system(tmp_path / "run", PathNet(**{**GRID, "modules": 3, "generations": 2}), count=2) as system:
        last = grid_record(system)[-1]
    assert last.grew
    texts = [text.get_text() for text in grid_figure([last]).axes[0].texts]
    for layer, more in last.grew.items():
        assert f"layer {layer + 1} grew by {more}" in texts


def test_a_system_without_a_grid_is_told_so(tmp_path):
    system = fake_system(tmp_path)
    for champion in system.champions.values():
        champion.extra = {}
    with pytest.raises(ConfigError, match="learned with PathNet to have a grid, found 3 learned with"):
        grid_record(system)


@pytest.mark.parametrize("draw", [grid_figure, evolution_figure])
def test_pictures_are_whole_and_the_same_each_time(record, draw):
    figure = draw(record)
    texts_inside(figure)
    texts_apart(figure, 2.0)
    svg = render(figure, "svg", "grid")
    assert svg == render(draw(record), "svg", "grid")
    assert b"&lt;$last$&gt;" in svg


def made(place):
    """A task of a record that no training has made: on another machine another path may win."""
    before = {(0, 0): "s/one", (0, 2): "s/one", (1, 1): "s/one"} if place else {}
    cells = [frozenset({(0, i % 3), (0, 2), (1, (i + place) % 4)}) for i in range(8)]
    contestants = tuple(Contestant(i // 2, i % 5, cells[i], 0.5 + i / 20, bool(i % 2)) for i in range(8))
    return GridTask(
        ("s/one", "s/two")[place], place, (3, 4), ("sum", "mean"), before,
        frozenset({(1, 3)}) if place else frozenset(), contestants, cells[5], {1: 2} if place else {}, 4, bool(place),
        0.85, "accuracy",
    )  # fmt: skip


@pytest.mark.parametrize("draw", [grid_figure, evolution_figure])
def test_the_structure_of_the_pictures(draw):
    figure = draw([made(0), made(1)])
    texts_inside(figure)
    same_structure(render(figure, "svg", "grid"), draw.__name__)


def test_the_picture_follows_the_page_into_the_dark(record):
    svg = inline(render(grid_figure(record), "svg", "grid"), "grid")
    for name in ("ink", "muted", "shared", "task0", "tint0", "task1"):
        assert f"var(--{name}," in svg


def test_only_the_newest_tasks_are_drawn_and_it_says_so(record):
    figure = grid_figure(record, most=2)
    assert figure.legends[0].get_title().get_text() == "the newest 2 of 3 tasks"
    drawn = [text.get_text() for text in figure.axes[0].texts]
    assert "a" not in drawn
    assert "b" in drawn
