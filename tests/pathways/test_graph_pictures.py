"""Pictures of the path graph: what stands out, how it grew, and their structure."""

import io

import pytest
from fake_system import PATHS, ROOT
from grown import grown
from PIL import Image
from structure import same_structure, structure, texts_inside

from pathways.canvas import render
from pathways.errors import ConfigError
from pathways.graph import graph_of, only_tasks, until, used_by
from pathways.graph.animation import animation, growth_frames
from pathways.graph.draw import graph_figure
from pathways.graph.growth import added, growth_figure, stages
from pathways.graph.marks import colours_of
from pathways.palette import FAINT

NOTES = {"s/one": "91.2 · 12k new"}


@pytest.fixture(scope="module")
def small():
    return graph_of(PATHS, [ROOT])


def svg(figure):
    return render(figure, "svg", "graph")


def strokes(figure, colour):
    """How many lines of a figure have that colour; their faces have none."""
    found = structure(svg(figure))["shapes"]
    return sum(n for shape, n in found.items() if shape.startswith("path fill none") and shape.endswith(colour.lower()))


def test_the_picture_of_few_tasks(small):
    same_structure(svg(graph_figure(small, NOTES)), "graph-three-tasks")


def test_the_picture_of_many_tasks():
    same_structure(svg(graph_figure(grown(20))), "graph-twenty-tasks")


def test_the_growth_of_few_tasks(small):
    same_structure(svg(growth_figure(small)), "growth-three-tasks")


def test_pictures_of_a_graph_are_equal_bytes():
    assert svg(graph_figure(grown(17))) == svg(graph_figure(grown(17)))
    assert svg(growth_figure(grown(3))) == svg(growth_figure(grown(3)))


def test_words_stay_inside(small):
    odd = only_tasks(grown(9), ["s/t2", "s/t5", "s/t6"])
    for graph in (small, grown(1), used_by(grown(17), 3), odd):
        notes = {task: "100.0 · 12.3k new" for task in graph.graph["tasks"]}
        texts_inside(graph_figure(graph, notes))
    for graph in (small, grown(1), odd):
        texts_inside(growth_figure(graph))
    texts_inside(graph_figure(graph_of({"s/" + "W" * 60: PATHS["s/one"], "s/i": PATHS["s/two"]}), NOTES))


def test_a_highlighted_path_is_in_its_colour_and_others_are_faint(small):
    colours = colours_of(small)
    figure = graph_figure(small, highlight=["s/two"])
    assert strokes(figure, colours["s/two"]) >= 4
    assert strokes(figure, colours["s/one"]) == 0
    assert strokes(figure, FAINT) >= 8
    many = grown(20)
    assert strokes(graph_figure(many), colours_of(many)["s/t1"]) == 0  # ribbons
    assert strokes(graph_figure(many, highlight=["s/t1"]), colours_of(many)["s/t1"]) >= 4
    with pytest.raises(ConfigError, match=r"`highlight` must name tasks of the graph, found 'nobody'"):
        graph_figure(small, highlight=["nobody"])


def test_modules_of_the_latest_task_are_marked(small):
    words = structure(svg(graph_figure(until(small, 2))))["texts"]
    assert words.count("new") == 2  # the module, and the legend
    assert "trained for two" in words
    assert "new" not in structure(svg(graph_figure(small)))["texts"]  # the third task trained none


def test_how_many_use_a_module_is_written_on_it(small):
    words = structure(svg(graph_figure(small)))["texts"]
    assert {"×3", "×2"} <= set(words)


def test_each_panel_shows_what_its_task_added(small):
    figure = growth_figure(small)
    assert len(figure.axes) == 3
    words = structure(svg(figure))["texts"]
    assert {"1 one", "2 two", "3 three"} <= set(words)
    assert added(small, ["s/two"]) == (1, 38, 1)
    assert "1 new module, 38; 1 reused" in words
    colours = colours_of(small)
    assert [strokes(figure, colours[task]) for task in PATHS] == [4, 4, 4]


@pytest.mark.parametrize(("tasks", "most"), [(1, 12), (12, 12), (13, 12), (50, 12), (50, 2), (7, 1)])
def test_stages_rise_from_the_first_task_to_all(tasks, most):
    found = stages(tasks, most)
    assert found == sorted(set(found))
    assert found[-1] == tasks
    assert len(found) == min(tasks, most)
    assert most == 1 or found[0] == 1


def test_an_animation_has_a_frame_for_each_task_and_one_of_all(small):
    data = animation(small, NOTES)
    with Image.open(io.BytesIO(data)) as image:
        assert image.n_frames == len(PATHS) + 1
        assert image.width <= 1200
        assert image.info["loop"] == 0
    assert animation(small, NOTES) == data


def test_frames_are_of_one_size_and_at_most_so_many():
    frames = growth_frames(grown(17), most=3)
    assert len(frames) == 4
    assert len({tuple(frame.get_size_inches()) for frame in frames}) == 1
    for frame in (frames[0], frames[-1]):
        texts_inside(frame)
