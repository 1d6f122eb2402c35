"""Spans, and the clocks of two machines."""

import pytest

from pathways.trace import Journey, Span, shifted


def test_spans_are_moved_and_given_to_a_worker():
    spans = shifted([Span("train", "", 5.0, 2.0, "c"), Span("store", "", 7.0, 1.0, "c")], -3.0, "n2/1")
    assert [(s.what, s.worker, s.began, s.ended, s.candidate) for s in spans] == [
        ("train", "n2/1", 2.0, 4.0, "c"), ("store", "n2/1", 4.0, 5.0, "c"),
    ]


@pytest.mark.parametrize("fast", [0.0, 1234.5, -0.25])
def test_the_clocks_difference_is_found_where_both_ways_take_equally_long(fast):
    journey = Journey(0.0, 1.0, 1.5 + fast, 4.5 + fast, 5.0)
    assert journey.offset == pytest.approx(-fast)
    spans = journey.spans("n/0", [Span("train", "", 1.5 + fast, 3.0)])
    assert [(s.what, round(s.began, 6), round(s.seconds, 6)) for s in spans] == [
        ("wait", 0.0, 1.0), ("transfer", 1.0, 0.5), ("train", 1.5, 3.0), ("transfer", 4.5, 0.5),
    ]


def test_the_estimate_is_wrong_by_half_of_what_the_ways_differ():
    there, back = 0.9, 0.1
    journey = Journey(0.0, 0.0, there, there, there + back)
    assert abs(journey.offset) == pytest.approx((there - back) / 2)


def test_what_was_done_before_the_dispatch_was_sent_is_left_out():
    journey = Journey(submitted=10.0, sent=10.0, received=4.0, answered=12.0, returned=12.5)
    spans = journey.spans("n/0", [Span("load", "", 4.0, 7.0), Span("train", "", 11.0, 1.0)], 0.0)
    assert [(s.what, s.began, s.seconds) for s in spans] == [
        ("wait", 10.0, 0.0), ("transfer", 10.0, 0.0), ("load", 10.0, 1.0), ("train", 11.0, 1.0),
        ("transfer", 12.0, 0.5),
    ]


def test_nothing_takes_less_than_no_time():
    journey = Journey(2.0, 1.0, 0.5, 0.6, 0.55)  # a clock that was set back
    assert all(span.seconds >= 0 for span in journey.spans("n/0", (), 0.0))
