"""The timeline of a report: its numbers, its size, and that the section is there when it should be."""

import random
import re

import numpy as np
import pytest
from fake_system import fake_system
from helpers_trace import answer, candidates

from pathways.canvas import render
from pathways.report import write_report
from pathways.report.timeline import ROWS, Timeline, timeline, timeline_chart
from pathways.trace_file import Trace
from pathways.trace_read import Lane, Piece, Recorded, read_trace


def lane(worker, pieces, session="a"):
    """A lane from (what, began, ended)."""
    made = Lane(worker, session, candidates=1)
    for what, began, ended in pieces:
        made.pieces.setdefault(what, []).append(Piece(began, ended, ended - began))
    return made


def busy(workers, count, sessions=1):
    """A record of many workers that train candidates of random lengths."""
    draw, record = random.Random(0), Recorded()
    for session in range(sessions):
        for worker in range(workers):
            at, pieces = 1e9 + 1e5 * session, []
            for _ in range(count):
                for what, seconds in (("load", 0.1 * draw.random()), ("train", draw.random())):
                    pieces.append((what, at, at + seconds))
                    at += seconds
            record.lanes.append(lane(f"n/{worker}", pieces, str(session)))
        record.lanes.append(lane("driver", [("commit", 1e9 + 1e5 * session, 1e9 + 1e5 * session + 1)], str(session)))
    return record


def test_bins_hold_the_share_of_their_time():
    record = Recorded([lane("n/0", [("train", 0, 1.5), ("store", 1.5, 2.0), ("train", 3.0, 4.0)]), lane("driver", [])])
    row = timeline(record, bins=4).rows[0]
    assert row.shares["train"].tolist() == pytest.approx([1, 0.5, 0, 1])
    assert row.shares["store"].tolist() == pytest.approx([0, 0.5, 0, 0])


def test_what_travels_meanwhile_never_fills_more_than_a_row():
    record = Recorded([lane("n/0", [("train", 0, 4), ("transfer", 0, 4)]), lane("driver", [])])
    shares = timeline(record, bins=2).rows[0].shares
    assert (shares["train"] + shares["transfer"]).tolist() == pytest.approx([1, 1])


def test_time_between_sessions_has_no_length():
    record = Recorded([
        lane("n/0", [("train", 0, 2)]), lane("driver", []),
        lane("n/0", [("train", 1000, 1002)], "b"), lane("driver", [], "b"),
    ])  # fmt: skip
    found = timeline(record, bins=4)
    assert (found.seconds, found.breaks) == (4.0, (2.0,))
    assert [row.label for row in found.rows] == ["n/0", "driver"]
    assert found.rows[0].shares["train"].tolist() == pytest.approx([1] * 4)


def test_many_workers_share_rows_and_keep_their_order():
    found = timeline(busy(100, 20))
    assert len(found.rows) <= ROWS + 1
    assert found.rows[0].label == "n/0 … n/6"
    assert found.rows[-1].label == "driver"
    total = sum(float(row.shares["train"].mean()) * 7 for row in found.rows[:-2])
    assert total > 60  # of 98 workers


@pytest.mark.parametrize(("workers", "count", "sessions"), [(1, 3, 1), (2, 50, 2), (8, 4000, 1), (300, 100, 1)])
def test_a_drawing_stays_small_however_much_there_is(workers, count, sessions):
    record = busy(workers, count, sessions)
    svg = render(timeline_chart(timeline(record)), "svg", "timeline")
    assert len(svg) < 400_000
    assert svg.count(b"<image") == min(workers, -(-workers // -(-workers // ROWS))) + 1


def test_equal_records_give_equal_drawings():
    first, second = (render(timeline_chart(timeline(busy(2, 9))), "svg", "timeline") for _ in range(2))
    assert first == second


def test_kinds_of_work_that_are_not_known_are_drawn_too():
    record = Recorded([lane("n/0", [("dream", 0.0, 1.0)]), lane("driver", [])])
    found = timeline(record)
    assert isinstance(found, Timeline)
    assert b">dream<" in render(timeline_chart(found), "svg", "timeline")


@pytest.mark.parametrize("traced", [True, False])
def test_the_report_has_the_section_where_there_is_a_trace(tmp_path, traced):
    system = fake_system(tmp_path)
    if traced:
        trace = Trace(tmp_path / "trace.json")
        for id in range(20):
            found = answer(id, candidates(4, id), 1000.0 + 5 * id, worker=f"<n>/{id % 2}")
            trace.add(found, found.results, "munet", ("one",), (1004.6 + 5 * id, 0.1))
        trace.close()
    text = write_report(system).read_text()
    assert ("Where the time went" in text) == traced
    assert (tmp_path / "figures" / "timeline.svg").exists() == traced
    if traced:
        assert "Workers worked" in text
        assert "&lt;n&gt;/0" in text
        assert "<n>/0" not in text
        assert re.search(r"80 candidates: .*1\.0 s of work each.* moved", text)


def test_shares_add_up_to_what_the_trace_says(tmp_path):
    trace = Trace(tmp_path / "trace.json")
    for id in range(10):
        found = answer(id, candidates(1, id), 1000.0 + 3 * id)
        trace.add(found, found.results, "munet", ("one",), (1002.0 + 3 * id, 0.1))
    trace.close()
    record = read_trace(tmp_path)
    found = timeline(record)
    seconds = float(np.sum(found.rows[0].shares["train"])) * found.seconds / len(found.rows[0].shares["train"])
    assert seconds == pytest.approx(record.workers[0].spent("train"), rel=1e-6)
