"""The live view: what a terminal shows while a run goes on, and plain lines elsewhere."""

import io

import pytest
from helpers_terminal import Clock, Terminal
from rich.console import Console

from pathways.live import LiveView, shown
from pathways.progress import End, Event, ProgressLog


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def drawn(view, width=100):
    """What the view draws now, as plain text."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(view.render())
    return console.file.getvalue()


def view_of(clock, searches=None):
    return LiveView(Console(file=io.StringIO(), width=100), "letters", searches, clock)


def test_a_terminal_has_a_live_view(terminal):
    with shown(terminal) as progress:
        assert isinstance(progress, LiveView)


@pytest.mark.parametrize(("variable", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_ci_and_terminals_that_cannot_redraw_have_plain_lines(terminal, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with shown(terminal) as progress:
        assert isinstance(progress, ProgressLog)
        progress(Event("a", "munet", 1))
        progress(Event("a", "munet", 0, end=End(0.5, "accuracy")))
    assert "test 50.0" in terminal.getvalue()


def test_what_is_no_terminal_has_plain_lines_without_control_characters():
    stream = io.StringIO()
    with shown(stream) as progress:
        progress(Event("a", "munet", 1))
    assert stream.getvalue() == "a  munet  1 tried  0:00\n"


def test_quiet_is_quiet(terminal):
    for stream in (terminal, io.StringIO()):
        with shown(stream, quiet=True) as progress:
            progress(Event("a", "munet", 1))
            progress(Event("a", "munet", 0, end=End(0.5, "accuracy")))
        assert stream.getvalue() == ""


def test_each_search_that_goes_on_has_a_line():
    clock = Clock()
    view = view_of(clock, searches=4)
    view(Event("omniglot/Greek", "munet", 3, 12, 0.91, busy=2, workers=8))
    clock.now += 65
    view(Event("omniglot/Hebrew", "munet", 1, failed=1))
    text = drawn(view)
    assert "0 of 4 searches" in text
    greek, hebrew = (next(line for line in text.splitlines() if name in line) for name in ("Greek", "Hebrew"))
    assert all(word in greek for word in ("3/12 tried", "best 0.910", "2/8 workers busy", "1:05"))
    assert "1 failed" in hebrew
    assert "0:00" in hebrew


def test_a_search_that_ended_leaves_the_view_and_stays_as_a_line(terminal):
    with LiveView(Console(file=terminal, width=100, force_terminal=True, color_system=None), "x", 2) as view:
        view(Event("a[b]", "munet", 7, best=0.5))
        view(Event("a[b]", "munet", 0, end=End(0.5, "accuracy", 1200, ("c",))))
        assert "1 of 2 searches" in drawn(view)
        assert "a[b]" not in drawn(view)
    assert "✓ a[b] munet  7 tried, 0:00  test 50.0, 1.2k new parameters, from c" in terminal.getvalue()


def test_the_time_left_is_said_once_two_searches_ended():
    clock = Clock()
    view = view_of(clock, searches=5)
    for name in "ab":
        assert "left" not in drawn(view)
        clock.now += 10
        view(Event(name, "munet", 0, end=End(None, "accuracy")))
    assert "about 0:30 left" in drawn(view)


def test_many_searches_side_by_side_are_counted():
    view = view_of(Clock())
    for i in range(500):
        view(Event(f"task{i}", "munet", 1))
    text = drawn(view)
    assert len(text.splitlines()) < 12
    assert "task499" in text
    assert "and 494 more searches" in text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_narrow_terminals_are_not_overrun(width):
    view = view_of(Clock(), searches=3)
    view(Event("a-very-long-name-of-a-task/with-parts", "fine-tune-all", 3, 12, 0.91, busy=2, workers=8))
    assert all(len(line) <= width for line in drawn(view, width).splitlines())
