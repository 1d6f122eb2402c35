from itertools import cycle

import pytest

from pathways.experiments.benchmarks.__main__ import line_of, main
from pathways.experiments.benchmarks.row import compare, median_interval, not_run, row_of
from pathways.experiments.benchmarks.table import BENCHMARKS
from pathways.experiments.tables import resolve

FIELDS = {"name", "ours", "theirs", "ratio", "ratio_low", "ratio_high", "goal", "floor", "share_of_floor", "unit",
          "versions"}


def test_a_row_holds_the_fields_that_others_read():
    row = row_of("a", [(4.0, 2.0), (6.0, 2.0), (5.0, 2.0)], unit="1/s", goal=2.0, floor=5.0)
    assert set(row.to_json()) >= FIELDS
    assert (row.ratio, row.ratio_low, row.ratio_high, row.share_of_floor) == (2.5, 2.0, 3.0, 0.5)
    assert row.reached
    assert "2.5x [2, 3] (goal 2: reached)" in line_of(row)


def test_sides_run_in_turns_and_the_first_run_of_each_is_not_counted():
    seen = []

    def side(name, rates):
        def run():
            seen.append(name)
            return next(rates)
        return run

    row = compare("a", side("ours", cycle([9.0, 2.0, 2.0, 2.0, 2.0, 2.0])), side("theirs", cycle([1.0])),
                  unit="1/s", goal=3.0)
    assert row.ratio == 2.0
    assert row.reached is False
    assert "NOT reached" in line_of(row)
    assert seen[:6] == ["ours", "theirs", "ours", "theirs", "theirs", "ours"]


def test_the_interval_covers_the_median_as_often_as_it_says():
    assert median_interval(list(range(20))) == (5, 14)  # the tabled order statistics 6 and 15 of 20
    assert median_interval(list(range(5))) == (0, 4)


def test_a_row_that_was_not_run_says_why_and_is_no_failure():
    row = not_run("gpu", "candidates/s", 2.0, "no CUDA device")
    assert row.reached is None
    assert line_of(row) == "gpu: not run: no CUDA device"


def test_few_pairs_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["all", "--pairs", "2"])
    assert "`--pairs` must be at least 5, found 2" in capsys.readouterr().err


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_be_found(name):
    assert callable(resolve(BENCHMARKS, name, "`name`"))
