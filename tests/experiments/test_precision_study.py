"""The study of precision: its models at tiny settings, and its numbers against ones worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pathways.experiments import precision_study
from pathways.experiments.precision_study import TRAINING, Found, run, summary, table


def test_differences_are_paired_over_seeds() -> None:
    found = {"conv": {
        "float32": [Found(0.8, 2.0), Found(0.6, 2.0)], "bfloat16": [Found(0.8, 1.0), Found(0.55, 1.0)],
    }}
    [row] = summary(found)
    assert (row["float32"], row["bfloat16"]) == (pytest.approx(0.7), pytest.approx(0.675))
    assert (row["difference"], row["speed"]) == (pytest.approx(-0.025), 2.0)
    # Student's t of one degree of freedom: 12.706 standard errors of 0.025
    assert (row["low"], row["high"]) == (pytest.approx(-0.3427, abs=1e-4), pytest.approx(0.2927, abs=1e-4))
    assert table([row]).splitlines()[2] == "| conv | 70.00 | 67.50 | -2.50 (-34.27 to +29.27) | 2.00 |"


def test_both_models_are_trained_in_both_precisions(monkeypatch, capsys) -> None:
    short = replace(TRAINING, steps=3)
    found = run([0, 1], short)
    assert {model: list(sides) for model, sides in found.items()} == {
        "conv": ["float32", "bfloat16"], "mlp-stack": ["float32", "bfloat16"],
    }
    assert all(0 < f.accuracy <= 1 and f.cpu_seconds > 0 for sides in found.values() for s in sides.values() for f in s)
    assert [f.accuracy for f in run([0], short)["conv"]["bfloat16"]] == [found["conv"]["bfloat16"][0].accuracy]
    monkeypatch.setattr(precision_study, "run", lambda seeds: found if list(seeds) == [0, 1] else {})
    precision_study.main(["--seeds", "2"])
    assert "| mlp-stack |" in capsys.readouterr().out
