"""The study of searches without rounds: its virtual workers against times by hand, and its numbers at tiny settings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pathways.candidate import Candidate, Result
from pathways.engine import Answer, Dispatch
from pathways.experiments import steady_study
from pathways.experiments.steady_study import TRAINING, VirtualWorkers, main, study
from pathways.in_process import InProcess
from pathways.testing.fake import example_root, sha


def test_virtual_workers_answer_when_so_many_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Durations 5, 1, 2, 1 on two workers: the second ends at 1, the third at 3, the fourth at 4, the first at 5."""
    seconds = iter([5.0, 1.0, 2.0, 1.0])
    queue = [
        Dispatch(i, (Candidate({"t": example_root()}, TRAINING, {"t": sha("d")}, repeat=i),)) for i in range(4)
    ]  # fmt: skip

    def trained(engine: Any, timeout: float | None = None) -> Answer | None:
        if not queue:
            return None
        dispatch = queue.pop(0)
        return Answer(dispatch, (Result(dispatch.candidates[0].hash, cpu_seconds=next(seconds)),))

    monkeypatch.setattr(InProcess, "next", trained)
    engine = VirtualWorkers(2)
    found = []
    while (answer := engine.next()) is not None:
        found.append((answer.dispatch.id, engine.now))
    assert found == [(1, 1.0), (2, 3.0), (3, 4.0), (0, 5.0)]


def test_it_measures_both_ways_on_the_same_stream(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(steady_study, "TRAINING", replace(TRAINING, steps=4))
    found = study(seeds=2, workers=3, generations=2, children=2, tasks=2)
    for name in ("rounds", "steady"):
        assert 0 < found[name]["test"] <= 1
        assert 0 < found[name]["busy"] <= 1
        assert 7 <= found[name]["candidates"] <= 1 + 4 + 1 + 4  # equal children are one row
    lead = found["steady minus rounds"]["test"]
    assert lead["n"] == 2
    assert lead["value"] == pytest.approx(found["steady"]["test"] - found["rounds"]["test"])
    monkeypatch.setattr(steady_study, "study", lambda *_: found)
    main(["--json"])
    assert json.loads(capsys.readouterr().out)["workers"] == 3
    main([])
    assert "rounds take" in capsys.readouterr().out
