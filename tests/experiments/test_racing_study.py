"""The study of racing: its searches at tiny settings, and its numbers against ones worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pathways.experiments import racing_study
from pathways.experiments.racing_study import SEARCH, TRAINING, Outcome, run, summary, table

TINY = {"none": None, "paired": "paired", "strict": {"paired": {"alpha": 0.9, "rival": "best"}}}


def outcome(score: float, **changes: Any) -> Outcome:
    return replace(Outcome(score, 10, 0, 1000, 1000, 5.0, 3, 0, 0), **changes)


def test_differences_are_paired_over_seeds() -> None:
    found = {
        "none": [[outcome(0.8), outcome(0.6)], [outcome(0.5), outcome(0.7)]],
        "paired": [
            [outcome(0.8, stopped=4, steps=700, cpu_seconds=4.0), outcome(0.6)],
            [outcome(0.5), outcome(0.6, stopped=2, steps=900, lost=1, champions_lost=1)],
        ],
    }
    none, paired = summary(found)
    assert (none["difference"], none["low"], none["high"], none["steps_saved"], none["cpu_saved"]) == (0, 0, 0, 0, 0)
    assert paired["score"] == pytest.approx(0.625)
    assert paired["difference"] == pytest.approx(-0.025)
    # Student's t of one degree of freedom: 12.706 standard errors of 0.025
    assert (paired["low"], paired["high"]) == (pytest.approx(-0.3427, abs=1e-4), pytest.approx(0.2927, abs=1e-4))
    assert (paired["stopped"], paired["candidates"], paired["better"], paired["lost"]) == (6, 40, 12, 1)
    assert (paired["champions_lost"], paired["equal_champions"], none["equal_champions"]) == (1, 3, 4)
    assert (paired["steps_saved"], paired["cpu_saved"]) == (pytest.approx(0.1), pytest.approx(0.05))
    lines = table([none, paired]).splitlines()
    assert lines[3] == "| paired | 62.50 | -2.50 (-34.27 to +29.27) | 10% | 5% | 6 of 40 | 1 (of 12 such) | 1 |"


def test_it_runs_and_without_false_stops_champions_are_equal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(SEARCH, generations=2, children=2)
    short = replace(TRAINING, steps=8)

    def tiny(seeds: Any, rules: Any) -> Any:
        assert list(rules) == list(racing_study.RULES)
        return run(seeds, ("Tengwar",), small, short, TINY)

    monkeypatch.setattr(racing_study, "run", tiny)
    racing_study.main(["--seeds", "2", "--json"])
    none, paired, strict = json.loads(capsys.readouterr().out)
    assert (none["candidates"], none["stopped"], none["difference"]) == (10, 0, 0)
    assert strict["stopped"] > 0
    assert 0 < strict["steps_saved"] < 1
    for row in (paired, strict):
        assert row["candidates"] == 10
        assert row["lost"] <= row["stopped"]
        assert row["champions_lost"] <= row["lost"] + row["stopped"]
    if not paired["lost"]:
        assert paired["difference"] == 0
        assert paired["equal_champions"] == 2
    told = {name: [[outcome(0.5)]] for name in ("none", "median")}
    monkeypatch.setattr(racing_study, "run", lambda seeds, rules: {name: told[name] for name in rules})
    racing_study.main(["--seeds", "1", "--rules", "none", "median"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines] == ["| rule", "|" + "---|" * 8, "| none", "| median"]
