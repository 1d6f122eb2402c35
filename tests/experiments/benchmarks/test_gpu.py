"""The rows on a GPU: not run without one, and complete with one, here a pretended one."""

from __future__ import annotations

import torch
from pretend_cuda import pretended

from pathways.experiments.benchmarks import gpu
from pathways.experiments.benchmarks.__main__ import line_of, rows_of


def test_without_a_gpu_the_rows_say_why_they_were_not_run():
    with pretended(count=0):
        rows = list(rows_of("gpu-population"))
    assert [row.name for row in rows] == ["gpu-population", "gpu-population-conv"]
    for row in rows:
        assert row.ratio is None
        assert row.unit == "candidates/s"
        assert line_of(row) == f"{row.name}: not run: no GPU here: torch {torch.__version__} finds none"


def test_the_rows_train_what_they_say(monkeypatch):
    for name, value in (("PATHS", 6), ("CONVS", 3), ("ALONE", 2), ("STEPS", 6), ("SIDE", 8)):
        monkeypatch.setattr(gpu, name, value)
    with pretended() as pretend:
        population, convolutions = rows_of("gpu-population", 5)
        graphs = len(pretend.graphs)
    assert graphs == 2 * 6, "one for each time that a side was measured, and once before"
    assert population.versions["gpu"] == "Pretended GPU"
    assert population.note.startswith("6 paths x 6 steps of 16 samples")
    assert convolutions.note.startswith("3 convolutional candidates")
    for row in (population, convolutions):
        assert 0 < row.ratio_low <= row.ratio <= row.ratio_high
        assert row.goal is None
        assert row.reached is None
