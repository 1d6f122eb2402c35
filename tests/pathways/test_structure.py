"""The baselines of figures: what counts as the same picture."""

import pytest
import structure as structures
from matplotlib.figure import Figure
from structure import same_structure, structure, texts_apart, texts_inside

from pathways.canvas import inline, render, styled


def picture(colour="#332288", word="hello", at=(0.5, 0.5), bars=2):
    with styled():
        figure = Figure((3, 2))
        axes = figure.add_axes((0.2, 0.2, 0.7, 0.7))
        axes.bar(range(bars), [1] * bars, color=colour)
        figure.text(*at, word)
    return figure


def svg(**how):
    return render(picture(**how), "svg", "test")


def test_what_was_moved_a_little_is_the_same():
    assert structure(svg()) == structure(svg(at=(0.52, 0.4)))


@pytest.mark.parametrize("how", [{"colour": "#117733"}, {"word": "bye"}, {"bars": 3}])
def test_another_colour_word_or_shape_is_not(how):
    assert structure(svg()) != structure(svg(**how))


def test_a_picture_on_a_page_is_that_in_a_file():
    assert structure(inline(svg(), "page")) == structure(svg())


def test_baselines_are_written_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(structures, "BASELINES", tmp_path)
    monkeypatch.delenv("PATHWAYS_BASELINES", raising=False)
    with pytest.raises(AssertionError, match="what changed"):
        same_structure(svg(), "bars")
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("PATHWAYS_BASELINES", "1")
    same_structure(svg(), "bars")
    monkeypatch.delenv("PATHWAYS_BASELINES")
    same_structure(svg(at=(0.4, 0.4)), "bars")
    with pytest.raises(AssertionError, match="texts"):
        same_structure(svg(word="bye"), "bars")


def test_texts_outside_or_on_one_another_are_found():
    texts_inside(picture())
    with pytest.raises(AssertionError):
        texts_inside(picture(at=(0.97, 0.8)))
    figure = picture()
    texts_apart(figure)
    figure.text(0.5, 0.5, "there")
    with pytest.raises(AssertionError):
        texts_apart(figure)
