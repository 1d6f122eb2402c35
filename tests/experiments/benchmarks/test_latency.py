"""The rows of latency: both sides give the same bits, for a path of convolutions and one of linear modules."""

import pytest
import torch

from pathways.experiments.benchmarks import latency
from pathways.experiments.benchmarks.__main__ import rows_of


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(latency, "SECONDS", 0.002)


def test_predictions_are_measured_for_both_paths():
    rows = list(rows_of("predict-latency", pairs=1))
    assert [row.name for row in rows] == ["predict-latency-conv", "predict-latency-mlp"]
    assert all(row.goal == pytest.approx(1 / 1.2) and row.ratio > 0 for row in rows)


def test_programs_are_measured_by_both_ways_to_run_them():
    rows = list(rows_of("export-latency", pairs=1))
    names = [f"export-latency-{kind}{how}" for kind in ("conv", "mlp") for how in ("", "-torch")]
    assert [row.name for row in rows] == names
    assert all(row.goal == 1.0 and row.ratio > 0 for row in rows)


def test_sides_that_differ_are_not_compared():
    with pytest.raises(RuntimeError, match=r"the same bits, found a difference of 0\.5"):
        latency._same(torch.zeros(2), torch.tensor([0.0, 0.5]))
