"""Colours of pages: legible in light and dark, and figures follow."""

import pytest

from pathways.palette import INK, MUTED, PAPER, TASKS, luminance, on
from pathways.theme import DARK, LIGHT, theme, themed


def contrast(a: str, b: str) -> float:
    """The contrast ratio of WCAG 2.2."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [LIGHT, DARK], ids=["light", "dark"])
def test_text_is_legible_on_everything_it_stands_on(mode):
    assert contrast(mode["ink"], mode["paper"]) >= 7
    assert contrast(mode["muted"], mode["paper"]) >= 4.5
    assert contrast(mode["champion"], mode["paper"]) >= 4.5
    assert contrast(mode["ink"], mode["shared"]) >= 7
    assert all(contrast(mode["ink"], mode[f"tint{i}"]) >= 4.5 for i in range(len(TASKS)))


def test_what_is_written_on_a_task_is_legible_in_both_modes():
    for i, colour in enumerate(TASKS):
        assert contrast(colour, on(colour)) >= 3.9
        assert contrast(DARK[f"task{i}"], on(colour)) >= 3.9


def test_lines_of_tasks_stand_out_from_a_dark_page():
    assert all(contrast(DARK[f"task{i}"], DARK["paper"]) >= 3 for i in range(len(TASKS)))


def test_a_figure_follows_the_page_except_for_what_stands_on_colours():
    svg = f'<path style="fill: {INK}; stroke: {TASKS[0]}"/><text style="fill: {on(TASKS[0])}">{MUTED}</text>'
    out = themed(svg)
    assert f"var(--ink,{INK})" in out
    assert f"var(--task0,{TASKS[0].lower()})" in out
    assert f"fill: {on(TASKS[0])}" in out
    assert f">{MUTED}<" in out


def test_modes_name_the_same_variables():
    assert LIGHT.keys() == DARK.keys()
    assert LIGHT["paper"] == PAPER
    assert all(theme().count(f"--{name}:") == 3 for name in LIGHT)
