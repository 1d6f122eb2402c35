from __future__ import annotations

from typing import Any

import pytest

from pathways.canvas import render
from pathways.errors import ConfigError
from pathways.experiments.compute_curve import curve_figure, curve_table, paired_table, points


def summary(accuracy: float, names: str = "ab") -> dict[str, Any]:
    def side(shift: float, seconds: float) -> dict[str, Any]:
        return {"ACC": accuracy + shift, "cpu_seconds": seconds, "parameters": 100}

    sides = {
        "champions": side(0.0, 4.0), "independent-600": side(-0.1, 12.0), "independent-300": side(-0.2, 6.0),
        "fine-tune-all": side(0.1, 8.0),
    }  # fmt: skip
    tests = zip(names, (0.5, 0.7), strict=True)
    tasks = [{"name": name, "test": test, "controls": {"independent-600": 0.4}} for name, test in tests]
    return {"tasks": tasks, "sides": sides, "run": "runs/a"}


def test_points_are_means_over_runs_in_the_order_of_their_cost() -> None:
    curves = points([summary(0.8), summary(0.9)])
    assert list(curves) == ["champions", "independent", "fine-tune-all"]
    assert [p["steps"] for p in curves["independent"]] == [300, 600]
    assert [p["cpu"] for p in curves["independent"]] == [3.0, 6.0]
    assert curves["champions"][0]["accuracy"] == pytest.approx(0.85)
    assert curves["champions"][0]["runs"] == 2


def test_champions_of_other_searches_are_other_points_and_controls_are_not() -> None:
    first, second = summary(0.8), summary(0.9)
    small, large = {"training": {"steps": 100}}, {"training": {"steps": 200}}
    curves = points([{**first, "searched": small}, {**second, "searched": large}, {**second, "searched": large}])
    found = [(p["steps"], p["accuracy"], p["runs"]) for p in curves["champions"]]
    assert found == [(100, 0.8, 1), (200, pytest.approx(0.9), 2)]
    assert [p["runs"] for p in curves["independent"]] == [3, 3]


def test_runs_of_other_streams_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be of one stream"):
        points([summary(0.8), summary(0.8, "ac")])


def test_the_table_and_the_figure_show_every_side() -> None:
    curves = points([summary(0.8)])
    lines = curve_table(curves).splitlines()
    assert len(lines) == 2 + 4
    assert "| independent | 300 | 3.0 | 60.0 | 100 | 1 |" in lines
    drawn = render(curve_figure(curves), "svg", "curve").decode()
    assert all(name in drawn for name in curves)


def test_differences_are_paired_over_tasks() -> None:
    rows = paired_table([summary(0.6)]).splitlines()
    assert "| runs/a | champions | 60.0 | – | – | 100 | – | 4 |" in rows
    # Student's t of one degree of freedom: 12.706 standard errors
    assert "| runs/a | independent-600 | 50.0 | +20.00 ± 10.00 | -107.06 to +147.06 | 100 | 100% | 12 |" in rows
