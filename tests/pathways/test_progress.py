"""The log of progress: short, whatever happens at once."""

import io

import pytest
from helpers_terminal import Clock, Terminal

from pathways.progress import End, Event, ProgressLog, line_of


def events(count, task="a", strategy="munet"):
    return [Event(task, strategy, i + 1, count, i / 10) for i in range(count)]


def test_elsewhere_there_is_one_line_for_each_finished_search():
    stream = io.StringIO()
    with ProgressLog(stream, clock=Clock()) as line:
        for event in [*events(5), *events(3, "b"), *events(2, "b", "independent")]:
            line(event)
    written = stream.getvalue().splitlines()
    assert [w.split("  ")[:3] for w in written] == [
        ["a", "munet", "5/5 tried"],
        ["b", "munet", "3/3 tried"],
        ["b", "independent", "2/2 tried"],
    ]


def test_each_search_has_its_own_clock():
    stream, clock = io.StringIO(), Clock()
    with ProgressLog(stream, clock=clock) as line:
        line(Event("a", "munet", 1))
        clock.now += 65
        line(Event("b", "munet", 1))
        clock.now += 5
    assert [w.split("  ")[-1] for w in stream.getvalue().splitlines()] == ["1:05", "0:05"]


def test_a_disabled_line_writes_nothing():
    stream = Terminal()
    with ProgressLog(stream, enabled=False) as line:
        line(Event("a", "munet", 1))
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event("a", "munet", 0), "a  munet  0 tried  0:00"),
        (Event("a", "munet", 2, 4, 0.12345, "frozen"), "a  munet  2/4 tried  best 0.123  0:00  frozen"),
    ],
)
def test_line_of(event, text):
    assert line_of(event, 0) == text


def test_a_log_has_a_line_a_minute_however_many_results_come():
    stream, clock = io.StringIO(), Clock()
    with ProgressLog(stream, clock=clock) as line:
        for event in events(3000):
            line(event)
            clock.now += 0.1
    assert len(stream.getvalue().splitlines()) == 5
    assert stream.getvalue().splitlines()[-1].startswith("a  munet  3000/3000 tried")


def test_searches_side_by_side_do_not_flood_a_log():
    stream = io.StringIO()
    with ProgressLog(stream, clock=Clock()) as line:
        for i in range(500):
            for task in "abc":
                line(Event(task, "munet", i + 1, 500))
    written = stream.getvalue().splitlines()
    assert len(written) == 5  # two that first made room for another, and all at the end
    assert sorted(w.split("  ")[0] for w in written if "500/500" in w) == ["a", "b", "c"]


def test_the_end_of_a_search_is_said_at_once_and_only_once():
    stream, clock = io.StringIO(), Clock()
    with ProgressLog(stream, clock=clock) as log:
        log(Event("a", "munet", 3, best=0.5, busy=1, workers=2))
        clock.now += 5
        log(Event("a", "munet", 0, end=End(0.917, "accuracy", 1200, ("b", "c"))))
        log(Event("b", "munet", 1))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "a  munet  3 tried  best 0.500  0:05  test 91.7, 1.2k new parameters, from b, c"
    assert [line.split("  ")[0] for line in lines] == ["a", "b"]


def test_an_end_without_a_beginning_is_said():
    stream = io.StringIO()
    with ProgressLog(stream, clock=Clock()) as log:
        log(Event("a", "munet", 0, end=End(None, "accuracy")))
    assert stream.getvalue() == "a  munet  0:00  no test measure\n"


def test_how_many_workers_are_busy_is_said_where_it_is_known():
    assert "3/8 workers busy" in line_of(Event("a", "munet", 1, busy=3, workers=8), 1)
    assert "busy" not in line_of(Event("a", "munet", 1, workers=8), 1)
