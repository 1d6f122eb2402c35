"""The rows of start-up are measured on real processes; here only that they are, and against what."""

import subprocess

import pytest

from pathways.experiments.benchmarks import fresh
from pathways.experiments.benchmarks.__main__ import rows_of


@pytest.mark.parametrize(("name", "theirs"), [("help", 2.0), ("show", 1.0)])
def test_commands_are_measured_against_their_budget(name, theirs):
    (row,) = rows_of(name, pairs=1)
    assert (row.name, row.theirs, row.goal, row.unit) == (name, theirs, 1.0, "starts/s")
    assert row.ours == pytest.approx(row.ratio * theirs)
    assert row.ours > 0
    for words in ("a budget of", "`python -c pass` takes", "`import torch`"):
        assert words in row.note


def test_imports_are_measured_against_torch():
    for row in rows_of("import", pairs=1):
        assert row.goal == pytest.approx(2 / 3)
        assert row.ratio > 1  # neither imports torch, so both are sooner done


def test_a_process_that_fails_is_no_measurement():
    with pytest.raises(subprocess.CalledProcessError):
        fresh._rate("-c", "raise SystemExit(3)")()
